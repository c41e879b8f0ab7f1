import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ANONYMOUS } from '../../src/api/shared/context.js';
import type { App } from '../../src/core/app.js';
import type { Context } from '../../src/core/context.js';
import { createNetwork } from '../../src/core/network/network.js';
import { onNetworkReports } from '../../src/core/network/reports.js';
import { createServerPorts, type RequestedNic } from '../../src/core/port/for-server.js';
import { createPort } from '../../src/core/port/port.js';
import { addInterface } from '../../src/core/router/interfaces.js';
import { createRouter } from '../../src/core/router/router.js';
import { routerMove } from '../../src/core/router/tasks/move.js';
import { createSubnet } from '../../src/core/subnet/subnet.js';
import { networkKinds } from '../../src/desired/network-kinds.js';
import { specObject } from '../../src/protocol/keys.js';
import { createLogger } from '../../src/protocol/log.js';
import type { ObjectReport } from '../../src/protocol/messages.js';
import type { ObjectKey } from '../../src/protocol/objects.js';
import { insertHost, setPhysicalNetworks } from '../../src/store/hosts.js';
import { storeReports } from '../../src/store/reports.js';
import { nowText, type Store, type Tx } from '../../src/store/store.js';
import type { TaskKind } from '../../src/tasks/kind.js';
import { Tasks } from '../../src/tasks/tasks.js';
import { testConfig } from './app.js';

/** The rules of the network service on a bare store: for tests that need rows and hosts, not HTTP. */
export class NetworkCore {
  readonly store: Store;
  readonly app: App;
  /** An administrator of project `project`. */
  readonly ctx: Context;
  readonly #directory: string;

  constructor(store: Store, parts: Partial<App> = {}) {
    this.#directory = mkdtempSync(join(tmpdir(), 'maru-network-'));
    this.store = store;
    const hosts = { isUp: () => true, isDown: () => false, silence: () => null, deliveryFault: () => null };
    const log = createLogger('error', {}, () => {});
    const tasks = new Tasks({ store, log, leaseSeconds: 10, pollSeconds: 0.1, retrySeconds: 0.01 });
    const app = { config: testConfig(this.#directory), store, log, hosts, tasks, ...parts };
    // the rules of the network service use no other parts of the app
    this.app = app as unknown as App;
    tasks.register(routerMove(this.app) as TaskKind);
    this.ctx = {
      requestId: `req-${randomUUID()}`,
      token: ANONYMOUS,
      userId: 'user',
      projectId: 'project',
      isAdmin: true,
      reaches: () => true,
      listScope: () => null,
      allows: () => true,
      authorize: () => {},
    };
  }

  close(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async host(id: string, physical: readonly string[] = ['extnet']): Promise<string> {
    await this.store.tx(async (tx) => {
      await insertHost(tx, {
        id,
        name: `name-of-${id}`,
        enabled: 1,
        disabled_reason: null,
        agent_url: `https://${id}:5444`,
        underlay_ip: `192.0.2.${id.length}${id.charCodeAt(id.length - 1) % 10}`,
        boot_id: null,
        facts: null,
        usage: null,
        orphans: null,
        simulated: 0,
        sequence: 0,
        certificate_fingerprint: null,
        certificate_expires_at: null,
        last_seen_at: nowText(),
        created_at: nowText(),
      });
      await setPhysicalNetworks(tx, id, physical);
    });
    return id;
  }

  /** What a host reports about network objects. */
  async report(host: string, ...reports: ObjectReport[]): Promise<void> {
    await this.store.tx(async (tx) => {
      await storeReports(tx, host, reports);
      await onNetworkReports(this.app, tx, host, reports);
    });
  }

  /** The host reports that these objects are as they should be now, or gone when it should not have them. */
  async applied(host: string, ...keys: ObjectKey[]): Promise<void> {
    const wanted = new Map<string, string>();
    for (const kind of networkKinds) {
      for (const [id, body] of await kind.objects(this.store.read, host)) {
        wanted.set(`${kind.kind}/${id}`, specObject(body).revision);
      }
    }
    const report = (key: ObjectKey): ObjectReport => {
      const revision = wanted.get(key) ?? null;
      return { key, revision, state: revision === null ? 'gone' : 'applied' };
    };
    await this.report(host, ...keys.map(report));
  }

  network(tx: Tx, attributes: object = {}) {
    return createNetwork(tx, this.app, this.ctx, {
      project_id: 'project',
      name: '',
      description: '',
      admin_state_up: true,
      shared: false,
      'router:external': false,
      is_default: false,
      mtu: 0,
      port_security_enabled: true,
      dns_domain: '',
      ...attributes,
    });
  }

  subnet(tx: Tx, network_id: string, cidr: string, attributes: object = {}) {
    return createSubnet(tx, this.app, this.ctx, {
      project_id: 'project',
      network_id,
      name: '',
      description: '',
      ip_version: cidr.includes(':') ? 6 : 4,
      cidr,
      dns_nameservers: [],
      host_routes: [],
      enable_dhcp: true,
      service_types: [],
      ...attributes,
    });
  }

  router(tx: Tx, attributes: object = {}) {
    return createRouter(tx, this.app, this.ctx, {
      project_id: 'project',
      name: '',
      description: '',
      admin_state_up: true,
      ...attributes,
    });
  }

  connect(tx: Tx, router: Parameters<typeof addInterface>[3], subnet_id: string) {
    return addInterface(tx, this.app, this.ctx, router, { subnet_id });
  }

  port(tx: Tx, network_id: string, attributes: object = {}) {
    return createPort(tx, this.app, this.ctx, {
      project_id: 'project',
      network_id,
      name: '',
      description: '',
      admin_state_up: true,
      device_id: '',
      device_owner: '',
      dns_name: '',
      'binding:vnic_type': 'normal',
      ...attributes,
    });
  }

  /** A server's ports on a host; returns the server's id with them. */
  async server(
    tx: Tx,
    requested: readonly RequestedNic[],
    hostId: string | null,
    securityGroups: string[] = [],
  ) {
    const serverId = randomUUID();
    const request = { serverId, projectId: 'project', requested, securityGroups, hostId };
    return { serverId, ports: await createServerPorts(tx, this.ctx, this.app, request) };
  }
}
