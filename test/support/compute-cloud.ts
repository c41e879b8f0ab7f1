import { randomUUID } from 'node:crypto';
import { adminService } from '../../src/api/admin/service.js';
import { computeService } from '../../src/api/compute/service.js';
import { imageService } from '../../src/api/image/service.js';
import { networkService } from '../../src/api/network/service.js';
import { placementService } from '../../src/api/placement/service.js';
import { volumeService } from '../../src/api/volume/service.js';
import { createDefaultFlavors } from '../../src/core/flavor/defaults.js';
import { onServerGone } from '../../src/core/server/delete.js';
import { onServerReports } from '../../src/core/server/report.js';
import { serverObjects } from '../../src/desired/server.js';
import { specObject } from '../../src/protocol/keys.js';
import type { ObjectReport, ObservedServer } from '../../src/protocol/messages.js';
import { findServers, type ServerRow } from '../../src/store/compute/server.js';
import { deleteTombstones } from '../../src/store/hosts.js';
import { insertImage } from '../../src/store/image.js';
import { insertRow } from '../../src/store/network/rows.js';
import { storeReports } from '../../src/store/reports.js';
import { nowText } from '../../src/store/store.js';
import { TestApp, type TestAppOptions } from './app.js';
import { RowHosts } from './fake-hosts.js';

/** A cloud with the compute service, default flavors and an image; hosts and networks as the test adds them. */
export class ComputeCloud {
  readonly cloud: TestApp;
  readonly hosts: RowHosts;
  /** An active public image. */
  readonly imageId: string;
  /** Of the network made last. */
  #vni = 0;

  private constructor(cloud: TestApp, hosts: RowHosts, imageId: string) {
    this.cloud = cloud;
    this.hosts = hosts;
    this.imageId = imageId;
  }

  /** With the APIs of all services. */
  static async openWhole(): Promise<ComputeCloud> {
    return await ComputeCloud.open({
      services: [
        () => adminService(),
        () => networkService,
        ({ config }) => volumeService(config),
        ({ config }) => imageService(config),
      ],
    });
  }

  static async open(options: TestAppOptions = {}): Promise<ComputeCloud> {
    const hosts = new RowHosts();
    const cloud = await TestApp.open({
      ...options,
      services: [
        (app) => computeService(app.config),
        (app) => placementService(app.config),
        ...(options.services ?? []),
      ],
      parts: { hosts: hosts.gateway, ...options.parts },
    });
    await createDefaultFlavors(cloud.app);
    const imageId = randomUUID();
    const now = nowText();
    await cloud.app.store.tx((tx) =>
      insertImage(tx, {
        id: imageId,
        name: 'tiny',
        owner: '',
        status: 'active',
        visibility: 'public',
        protected: 0,
        os_hidden: 0,
        container_format: 'bare',
        disk_format: 'qcow2',
        min_disk: 0,
        min_ram: 0,
        size: 30_000_000,
        virtual_size: 200_000_000,
        checksum: 'd41d8cd98f00b204e9800998ecf8427e',
        sha512: 'ab'.repeat(64),
        unbootable_reason: null,
        file_name: null,
        created_at: now,
        updated_at: now,
        deleted: 0,
      }),
    );
    return new ComputeCloud(cloud, hosts, imageId);
  }

  /** A tenant network with one subnet 10.8.0.0/22. */
  async network(projectId: string, name = 'private', physical: string | null = null): Promise<string> {
    const id = randomUUID();
    const common = { project_id: projectId, description: '' };
    await this.cloud.app.store.tx(async (tx) => {
      await insertRow(tx, 'network', {
        ...common,
        id,
        name,
        admin_state_up: 1,
        shared: 0,
        external: 0,
        is_default: 0,
        mtu: 1450,
        port_security_enabled: 1,
        dns_domain: '',
        network_type: physical ? 'flat' : 'vxlan',
        physical_network: physical,
        segmentation_id: physical ? null : ++this.#vni,
      });
      await insertRow(tx, 'subnet', {
        ...common,
        id: randomUUID(),
        name: `${name}-subnet`,
        network_id: id,
        ip_version: 4,
        cidr: '10.8.0.0/22',
        gateway_ip: '10.8.0.1',
        enable_dhcp: 1,
        ipv6_ra_mode: null,
        ipv6_address_mode: null,
        allocation_pools: JSON.stringify([{ start: '10.8.0.2', end: '10.8.3.254' }]),
        dns_nameservers: '[]',
        host_routes: '[]',
        service_types: '[]',
      });
    });
    return id;
  }

  /** POST /servers with the image and m1.tiny unless said otherwise. */
  async create(token: string, server: Record<string, unknown> = {}, headers: Record<string, string> = {}) {
    return await this.cloud.request('POST', '/compute/v2.1/servers', {
      token,
      headers,
      body: { server: { name: 's1', imageRef: this.imageId, flavorRef: '1', ...server } },
    });
  }

  async row(id: string): Promise<ServerRow> {
    const [row] = await findServers(this.cloud.app.store.read, [id]);
    if (!row) throw new Error(`no server ${id}`);
    return row;
  }

  /** What the server's host would report once it has done everything that is asked of it now. */
  async applied(
    id: string,
    power_state: ObservedServer['power_state'] = 'running',
    more: Partial<ObjectReport> = {},
  ): Promise<void> {
    const row = await this.row(id);
    const object = (await serverObjects(this.cloud.app.store.read, [row])).get(id)!;
    await this.report(row.host_id!, {
      key: `server/${id}`,
      revision: specObject<'server'>(object).revision,
      state: 'applied',
      observed: { power_state, launched_at: nowText() },
      ...more,
    });
  }

  async report(hostId: string, report: ObjectReport): Promise<void> {
    const { app } = this.cloud;
    await app.store.tx(async (tx) => {
      await storeReports(tx, hostId, [report]);
      await onServerReports(app, tx, hostId, [report]);
    });
  }

  /** The host has destroyed the server. */
  async gone(hostId: string, id: string): Promise<void> {
    const { app } = this.cloud;
    const key = `server/${id}` as const;
    await app.store.tx(async (tx) => {
      await storeReports(tx, hostId, [{ key, revision: null, state: 'gone' }]);
      await deleteTombstones(tx, hostId, [key]);
      await onServerGone(app, tx, hostId, id);
    });
  }

  /** The deadlines of all tasks pass, and what is due is done. */
  async overdue(): Promise<void> {
    const past = '2000-01-01T00:00:00.000Z';
    await this.cloud.app.store.tx((tx) =>
      tx
        .updateTable('task')
        .set({ deadline: past, next_run_at: past })
        .where('finished_at', 'is', null)
        .where('deadline', 'is not', null)
        .execute(),
    );
    await this.cloud.app.tasks.drain();
  }

  /** What tasks wait for a time for is looked at now. */
  async look(): Promise<void> {
    await this.cloud.app.store.tx((tx) =>
      tx
        .updateTable('task')
        .set({ next_run_at: '2000-01-01T00:00:00.000Z' })
        .where('finished_at', 'is', null)
        .execute(),
    );
    await this.cloud.app.tasks.drain();
  }

  async close(): Promise<void> {
    await this.cloud.close();
  }
}
