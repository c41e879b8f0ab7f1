import type { AddressInfo } from 'node:net';
import type { Server as TlsServer } from 'node:tls';
import type { FastifyInstance } from 'fastify';
import type { Config } from '../config.js';
import { MaruError, notFound } from '../core/errors.js';
import type { HostGateway, JoinTokenRequest } from '../core/gateway.js';
import type { AnyHostKind } from '../desired/kind.js';
import { splitAddress } from '../net/listen-address.js';
import type { DoctorReport } from '../protocol/doctor.js';
import type { Logger } from '../protocol/log.js';
import type { LogQuery, LogReply } from '../protocol/log-query.js';
import type {
  ConsoleReply,
  DriftHeal,
  DriftHealReply,
  OrphanRemoval,
  Plan,
  ProbeReply,
  ProbeRequest,
} from '../protocol/messages.js';
import type { ObjectKey } from '../protocol/objects.js';
import { PeerUnreachable } from '../protocol/peer-client.js';
import type { TraceReply, TraceRequest } from '../protocol/trace.js';
import { dropForeignChanges } from '../store/changes.js';
import { findHost, listHosts } from '../store/hosts.js';
import type { Store } from '../store/store.js';
import { AgentClients, type ControllerCredentials, controllerCredentials } from './agent-clients.js';
import { buildAgentListener, type OpenImage } from './agent-listener.js';
import { Authorities } from './authorities.js';
import type { CertificateOptions } from './certificates.js';
import { Delivery } from './delivery.js';
import { type FactsListener, Heartbeats } from './heartbeats.js';
import { type IdentityWrite, Incarnations } from './incarnations.js';
import { checkAuthorities, noteAuthorities } from './installation.js';
import { Isolation } from './isolation.js';
import { createJoinToken } from './join.js';
import { LeaseKeeper } from './leases.js';
import { Liveness } from './liveness.js';
import { type GoneListener, type ReportListener, Reports } from './reports.js';
import { Rotation } from './rotation.js';
import { SharedView } from './shared-view.js';
import { computeSpec } from './spec.js';

export interface HostsOptions {
  readonly config: Pick<
    Config,
    'name' | 'listen' | 'state_dir' | 'agent_listen' | 'agent_names' | 'host_down_after' | 'drift'
  >;
  readonly store: Store;
  readonly writeIdentity: IdentityWrite;
  readonly log: Logger;
  readonly kinds: readonly AnyHostKind[];
  readonly openImage: OpenImage;
  /** Other than the usual lifetimes: for tests. */
  readonly certificates?: CertificateOptions;
}

/** The controller's certificate is replaced this often; it is valid for thirty times as long. */
const CREDENTIALS_MS = 24 * 3600 * 1000;
/** How often that is looked at, and whether another controller has changed the authority. */
const CREDENTIALS_CHECK_MS = 3_000;
/** How often a starting controller looks whether hosts have answered. */
const CONTACT_CHECK_MS = 10;
const PLAN_TIMEOUT_MS = 60_000;
/** A search through some hundred megabytes. */
const LOGS_TIMEOUT_MS = 10_000;
/** A host asks for less than two seconds. */
const PROBE_TIMEOUT_MS = 10_000;
/** A host looks for eight seconds at most. */
const TRACE_TIMEOUT_MS = 12_000;

/**
 * Everything between the controller and its hosts: joining, delivery of specs, reports, liveness, and the questions that core
 * asks hosts directly. Register the listeners, then `start`.
 */
export class Hosts implements HostGateway {
  readonly #options: HostsOptions;
  readonly authority: Rotation;
  readonly #authorities: Authorities;
  readonly #clients: AgentClients;
  readonly #delivery: Delivery;
  readonly #reports: Reports;
  readonly #heartbeats: Heartbeats;
  readonly #liveness: Liveness;
  readonly #shared: SharedView;
  /** null: on SQLite there is one controller, and every host is its own. */
  readonly #leases: LeaseKeeper | null;
  readonly #server: FastifyInstance;
  #credentialsCheck: NodeJS.Timeout | null = null;
  #credentialsAt = Date.now();

  private constructor(options: HostsOptions, authorities: Authorities, credentials: ControllerCredentials) {
    const { store, log, kinds, openImage } = options;
    this.#options = options;
    this.#authorities = authorities;
    const incarnations = new Incarnations(store, log, options.writeIdentity);
    this.#clients = new AgentClients(credentials);
    this.#liveness = new Liveness(options.config.host_down_after * 1000);
    const onContact = (hostId: string) => {
      this.#liveness.contact(hostId);
      this.#shared.heard(hostId);
    };
    const drift = () => options.config.drift;
    this.#delivery = new Delivery({
      store,
      kinds,
      clients: this.#clients,
      log,
      incarnations,
      drift,
      onContact,
      onForeignHost: (hostId) => {
        if (this.#leases) this.#leases.poke();
        else this.#delivery.own(hostId, null);
      },
    });
    this.#shared = new SharedView(store, this.#delivery, this.#liveness);
    this.#leases =
      store.dialect === 'sqlite'
        ? null
        : new LeaseKeeper({
            store,
            log,
            delivery: this.#delivery,
            shared: this.#shared,
            isolation: new Isolation(store, this.#clients, this.#delivery, this.#liveness),
            name: options.config.name,
            address: options.config.listen,
          });
    this.#reports = new Reports(store, (hostId, keys) => this.#delivery.named(hostId, keys));
    this.#heartbeats = new Heartbeats(
      { store, kinds, drift },
      this.#delivery,
      this.#reports,
      this.#liveness,
      this.#shared,
      log,
    );
    this.#server = buildAgentListener(credentials, {
      store,
      log,
      authorities,
      incarnations,
      delivery: this.#delivery,
      heartbeats: this.#heartbeats,
      reports: this.#reports,
      liveness: this.#liveness,
      openImage,
    });
    const renewCredentials = () => this.#renewCredentials();
    const isUp = (hostId: string) => this.isUp(hostId);
    this.authority = new Rotation({ store, log, authorities, renewCredentials, isUp });
  }

  /** Opens (or makes) the certificate authorities in the state directory; nothing listens yet. */
  static async open(options: HostsOptions): Promise<Hosts> {
    const { state_dir } = options.config;
    const authorities = await Authorities.open(state_dir, options.certificates);
    await options.store.tx(dropForeignChanges);
    await checkAuthorities(options.store, state_dir, authorities.fingerprints);
    const credentials = await controllerCredentials(authorities, options.config.agent_names);
    return new Hosts(options, authorities, credentials);
  }

  /** Listens for agents and begins to deliver. Resolves with the port. */
  async start(): Promise<number> {
    const { host, port } = splitAddress(this.#options.config.agent_listen);
    await this.#server.listen({ host, port });
    this.#credentialsCheck = setInterval(() => {
      this.#checkCredentials().catch((error) =>
        this.#options.log.error('the controller’s own certificate could not be renewed', { error }),
      );
    }, CREDENTIALS_CHECK_MS);
    this.#credentialsCheck.unref();
    this.#options.store.listen();
    this.#delivery.start();
    if (this.#leases) await this.#leases.start();
    else for (const { id } of await listHosts(this.#options.store.read)) this.#delivery.own(id, null);
    return (this.#server.server.address() as AddressInfo).port;
  }

  /**
   * Resolves when every host has answered or could not be reached, or after the time-out (ms): a controller that takes requests before
   * would find no host for any server.
   */
  async firstContacts(timeoutMs: number): Promise<void> {
    let waiting = (await listHosts(this.#options.store.read)).map(({ id }) => id);
    for (const deadline = performance.now() + timeoutMs; performance.now() < deadline; ) {
      waiting = waiting.filter((id) => !this.isUp(id) && this.deliveryFailing(id) === null);
      if (waiting.length === 0) return;
      await new Promise((resolve) => setTimeout(resolve, CONTACT_CHECK_MS));
    }
  }

  async close(): Promise<void> {
    if (this.#credentialsCheck) clearInterval(this.#credentialsCheck);
    await this.#server.close();
    await this.#heartbeats.close();
    await this.#leases?.close();
    await this.#delivery.close();
    this.#liveness.close();
    this.#clients.close();
  }

  onReport(listener: ReportListener): void {
    this.#reports.reportListeners.push(listener);
  }

  /** A host has destroyed what a tombstone named. */
  onGone(listener: GoneListener): void {
    this.#reports.goneListeners.push(listener);
  }

  /** A host told its hardware, or that it changed. */
  onFacts(listener: FactsListener): void {
    this.#heartbeats.factsListeners.push(listener);
  }

  /** The drift policy or the time after which a host counts as down has changed in the configuration. */
  reconfigured(): void {
    this.#liveness.downAfter(this.#options.config.host_down_after * 1000);
    this.#delivery.settingsChanged();
  }

  isUp(hostId: string): boolean {
    return this.#liveness.isUp(hostId);
  }

  isDown(hostId: string): boolean {
    return this.#liveness.isDown(hostId);
  }

  silence(hostId: string): number | null {
    return this.#liveness.silence(hostId);
  }

  deliveryFault(hostId: string): string | null {
    const queue = this.#delivery.of(hostId);
    return queue ? queue.fault : this.#shared.fault(hostId);
  }

  deliveryFailing(hostId: string): number | null {
    const queue = this.#delivery.of(hostId);
    if (!queue) return this.#shared.failing(hostId);
    return queue.failingSince === null ? null : performance.now() - queue.failingSince;
  }

  async confirmRemoval(hostId: string): Promise<void> {
    if (!this.#leases) return this.#delivery.of(hostId)?.confirmRemoval();
    await this.#shared.confirmRemoval(hostId);
    this.#leases.poke();
    await this.#options.store.notify('hosts');
  }

  async createJoinToken(
    request: JoinTokenRequest,
  ): Promise<{ readonly token: string; readonly expires_at: string }> {
    return await createJoinToken(this.#options.store, this.#authorities, request);
  }

  async forgetHost(hostId: string): Promise<void> {
    await this.#delivery.disown(hostId);
    this.#shared.forget(hostId);
    this.#heartbeats.forget(hostId);
    this.#liveness.forget(hostId);
    this.#clients.forget(hostId);
  }

  async consoleOutput(hostId: string, serverId: string, length: number | null): Promise<string> {
    const query = length === null ? '' : `?length=${length}`;
    return (await this.#ask<ConsoleReply>(hostId, `/v1/console/${encodeURIComponent(serverId)}${query}`))
      .output;
  }

  async probe(hostId: string, request: ProbeRequest): Promise<ProbeReply> {
    return await this.#ask<ProbeReply>(hostId, '/v1/probe', PROBE_TIMEOUT_MS, request);
  }

  async trace(hostId: string, request: TraceRequest): Promise<TraceReply> {
    return await this.#ask<TraceReply>(hostId, '/v1/trace', TRACE_TIMEOUT_MS, request);
  }

  async plan(hostId: string): Promise<Plan> {
    return await this.#ask<Plan>(hostId, '/v1/plan', PLAN_TIMEOUT_MS);
  }

  async doctor(hostId: string): Promise<DoctorReport> {
    return await this.#ask<DoctorReport>(hostId, '/v1/doctor', PLAN_TIMEOUT_MS);
  }

  async healDrift(hostId: string, request: DriftHeal): Promise<DriftHealReply> {
    return await this.#ask<DriftHealReply>(hostId, '/v1/drift/heal', PLAN_TIMEOUT_MS, request);
  }

  async logs(hostId: string, query: LogQuery): Promise<LogReply> {
    return await this.#ask<LogReply>(hostId, '/v1/logs', LOGS_TIMEOUT_MS, query);
  }

  async isNamed(hostId: string, key: ObjectKey): Promise<boolean> {
    const { store, kinds } = this.#options;
    return key in (await computeSpec(store, kinds, hostId)).spec;
  }

  async removeOrphan(hostId: string, removal: OrphanRemoval): Promise<void> {
    await this.#ask(hostId, '/v1/orphans/remove', PLAN_TIMEOUT_MS, removal);
  }

  async #ask<T>(hostId: string, path: string, timeoutMs?: number, body?: unknown): Promise<T> {
    const host = await findHost(this.#options.store.read, hostId);
    if (!host) throw notFound(`Host ${hostId} could not be found.`);
    try {
      const client = this.#clients.for(host);
      const method = body === undefined ? 'GET' : 'POST';
      const { status, body: answer } = await client.request<T>(method, path, body, timeoutMs);
      this.#liveness.contact(hostId);
      if (status === 200) return answer;
      const reason = (answer as { message?: string } | null)?.message ?? `status ${status}`;
      throw new MaruError(status === 409 ? 'conflict' : 'unavailable', `Host ${host.name}: ${reason}`);
    } catch (error) {
      if (!(error instanceof PeerUnreachable)) throw error;
      throw new MaruError('unavailable', `Host ${host.name} does not answer: ${error.message}`, {
        cause: error,
      });
    }
  }

  async #checkCredentials(): Promise<void> {
    const replaced = await this.#authorities.reload();
    // by the wall clock, which certificates go by: a machine may have slept
    if (replaced || Date.now() - this.#credentialsAt > CREDENTIALS_MS) await this.#renewCredentials();
  }

  async #renewCredentials(): Promise<void> {
    const credentials = await controllerCredentials(this.#authorities, this.#options.config.agent_names);
    (this.#server.server as unknown as TlsServer).setSecureContext(credentials);
    this.#clients.use(credentials);
    this.#credentialsAt = Date.now();
    await noteAuthorities(this.#options.store, this.#authorities.fingerprints);
  }
}
