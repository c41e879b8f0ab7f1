import { findServerAnywhere } from '../../store/compute/server.js';
import { portsOfServer } from '../../store/network/port.js';
import { findRow } from '../../store/network/rows.js';
import { findFloatingIps } from '../../store/network/trace.js';
import type { Reader } from '../../store/store.js';
import type { App } from '../app.js';
import { conflict, notFound } from '../errors.js';
import { trafficWords } from './admits.js';
import { expectedHops } from './expected.js';
import type { TracedHop, TraceScene, Traffic } from './model.js';
import { lookAtHops } from './run.js';
import { readScene } from './scene.js';

/** The way of one address, as it should be and as it was found. */
export interface Trace {
  /** What was traced, in words. */
  readonly target: string;
  readonly traffic: string;
  readonly hops: readonly TracedHop[];
  /** Index of the first hop that fails; null: none does. */
  readonly broken: number | null;
  /** The first failing hop in a sentence, with what to do; or that none was found. */
  readonly verdict: string;
}

/**
 * Traces the way to a floating IP (address or id), a port (id), or each port of a server (id or name), whosever it is. Hosts are only
 * asked, nothing is changed; with `probe` they send pings.
 */
export async function traceNetwork(
  app: App,
  name: string,
  traffic: Traffic,
  probe: boolean,
): Promise<readonly Trace[]> {
  const scenes = await app.store.read
    .transaction()
    .setIsolationLevel('repeatable read')
    .execute(async (db) => await scenesOf(db, name, traffic));
  return await Promise.all(
    scenes.map(async (scene) => {
      const ask = app.hosts.trace.bind(app.hosts);
      return toTrace(scene, await lookAtHops(expectedHops(scene), ask, probe));
    }),
  );
}

/** What the hops as found come to. */
export function toTrace(scene: TraceScene, hops: readonly TracedHop[]): Trace {
  const at = hops.findIndex(({ state }) => state === 'fail');
  const { floating, port, server } = scene;
  const to = port && `port ${port.id}${server ? ` of server ${server.name}` : ''}`;
  return {
    target: floating ? `${floating.address}${to ? ` → ${to}` : ''}` : (to ?? 'nothing'),
    traffic: trafficWords(scene.traffic),
    hops,
    broken: at < 0 ? null : at,
    verdict: at < 0 ? wholeWords(hops) : brokenWords(hops[at]!),
  };
}

function wholeWords(hops: readonly TracedHop[]): string {
  const unknown = hops.filter(({ state }) => state === 'unknown').length;
  const asked = unknown > 0 ? `; of ${unknown} nothing is known (--probe asks more)` : '';
  return `Nothing on the way was found broken: ${hops.length - unknown} of ${hops.length} hops are as they should be${asked}.`;
}

function brokenWords({ host, what, detail, show, mend, object }: TracedHop): string {
  const where = host === null ? 'In the database' : `On ${host}`;
  const advice = mend ?? (host !== null && object !== null ? healing(host, object) : null);
  return `${where}, ${what}: ${detail}. To see it: ${show}.${advice ? ` To mend it: ${advice}.` : ''}`;
}

/** What is ours the agent puts right by itself, unless its kind is only reported. */
function healing(host: string, object: string): string {
  return `its agent does so within seconds unless drift is only reported: maru drift ${host}; maru drift heal ${host} ${object}`;
}

async function scenesOf(db: Reader, name: string, traffic: Traffic): Promise<TraceScene[]> {
  const floating = await findFloatingIps(db, name);
  if (floating.length > 1) {
    throw conflict(
      `More than one floating IP has the address ${name}: ${floating.map(({ id }) => id).join(', ')}`,
    );
  }
  if (floating[0]) return [await readScene(db, { floating: floating[0] }, traffic)];
  if (await findRow(db, 'port', name)) return [await readScene(db, { portId: name }, traffic)];
  const servers = await findServerAnywhere(db, name);
  if (servers.length > 1) {
    throw conflict(`More than one server is named ${name}: ${servers.map(({ id }) => id).join(', ')}`);
  }
  const [server] = servers;
  if (!server) {
    throw notFound(
      `There is no floating IP, port or server '${name}'; openstack floating ip list shows them.`,
    );
  }
  const ports = await portsOfServer(db, server.id);
  if (ports.length === 0) throw conflict(`Server ${server.name} has no port.`);
  const scenes: TraceScene[] = [];
  for (const { id } of ports) scenes.push(await readScene(db, { portId: id }, traffic));
  return scenes;
}
