import { splitAddress } from '../src/net/listen-address.js';
import type { DoctorReport } from '../src/protocol/doctor.js';
import type { Logger } from '../src/protocol/log.js';
import type { LogQuery, LogReply } from '../src/protocol/log-query.js';
import {
  type DriftHeal,
  type DriftHealReply,
  type Heartbeat,
  type HostFacts,
  type ObjectReport,
  type OrphanRemoval,
  type Plan,
  PROTOCOL_VERSION,
  type ProbeReply,
  type ProbeRequest,
  type ProviderNetworkFacts,
  type SpecAck,
  type SpecPush,
  type SpecRefusal,
} from '../src/protocol/messages.js';
import type { ObjectKey, ServerObject, Spec } from '../src/protocol/objects.js';
import type { TraceReply, TraceRequest } from '../src/protocol/trace.js';
import { agentUrl, certificateAddresses } from './addresses.js';
import { BootGate } from './boot.js';
import type { AgentConfig } from './config.js';
import { DriftMemory } from './drift/memory.js';
import { DriftRegister } from './drift/register.js';
import { OrphanWatch } from './orphan-watch.js';
import { listOrphans, removeOrphan } from './orphans.js';
import type { Part } from './part.js';
import { withProviderNetworks } from './provider-networks.js';
import { type Parts, Reconciler, type Settled } from './reconciler.js';
import { letGo, removedMarker } from './removed.js';
import { Reporter } from './reporter.js';
import { serverKeys, tombstones } from './spec-keys.js';
import type { SpecStore, StateFiles } from './spec-store.js';
import { type Controller, RemovedFromCloud } from './transport/controller.js';
import { type Identity, trustedAuthorities } from './transport/identity.js';
import { type AgentListener, listenForController } from './transport/listener.js';
import { expiryAdvice, Renewal } from './transport/renewal.js';
import { UsageReadings } from './usage.js';

export interface AgentOptions {
  readonly config: AgentConfig;
  readonly identity: Identity;
  readonly controller: Controller;
  /** Where the agent keeps what it must not forget: always the real disk, also when the host is simulated. */
  readonly files: StateFiles;
  readonly specs: SpecStore;
  readonly parts: Parts;
  readonly bootId: string;
  readonly facts: () => Promise<HostFacts>;
  /** What is on the provider networks' bridges now; asked for again and again. */
  readonly providerNetworks?: () => Promise<readonly ProviderNetworkFacts[]>;
  readonly usage: () => Promise<Heartbeat['usage']>;
  readonly probe: (request: ProbeRequest) => Promise<ProbeReply>;
  /** Looks at what the controller asks for, given what the agent holds and has reported. */
  readonly trace: (request: TraceRequest, known: Known) => Promise<TraceReply>;
  /** Lines that this agent has logged. */
  readonly logs: (query: LogQuery) => Promise<LogReply>;
  readonly consoleOutput: (serverId: string, lines: number | null) => Promise<string>;
  /** What is wrong with this machine. */
  readonly doctor: () => Promise<DoctorReport>;
  readonly log: Logger;
  readonly retryMs?: number;
}

/** What an agent knows of its objects without looking at the host. */
export interface Known {
  readonly spec: Spec;
  readonly latest: ReadonlyMap<ObjectKey, ObjectReport>;
}

const HEARTBEAT_RETRY_MS = 1_000;
/** A host that was removed asks now and then whether that still holds. */
const REMOVED_RETRY_MS = 60_000;
/** How often it is looked whether provider networks came or went. */
const PROVIDERS_MS = 15_000;
/** How often it is looked whether everything has been brought about. */
const SETTLE_MS = 2_000;

/** One host's agent: takes specs, brings the host in line, reports. */
export class Agent {
  readonly #options: AgentOptions;
  readonly #reconciler: Reconciler;
  readonly #reporter: Reporter;
  readonly #drift: DriftRegister;
  readonly #memory: DriftMemory;
  readonly #boot: BootGate;
  #settled: Settled = { data: null, plumbing: null };
  readonly #log: Logger;
  readonly #renewal: Renewal;
  #identity: Identity;
  #listener: AgentListener | null = null;
  #facts: HostFacts | null = null;
  /** The controller has not had our facts, or asked for everything again. */
  #introduced = false;
  /** What the controller was last told of this host. */
  #toldFacts: HostFacts | null = null;
  readonly #usage: UsageReadings;
  readonly #orphans: OrphanWatch;
  #syncing = false;
  #syncAgain = false;
  readonly #timers = new Set<NodeJS.Timeout>();
  #syncTimer: NodeJS.Timeout | null = null;
  #beat: NodeJS.Timeout | null = null;
  #beating: Promise<void> | null = null;
  /** Why the controller did not take the last heartbeat; null: it did. */
  #lostBecause: string | null = null;
  #closed = false;

  constructor(options: AgentOptions) {
    this.#options = options;
    this.#identity = options.identity;
    this.#log = options.log;
    const { config, specs, files, controller, bootId, log } = options;
    const stateDir = config.state_dir;
    this.#usage = new UsageReadings(options.usage, log);
    this.#renewal = new Renewal(options.identity, {
      files,
      stateDir,
      controller,
      addresses: certificateAddresses(config),
      use: (identity) => this.#use(identity),
      log,
    });
    this.#reporter = new Reporter(async (reports) => {
      await options.controller.report(reports);
      this.#told(reports);
    }, log);
    this.#memory = new DriftMemory(files, stateDir, bootId, log);
    this.#drift = new DriftRegister({
      policy: (kind) => specs.held.settings.drift[kind] ?? 'heal',
      now: () => new Date(),
      changed: () => this.#memory.save(),
      log,
    });
    this.#boot = new BootGate({
      files,
      stateDir,
      bootId,
      waitMs: config.boot_wait * 1000,
      log,
      onOpen: () => void this.#reconciler.changed(serverKeys(specs.held.spec)),
    });
    this.#orphans = new OrphanWatch(
      () => listOrphans(this.#parts(), specs.held.spec),
      (error) => log.warn('cannot look for what is left over', { error }),
    );
    this.#reconciler = new Reconciler({
      parts: options.parts,
      spec: () => specs.held.spec,
      report: (report) => this.#reporter.add(report),
      log,
      drift: this.#drift,
      observeOnly: () => specs.held.settings.observe_only,
      mayRun: (key) => {
        const body = specs.held.spec[key]?.body as ServerObject | undefined;
        return body === undefined || this.#boot.allows(body, specs.held.spec);
      },
      settled: () => this.#settled,
      ...(options.retryMs === undefined ? {} : { retryMs: options.retryMs }),
    });
  }

  /** Brings the host back to the spec on disk, listens, and says hello to the controller. */
  async start(): Promise<{ readonly port: number }> {
    const { config, specs, files } = this.#options;
    const damage = await specs.load();
    if ((await files.readFileIfExists(removedMarker(config.state_dir))) !== null) specs.refuseAll();
    if (damage) this.#log.warn('the spec on disk is damaged, waiting for a new one', { reason: damage });
    this.#settled = await this.#memory.load(this.#drift, specs.held.digest);
    await this.#boot.begin(specs.held.incarnation !== null);
    const address = splitAddress(config.listen);
    this.#listener = await listenForController(this.#identity, address, this.#service(), this.#log);
    this.#facts = await this.#options.facts();
    for (const warning of this.#facts.warnings) this.#log.warn('host', { warning });
    void this.#sync();
    // what left with guests and volumes that are to go waits until they let go of it;
    // whoever ran here before may have taken these away, or not, and has not been able to say so
    void this.#reconciler.changed([...specs.held.leaving, ...tombstones(specs.held.spec)]);
    this.#every(SETTLE_MS, async () => this.#settleIfDone());
    this.#scheduleSync();
    this.#every(PROVIDERS_MS, () => this.#lookAtProviders());
    const expired = expiryAdvice(this.#identity, new Date());
    if (expired) this.#log.error(expired);
    this.#renewal.start();
    this.#scheduleBeat(0);
    return { port: this.#listener.port };
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#timers) clearInterval(timer);
    if (this.#syncTimer) clearInterval(this.#syncTimer);
    if (this.#beat) clearTimeout(this.#beat);
    this.#reporter.close();
    await this.#renewal.close();
    this.#boot.close();
    await this.#listener?.close();
    await this.#reconciler.close();
    await this.#beating;
    await this.#memory.close();
    this.#options.controller.close();
  }

  #service() {
    const { specs, config } = this.#options;
    return {
      takeSpec: (push: SpecPush) => this.#takeSpec(push),
      plan: async (): Promise<Plan> => {
        const parts = Object.values(this.#options.parts) as Part[];
        const steps = await Promise.all(parts.map((part) => part.plan(specs.held.spec)));
        return { host: config.name, steps: steps.flat() };
      },
      logs: (query: LogQuery) => this.#options.logs(query),
      healDrift: (request: DriftHeal): Promise<DriftHealReply> => this.#reconciler.heal(request.object),
      probe: (request: ProbeRequest) => this.#options.probe(request),
      trace: (request: TraceRequest) =>
        this.#options.trace(request, { spec: specs.held.spec, latest: this.#reconciler.latest }),
      removeOrphan: async (removal: OrphanRemoval) => {
        const removed = await removeOrphan(this.#parts(), () => specs.held, removal);
        this.#log.warn('an orphan was removed', { ...removed });
        await this.#orphans.look();
      },
      console: (serverId: string, lines: number | null) => this.#options.consoleOutput(serverId, lines),
      doctor: () => this.#options.doctor(),
      health: () => ({ name: config.name, sequence: specs.held.sequence, digest: specs.held.digest }),
    };
  }

  async #takeSpec(push: SpecPush): Promise<SpecAck | SpecRefusal> {
    const { specs } = this.#options;
    const before = specs.held.incarnation;
    const settings = JSON.stringify(specs.held.settings);
    const outcome = await specs.take(push, (known, keys) => this.#notSettled(known, [...keys]));
    const { sequence, digest } = specs.held;
    if (!outcome.taken) {
      this.#log.warn('spec refused', { ...outcome.refusal, request_ids: push.request_ids });
      return outcome.refusal;
    }
    this.#log.debug('spec taken', { sequence, keys: outcome.keys.size, request_ids: push.request_ids });
    await this.#boot.confirmed();
    if (before !== null && before !== push.incarnation)
      this.#log.warn('the controller has a new incarnation', { before });
    if (before === null || settings !== JSON.stringify(specs.held.settings)) void this.#sync();
    // also then: what has left the spec is known by these keys only
    this.#orphans.during(this.#reconciler.changed(outcome.keys, push.request_ids));
    return { sequence, digest };
  }

  /**
   * What the agent before us never had cannot have been brought about by it: that it is missing is nobody's doing. Nor is it that
   * the network of an object is as it was wanted before this change; its files are made once, whatever changes later.
   */
  #notSettled(known: Spec, keys: readonly ObjectKey[]): void {
    const { data, plumbing } = this.#settled;
    const added = keys.filter((key) => !(key in known));
    this.#settled = {
      data: data && new Set([...data, ...added]),
      plumbing: plumbing && new Set([...plumbing, ...keys]),
    };
  }

  /** Without any spec nothing is touched: an empty state directory does not mean an empty host. */
  async #sync(): Promise<void> {
    const { specs } = this.#options;
    if (specs.held.incarnation === null) return;
    if (this.#syncing) {
      // what it is asked for may have come too late for the one that runs
      this.#syncAgain = true;
      return;
    }
    this.#syncing = true;
    this.#syncAgain = false;
    try {
      await this.#reconciler.fullSync();
      await this.#orphans.look();
    } catch (error) {
      this.#log.error('full sync failed', { error });
    } finally {
      this.#syncing = false;
    }
    if (this.#syncAgain && !this.#closed) await this.#sync();
  }

  /** A bridge that was made or lost since changes what the host offers. */
  async #lookAtProviders(): Promise<void> {
    const { providerNetworks } = this.#options;
    if (!this.#facts || !providerNetworks) return;
    try {
      const found = await providerNetworks();
      if (JSON.stringify(found) === JSON.stringify(this.#facts.provider_networks)) return;
      this.#facts = withProviderNetworks(this.#facts, found);
      this.#log.info('provider networks changed', { offered: this.#facts.physical_networks });
    } catch (error) {
      this.#log.warn('cannot look at the provider networks, trying again', { error });
    }
  }

  /** Notes that the spec has been brought about: what a successor finds otherwise was then changed by others. */
  #settleIfDone(): void {
    const { spec, digest, incarnation, settings } = this.#options.specs.held;
    if (incarnation === null || settings.observe_only || this.#boot.awaiting) return;
    const failed: ObjectKey[] = [];
    for (const key of Object.keys(spec) as ObjectKey[]) {
      const report = this.#reconciler.latest.get(key);
      if (report?.revision !== spec[key]?.revision) return;
      if (report?.state !== 'applied') failed.push(key);
    }
    this.#memory.settle(digest, failed);
  }

  /** Intervals in the configuration may have changed. */
  reconfigured(): void {
    this.#scheduleSync();
  }

  #scheduleSync(): void {
    if (this.#closed) return;
    if (this.#syncTimer) clearInterval(this.#syncTimer);
    this.#syncTimer = setInterval(() => void this.#sync(), this.#options.config.full_sync_interval * 1000);
    this.#syncTimer.unref();
  }

  #scheduleBeat(ms: number): void {
    if (this.#closed) return;
    this.#beat = setTimeout(() => {
      this.#beating = this.#heartbeat().then((delayMs) => this.#scheduleBeat(delayMs));
    }, ms);
  }

  /** Resolves with the milliseconds until the next one. */
  async #heartbeat(): Promise<number> {
    const { specs, controller, config, bootId } = this.#options;
    const interval = config.heartbeat_interval * 1000;
    const introducing = !this.#introduced;
    const { incarnation, sequence, digest } = specs.held;
    const reports = introducing ? this.#everything() : this.#reporter.pending();
    const drift = this.#drift.events();
    const facts = introducing || this.#facts !== this.#toldFacts ? this.#facts : null;
    try {
      const { resync, renew, confirmed } = await controller.heartbeat({
        protocol: PROTOCOL_VERSION,
        boot_id: bootId,
        agent_url: agentUrl(config, this.#listener?.port ?? 0),
        incarnation,
        sequence,
        as_of: specs.held.as_of,
        digest,
        authorities: trustedAuthorities(this.#identity),
        ...(facts ? { facts } : {}),
        reports,
        orphans: this.#orphans.list,
        drift,
        ...(this.#boot.awaiting ? { awaiting_confirmation: true as const } : {}),
        usage: this.#usage.current(),
      });
      this.#reporter.acknowledge(reports);
      this.#told(reports);
      this.#drift.acknowledge(drift);
      this.#boot.answered();
      if (confirmed && digest === specs.held.digest) await this.#boot.confirmed();
      this.#introduced = !resync;
      if (facts) this.#toldFacts = facts;
      if (renew) this.#renewal.demand();
      if (this.#lostBecause !== null) this.#log.info('the controller answers again');
      this.#lostBecause = null;
      if (this.#boot.awaiting && !resync) return Math.min(HEARTBEAT_RETRY_MS, interval);
      return resync ? 0 : interval;
    } catch (error) {
      if (error instanceof RemovedFromCloud) return await this.#removed(error);
      // a refusal says what to do, and may come after the controller was away for other reasons
      const { message } = error as Error;
      if (this.#lostBecause !== message)
        this.#log.warn('no answer from the controller, trying again', { error });
      this.#lostBecause = message;
      return Math.min(HEARTBEAT_RETRY_MS, interval);
    }
  }

  #told(reports: readonly ObjectReport[]): void {
    const gone = reports.filter(({ state }) => state === 'gone').map(({ key }) => key);
    if (gone.length > 0) this.#options.specs.toldGone(gone);
  }

  /** The latest report of every object, and what still has to be told about those that are gone. */
  #everything() {
    const reports = new Map(this.#reconciler.latest);
    for (const report of this.#reporter.pending()) reports.set(report.key, report);
    return [...reports.values()];
  }

  #use(identity: Identity): void {
    this.#identity = identity;
    this.#options.controller.use(identity);
    this.#listener?.use(identity);
  }

  async #removed({ message }: RemovedFromCloud): Promise<number> {
    const { files, specs, config } = this.#options;
    const [stateDir, reconciler, parts, log] = [config.state_dir, this.#reconciler, this.#parts(), this.#log];
    try {
      await letGo({ files, stateDir, specs, reconciler, parts, log }, message);
    } catch (error) {
      log.error('could not let go of everything, trying again', { error });
      return HEARTBEAT_RETRY_MS;
    }
    return REMOVED_RETRY_MS;
  }

  #parts(): readonly Part[] {
    return Object.values(this.#options.parts) as Part[];
  }

  #every(ms: number, job: () => Promise<void>): void {
    const timer = setInterval(() => void job(), ms);
    timer.unref();
    this.#timers.add(timer);
  }
}
