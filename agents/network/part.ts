import { routerNamespace } from '../../src/net/names.js';
import { parseKey } from '../../src/protocol/keys.js';
import type { ObjectReport, PlanStep, ProbeReply, ProbeRequest } from '../../src/protocol/messages.js';
import type { ObjectKey, ObjectKind, Spec } from '../../src/protocol/objects.js';
import type { Orphan, Part, ReconcileRequest } from '../part.js';
import { Serial } from './concurrency.js';
import type { NetworkContext } from './config.js';
import { type DesiredHost, desiredHost } from './desired.js';
import type { DesiredFirewall } from './firewall/desired.js';
import { foreignForwardDrops } from './firewall/foreign.js';
import { ZoneNumbers } from './firewall/zones.js';
import { Failures, objectsOf, SHARED } from './model.js';
import { ObservedHost } from './observed.js';
import { networkOrphans, removeNetworkOrphan } from './orphans.js';
import { planSteps } from './plan.js';
import { answerProbe, othersAnswering } from './probe/questions.js';
import { reconcile } from './reconcile.js';
import { RouterEpochs } from './router/epochs.js';

/** Kinds of objects that this part brings about. */
const KINDS: readonly ObjectKind[] = ['network', 'dhcp', 'port', 'security-group', 'group-members', 'router'];
/** Kinds that stand on the host's own tables. */
const FIREWALLED: readonly ObjectKind[] = ['network', 'port', 'security-group', 'group-members'];

/** The network part, which also asks on the host's segments who answers for an address. */
export interface NetworkPart extends Part {
  /** Names who answers for the addresses; takes half a second where nobody does. */
  probe(request: ProbeRequest): Promise<ProbeReply>;
}

/** The network part of the agent: bridges, tunnels, ports, security groups, DHCP and routers of one host. */
export function createNetworkPart(context: NetworkContext): NetworkPart {
  return new RealNetworkPart(context);
}

class RealNetworkPart implements NetworkPart {
  readonly name = 'network';
  readonly #context: NetworkContext;
  readonly #serial = new Serial();
  readonly #observed = new ObservedHost();
  readonly #zones: ZoneNumbers;
  readonly #epochs: RouterEpochs;
  readonly #portCache: DesiredFirewall['cache'] = new Map();
  /** Objects whose last report was an error: they are reported again once they are well. */
  readonly #failed = new Set<ObjectKey>();
  /** Foreign chains that were warned of. */
  #foreign = '';
  /** What the last apply went by. */
  #applied: Spec = {};

  constructor(context: NetworkContext) {
    this.#context = context;
    this.#zones = new ZoneNumbers(context);
    this.#epochs = new RouterEpochs(context);
  }

  apply(request: ReconcileRequest): Promise<readonly ObjectReport[]> {
    return this.#serial.run(async () => {
      const { changed } = request;
      const failures = new Failures();
      const before = this.#applied;
      const spec = changed === null ? request.spec : withLeaving(request.spec, changed, before);
      if (changed === null) this.#observed.markStale();
      if (changed === null) await this.#warnOfForeignFirewalls();
      try {
        await this.#load();
        const admitted = this.#epochs.admit(spec, failures, true);
        await this.#epochs.save();
        const again = this.#notRunning(admitted.again);
        await this.#bring(without(admitted.spec, again), { before, changed }, failures);
        if (again.size) {
          // their networks are there by now, so that others on them can be asked
          const answered = await othersAnswering(this.#context, admitted.spec, again, failures);
          await this.#bring(without(admitted.spec, answered), { before: this.#applied, changed }, failures);
        }
        this.#applied = spec;
      } catch (error) {
        // reading the host failed: nothing is known of any object
        this.#observed.markStale();
        for (const key of reportedKeys(request.spec, changed)) failures.addThrown(key, error);
      }
      return this.#reports(request.spec, changed, failures);
    });
  }

  plan(spec: Spec): Promise<readonly PlanStep[]> {
    return this.#serial.run(async () => {
      const failures = new Failures();
      this.#observed.markStale();
      await this.#load();
      const admitted = this.#epochs.admit(spec, failures, false);
      const desired = await this.#compute(admitted.spec, failures);
      return planSteps(this.#context, desired, this.#observed, failures);
    });
  }

  probe(request: ProbeRequest): Promise<ProbeReply> {
    return answerProbe(this.#context, request);
  }

  orphans(spec: Spec): Promise<readonly Orphan[]> {
    return this.#serial.run(() => networkOrphans(this.#context, spec));
  }

  removeOrphan(orphan: Orphan): Promise<void> {
    return this.#serial.run(async () => {
      this.#observed.markStale();
      await removeNetworkOrphan(this.#context, orphan);
    });
  }

  async #load(): Promise<void> {
    const reads = [this.#zones.load(), this.#epochs.load(), this.#observed.refresh(this.#context)];
    await Promise.all(reads);
  }

  /** Those routers of which nothing is here. */
  #notRunning(routers: ReadonlySet<ObjectKey>): ReadonlySet<ObjectKey> {
    const running = (key: ObjectKey) => this.#observed.names.has(routerNamespace(parseKey(key).id));
    return new Set([...routers].filter((key) => !running(key)));
  }

  /** Makes the host what a spec says. */
  async #bring(
    spec: Spec,
    since: { readonly before: Spec; readonly changed: ReadonlySet<ObjectKey> | null },
    failures: Failures,
  ): Promise<void> {
    const desired = await this.#compute(spec, failures);
    const released = this.#zones.keepOnly(new Set(objectsOf(spec, 'network').map(({ body }) => body.id)));
    for (const key of this.#portCache.keys()) if (!spec[key]) this.#portCache.delete(key);
    await this.#zones.save();
    const change = { spec, ...since, desired, observed: this.#observed, released };
    await reconcile(this.#context, change, failures);
    this.#applied = spec;
  }

  async #compute(spec: Spec, failures: Failures): Promise<DesiredHost> {
    const [context, observed] = [this.#context, this.#observed];
    const desired = desiredHost(
      spec,
      {
        config: context.config,
        hasBridge: (name) => observed.links.links.has(name),
        zoneOf: (networkId) => this.#zones.of(networkId),
        portCache: this.#portCache,
      },
      failures,
    );
    await observed.refreshNamespaces(context, desired);
    return desired;
  }

  async #warnOfForeignFirewalls(): Promise<void> {
    const { log } = this.#context;
    try {
      const found = (await foreignForwardDrops(this.#context)).join(', ');
      if (found && found !== this.#foreign) {
        log.warn('another firewall drops forwarded packets: guests on bridges may be cut off', {
          chains: found,
        });
      }
      this.#foreign = found;
    } catch (error) {
      log.debug('cannot list nft chains', { error });
    }
  }

  #reports(spec: Spec, changed: ReadonlySet<ObjectKey> | null, failures: Failures): ObjectReport[] {
    const keys = new Set(reportedKeys(spec, changed));
    // besides what was asked for: what now fails or is well again because of it
    for (const key of [...failures.keys(), ...this.#failed]) if (spec[key]) keys.add(key);
    const reports: ObjectReport[] = [];
    for (const key of keys) {
      const object = spec[key];
      const { kind } = parseKey(key);
      const error = failures.get(key) ?? (FIREWALLED.includes(kind) ? failures.get(SHARED) : undefined);
      if (error) {
        this.#failed.add(key);
        this.#context.log.error(error.message, { object: key, ...error });
        reports.push({ key, revision: object?.revision ?? null, state: 'error', error });
        continue;
      }
      this.#failed.delete(key);
      const gone = !object || object.tombstone;
      reports.push({ key, revision: object?.revision ?? null, state: gone ? 'gone' : 'applied' });
    }
    return reports;
  }
}

/**
 * The spec with what has left it but is not to be taken away yet: an apply acts only on the keys it is given, since a port
 * that is gone may still be in use by a guest that is being stopped.
 */
function withLeaving(spec: Spec, changed: ReadonlySet<ObjectKey>, before: Spec): Spec {
  const leaving = (Object.keys(before) as ObjectKey[]).filter((key) => !spec[key] && !changed.has(key));
  if (!leaving.length) return spec;
  return { ...Object.fromEntries(leaving.map((key) => [key, before[key]!])), ...spec };
}

function without(spec: Spec, keys: ReadonlySet<ObjectKey>): Spec {
  if (!keys.size) return spec;
  return Object.fromEntries(Object.entries(spec).filter(([key]) => !keys.has(key as ObjectKey)));
}

function reportedKeys(spec: Spec, changed: ReadonlySet<ObjectKey> | null): ObjectKey[] {
  const keys = changed === null ? (Object.keys(spec) as ObjectKey[]) : [...changed];
  return keys.filter((key) => KINDS.includes(parseKey(key).kind));
}
