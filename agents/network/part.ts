import { routerNamespace } from '../../src/net/names.js';
import { parseKey } from '../../src/protocol/keys.js';
import type { ObjectReport, PlanStep, ProbeReply, ProbeRequest } from '../../src/protocol/messages.js';
import type { ObjectKey, ObjectKind, Spec } from '../../src/protocol/objects.js';
import type { DriftLook } from '../drift/look.js';
import type { Orphan, Part, ReconcileRequest } from '../part.js';
import { Serial } from './concurrency.js';
import type { NetworkContext } from './config.js';
import { type DesiredHost, desiredHost } from './desired.js';
import type { DesiredFirewall } from './firewall/desired.js';
import { foreignForwardDrops } from './firewall/foreign.js';
import { ZoneNumbers } from './firewall/zones.js';
import { Hold, holdOf } from './hold.js';
import { usedTaps } from './links/observe.js';
import { Failures, objectsOf, SHARED } from './model.js';
import { neededOf } from './needed.js';
import { ObservedHost } from './observed.js';
import { networkOrphans, removeNetworkOrphan } from './orphans.js';
import { planSteps } from './plan.js';
import { answerProbe, othersAnswering } from './probe/questions.js';
import { reconcile } from './reconcile.js';
import { RouterEpochs } from './router/epochs.js';
import { NetworkWatch } from './watch/watch.js';

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
  /** What others have changed and what is only reported. */
  #hold = new Hold();
  readonly #watch: NetworkWatch;
  /** What the last apply went by. */
  #applied: Spec = {};
  #desired: DesiredHost | null = null;
  /** What all objects share could not be brought about. */
  #sharedFailed = false;

  constructor(context: NetworkContext) {
    this.#context = context;
    this.#zones = new ZoneNumbers(context);
    this.#epochs = new RouterEpochs(context);
    this.#watch = new NetworkWatch(context, this.#observed);
  }

  watch(_changed: unknown, suspect: () => void = () => {}): void {
    this.#watch.start(suspect);
  }

  async close(): Promise<void> {
    this.#watch.close();
  }

  apply(request: ReconcileRequest): Promise<readonly ObjectReport[]> {
    return this.#serial.run(async () => {
      const { changed } = request;
      const failures = new Failures();
      if (request.settled) this.#takeUp(request.spec, request.settled.except);
      const before = this.#applied;
      const spec = changed === null ? request.spec : withLeaving(request.spec, changed, before);
      if (changed === null) this.#observed.markStale();
      if (changed === null) await this.#warnOfForeignFirewalls();
      // what is read anew may have been changed by others, whatever the reason for reading it
      const observes = this.#observed.isStale;
      this.#watch.begin();
      try {
        await this.#load();
        if (observes && request.look) this.#hold = await this.#lookFor(request.look, before);
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
      } finally {
        this.#watch.end(this.#desired);
      }
      return this.#reports(request.spec, changed, failures);
    });
  }

  plan(spec: Spec): Promise<readonly PlanStep[]> {
    return this.#serial.run(async () => {
      const failures = new Failures();
      // with eyes of its own: what an apply believes is compared with the host by a look, not in passing
      const observed = new ObservedHost();
      await this.#load(observed);
      const admitted = this.#epochs.admit(spec, failures, false);
      const desired = await this.#compute(admitted.spec, failures, observed);
      const used = await usedTaps(this.#context);
      return planSteps(this.#context, desired, observed, failures, used);
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

  async #load(observed = this.#observed): Promise<void> {
    const reads = [this.#zones.load(), this.#epochs.load(), observed.refresh(this.#context)];
    await Promise.all(reads);
  }

  /** Begins where the process before this one ended. */
  #takeUp(spec: Spec, failed: Iterable<ObjectKey>): void {
    this.#applied = spec;
    for (const key of failed) this.#failed.add(key);
  }

  /** Compares the host, as just read, with what the last apply brought about; gives what is to be left as it was found. */
  async #lookFor(look: DriftLook, before: Spec): Promise<Hold> {
    if (Object.keys(before).length === 0) return new Hold();
    const failures = new Failures();
    const { spec } = this.#epochs.admit(before, failures, false);
    const desired = await this.#compute(spec, failures);
    const found = new Map<ObjectKey, PlanStep[]>();
    for (const step of planSteps(this.#context, desired, this.#observed, failures)) {
      const { object } = step;
      // what is not in the spec is a left-over, and what had failed was never brought about
      const settled = object === SHARED ? !this.#sharedFailed : before[object] && !this.#failed.has(object);
      if (!settled || failures.get(object)) continue;
      found.set(object, [...(found.get(object) ?? []), step]);
    }
    const left = new Set<ObjectKey>();
    for (const [object, steps] of found) if (look.judge(object, steps) === 'leave') left.add(object);
    look.complete();
    return left.size ? holdOf(this.#context, desired, this.#observed, left) : new Hold();
  }

  /** Those routers of which nothing is here. */
  #notRunning(routers: ReadonlySet<ObjectKey>): ReadonlySet<ObjectKey> {
    const held = (name: string) => {
      const namespace = this.#desired?.namespaces.get(name);
      return namespace !== undefined && this.#hold.holdsNamespace(namespace);
    };
    const running = (key: ObjectKey) => {
      const name = routerNamespace(parseKey(key).id);
      return this.#observed.names.has(name) || held(name);
    };
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
    const observed = this.#observed;
    const needed = neededOf(this.#context, desired, observed, this.#hold);
    if (needed.size) {
      this.#context.log.warn('what was only to be reported is made again, since others need it', {
        things: [...needed].join(', '),
      });
      this.#hold = this.#hold.without(needed);
    }
    const hold = this.#hold;
    const change = { spec, ...since, desired, observed, released, hold };
    await reconcile(this.#context, change, failures);
    this.#applied = spec;
    this.#desired = desired;
  }

  async #compute(spec: Spec, failures: Failures, observed = this.#observed): Promise<DesiredHost> {
    const context = this.#context;
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
    this.#sharedFailed = failures.get(SHARED) !== undefined;
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
