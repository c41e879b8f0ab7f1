import { setImmediate } from 'node:timers/promises';
import type { ObjectReport, ObservedServer } from '../../../src/protocol/messages.js';
import type { NetworkObject, ObjectKey } from '../../../src/protocol/objects.js';
import type { TraceCheck, TraceReply, TraceRequest } from '../../../src/protocol/trace.js';
import { CommandError } from '../../host/host.js';
import { eachLimited } from '../concurrency.js';
import type { NetworkContext } from '../config.js';
import { bridge, fdb, fdbPeer, fdbTable, plug, providerOf, tunnel, underlay, uplink } from './devices.js';
import { type Found, fail, ok, unknown } from './finding.js';
import { members } from './members.js';
import { addresses, device, dnsmasq, namespace, neighbour, route } from './namespaces.js';
import { forward6 } from './router-rules.js';
import { antiSpoofing, filter, nat, shared, trusted } from './rules.js';
import { Snapshot } from './snapshot.js';
import { tracking, translations } from './tracking.js';

/** What a trace looks at besides the network. */
export interface TraceSources {
  readonly context: NetworkContext;
  /** Revision of the object in the spec that the agent holds; null: it has not been told of it. */
  readonly held: (key: ObjectKey) => string | null;
  /** The network as the agent was told of it. */
  readonly network: (id: string) => NetworkObject | null;
  readonly latest: (key: ObjectKey) => ObjectReport | undefined;
  /** What a guest does now; null: there is no domain. */
  readonly guest: (serverId: string) => Promise<ObservedServer | null>;
}

const AT_ONCE = 6;
/** Whatever has not been found out by then stays unknown. */
const TIME_MS = 8_000;

/** Looks at everything that was asked for; changes nothing, never rejects, and takes eight seconds at most. */
export async function answerTrace(
  sources: TraceSources,
  request: TraceRequest,
  timeMs = TIME_MS,
): Promise<TraceReply> {
  const snapshot = new Snapshot(sources.context);
  const found: Found[] = request.checks.map(() => unknown(`not found out within ${timeMs / 1000} s`));
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, timeMs);
  });
  const indices = request.checks.map((_, index) => index);
  let ended = false;
  const looking = eachLimited(indices, AT_ONCE, async (index) => {
    // what has been read already is compared without waiting for anything: timers and everybody else have their turn in between
    await setImmediate();
    if (ended) return;
    const one = await look(sources, snapshot, request.checks[index]!, request.probe).catch(toFound);
    if (!ended) found[index] = one;
  });
  await Promise.race([looking, over]);
  ended = true;
  clearTimeout(timer);
  return {
    findings: request.checks.map((check, index) => {
      const bridge = 'network' in check ? providerOf(snapshot, check.network) : null;
      return { ...found[index]!, ...(bridge === null ? {} : { bridge }) };
    }),
  };
}

async function look(
  sources: TraceSources,
  snapshot: Snapshot,
  check: TraceCheck,
  probe: boolean,
): Promise<Found> {
  switch (check.kind) {
    case 'told':
      return told(sources, check);
    case 'reported':
      return reported(sources, check);
    case 'bridge':
      return await bridge(snapshot, check);
    case 'uplink':
      return await uplink(snapshot, check);
    case 'namespace':
      return await namespace(snapshot, check);
    case 'plug':
      return await plug(snapshot, check);
    case 'device':
      return await device(snapshot, check);
    case 'addresses':
      return await addresses(snapshot, check);
    case 'route':
      return await route(snapshot, check);
    case 'nat':
      return check.part === 'forward6' ? await forward6(snapshot, check) : await nat(snapshot, check);
    case 'tunnel':
      return await tunnel(snapshot, check);
    case 'fdb':
      return await fdb(snapshot, check);
    case 'fdb-peer':
      return await fdbPeer(snapshot, check);
    case 'fdb-table':
      return await fdbTable(snapshot, check, sources.network(check.network.id));
    case 'underlay':
      return await underlay(snapshot, check, probe);
    case 'filter':
      return await filter(snapshot, check);
    case 'members':
      return await members(snapshot, check);
    case 'tracking':
      return await tracking(snapshot, check);
    case 'translations':
      return await translations(snapshot, check);
    case 'anti-spoofing':
      return await antiSpoofing(snapshot, check);
    case 'trusted':
      return await trusted(snapshot, check);
    case 'shared':
      return await shared(snapshot, check);
    case 'guest':
      return await guest(sources, check.server_id);
    case 'dnsmasq':
      return await dnsmasq(snapshot, check);
    case 'neighbour':
      return await neighbour(snapshot, check, probe);
  }
}

function told({ held }: TraceSources, { objects }: Extract<TraceCheck, { kind: 'told' }>): Found {
  for (const { key, revision } of objects) {
    const has = held(key);
    if (has === null) return fail(`the agent has not been told of ${key}`);
    if (has !== revision) return fail(`the agent holds another state of ${key} than the database has`);
  }
  return ok(`the agent answers, and holds ${objects.length} object(s) as the database has them`);
}

function reported({ latest }: TraceSources, { objects }: Extract<TraceCheck, { kind: 'reported' }>): Found {
  for (const key of objects) {
    const report = latest(key);
    if (report?.state === 'error' || report?.state === 'held')
      return fail(`${key}: ${report.error?.message ?? report.state}`, report.error?.hint);
  }
  return ok('no object that takes part was reported as failed');
}

async function guest({ guest: ask }: TraceSources, serverId: string): Promise<Found> {
  const seen = await ask(serverId);
  if (seen === null) return fail('there is no domain of this server', `maru server explain ${serverId}`);
  if (seen.power_state !== 'running')
    return fail(`the domain is ${seen.power_state}`, `openstack server start ${serverId}`);
  return ok('the domain is running');
}

/** A host that cannot be looked at has not failed for that reason alone. */
function toFound(error: unknown): Found {
  if (error instanceof CommandError) return unknown(`could not be looked at: ${error.message}`);
  return unknown(error instanceof Error ? error.message : String(error));
}
