import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { adminService } from '../../src/api/admin/service.js';
import { networkService } from '../../src/api/network/service.js';
import { onNetworkReports } from '../../src/core/network/reports.js';
import { networkKinds } from '../../src/desired/network-kinds.js';
import { specObject } from '../../src/protocol/keys.js';
import type { ObjectReport } from '../../src/protocol/messages.js';
import type { ObjectKey } from '../../src/protocol/objects.js';
import { findReports, storeReports } from '../../src/store/reports.js';
import type { TestUser } from '../support/app.js';
import { ComputeCloud } from '../support/compute-cloud.js';
import { DIALECTS } from '../support/stores.js';

const NEWER = { 'openstack-api-version': 'compute 2.90' };

/** A server with all that hangs on it, on a host that goes off; then everything is deleted. */
describe.each(DIALECTS)('deleting what is on a host that is off, on %s', (dialect) => {
  let cloud: ComputeCloud;
  let user: TestUser;
  let admin: TestUser;
  let host: string;

  beforeEach(async () => {
    cloud = await ComputeCloud.open({ dialect, services: [adminService, () => networkService] });
    user = await cloud.cloud.projectUser('demo');
    admin = await cloud.cloud.admin();
    host = await cloud.hosts.add(cloud.cloud, 'host1');
  });
  afterEach(() => cloud.close());

  const call = async (who: TestUser, method: string, url: string, body?: unknown) =>
    await cloud.cloud.request(method, url, { token: who.token, body });
  const make = async (who: TestUser, path: string, name: string, attributes: object) => {
    const reply = await call(who, 'POST', `/network/v2.0/${path}`, { [name]: attributes });
    expect(reply.status, reply.text).toBe(201);
    return reply.json[name];
  };

  /** The host says of all its network objects that they are as they should be, and of those it had and should not have that they are gone. */
  async function settle(): Promise<void> {
    const { app } = cloud.cloud;
    const reports = new Map<string, ObjectReport>();
    for (const { object_key } of await app.store.read.selectFrom('object_report').selectAll().execute()) {
      const key = object_key as ObjectKey;
      if (!key.startsWith('server/')) reports.set(key, { key, revision: null, state: 'gone' });
    }
    for (const kind of networkKinds) {
      for (const [id, body] of await kind.objects(app.store.read, host)) {
        const key: ObjectKey = `${kind.kind}/${id}`;
        reports.set(key, { key, revision: specObject(body).revision, state: 'applied' });
      }
    }
    await app.store.tx(async (tx) => {
      await storeReports(tx, host, [...reports.values()]);
      await onNetworkReports(app, tx, host, [...reports.values()]);
    });
  }

  /** Everything, up and running; gives where to find each thing, in the order in which it can be deleted. */
  async function build() {
    const external = await make(admin, 'networks', 'network', {
      name: 'public',
      'router:external': true,
      'provider:network_type': 'flat',
      'provider:physical_network': 'extnet',
    });
    await make(admin, 'subnets', 'subnet', {
      network_id: external.id,
      ip_version: 4,
      cidr: '203.0.113.0/24',
      enable_dhcp: false,
    });
    const network = await make(user, 'networks', 'network', { name: 'private' });
    const subnet = await make(user, 'subnets', 'subnet', {
      network_id: network.id,
      ip_version: 4,
      cidr: '10.3.0.0/24',
    });
    const router = await make(user, 'routers', 'router', {
      external_gateway_info: { network_id: external.id },
    });
    const plugged = { subnet_id: subnet.id };
    await call(user, 'PUT', `/network/v2.0/routers/${router.id}/add_router_interface`, plugged);
    const group = await make(user, 'security-groups', 'security_group', { name: 'web' });
    const created = await cloud.create(user.token, {
      networks: [{ uuid: network.id }],
      security_groups: [{ name: 'web' }],
    });
    const { id } = created.json.server;
    await cloud.applied(id);
    const ports = await call(user, 'GET', `/network/v2.0/ports?device_id=${id}`);
    const floating = await make(user, 'floatingips', 'floatingip', {
      floating_network_id: external.id,
      port_id: ports.json.ports[0].id,
    });
    await settle();
    const shown = await call(admin, 'GET', `/network/v2.0/networks/${network.id}`);
    return {
      id,
      external,
      vni: shown.json.network['provider:segmentation_id'] as number,
      fixed: ports.json.ports[0].fixed_ips[0].ip_address as string,
      floating: floating.floating_ip_address as string,
      router: router.id as string,
      plugged,
      urls: [
        `/compute/v2.1/servers/${id}`,
        `/network/v2.0/floatingips/${floating.id}`,
        `/network/v2.0/routers/${router.id}`,
        `/network/v2.0/networks/${network.id}`,
        `/network/v2.0/security-groups/${group.id}`,
      ],
    };
  }
  type Scene = Awaited<ReturnType<typeof build>>;

  async function removeAll(scene: Scene): Promise<void> {
    for (const url of scene.urls) {
      if (url.includes('/routers/')) {
        const reply = await call(user, 'PUT', `${url}/remove_router_interface`, scene.plugged);
        expect(reply.status, reply.text).toBe(200);
      }
      const reply = await call(user, 'DELETE', url);
      expect(reply.status, `${url}: ${reply.text}`).toBe(204);
      await cloud.cloud.app.tasks.drain();
    }
  }
  const answers = async ({ urls }: Scene) => {
    const statuses: number[] = [];
    for (const url of urls) statuses.push((await call(user, 'GET', url)).status);
    return statuses;
  };
  const GONE = [404, 404, 404, 404, 404];

  /** What asking for the same floating IP and the same tunnel as before gives. */
  async function again({ external, floating, vni }: Scene): Promise<number[]> {
    const address = await call(admin, 'POST', '/network/v2.0/floatingips', {
      floatingip: { floating_network_id: external.id, floating_ip_address: floating },
    });
    const tunnel = await call(admin, 'POST', '/network/v2.0/networks', {
      network: { 'provider:network_type': 'vxlan', 'provider:segmentation_id': vni },
    });
    return [address.status, tunnel.status];
  }

  async function nothingLeft(): Promise<void> {
    const db = cloud.cloud.app.store.read;
    for (const table of ['address_hold', 'vni_hold', 'tombstone', 'allocation'] as const) {
      expect(await db.selectFrom(table).selectAll().execute(), table).toEqual([]);
    }
    const quarantined = db.selectFrom('ip_allocation').selectAll().where('port_id', 'is', null);
    expect(await quarantined.execute()).toEqual([]);
  }

  it('is gone for the API at once, and for others when the host is back', async () => {
    const scene = await build();
    cloud.hosts.down.add(host);
    await removeAll(scene);
    expect(await answers(scene)).toEqual(GONE);
    for (const url of scene.urls) expect((await call(user, 'DELETE', url)).status, url).toBe(404);
    const limits = await call(user, 'GET', '/compute/v2.1/limits');
    expect(limits.json.limits.absolute).toMatchObject({ totalInstancesUsed: 0, totalRAMUsed: 0 });
    expect(await again(scene)).toEqual([409, 409]);

    const explained = await call(admin, 'GET', `/maru/v1/servers/${scene.id}/explain`);
    const { owed, wants } = explained.json.explanation;
    expect(wants).toMatch(/^nothing: deleted since /);
    expect(owed).toEqual([
      expect.stringMatching(/^host1 \(down\) has to destroy its guest and disks, asked since /),
      expect.stringMatching(
        new RegExp(`^host1 \\(down\\) has to report port/.* gone before address ${scene.fixed} `),
      ),
    ]);
    const { problems } = (await call(admin, 'GET', '/maru/v1/status')).json.status;
    expect(problems.map(({ what }: { what: string }) => what)).toContainEqual(
      expect.stringMatching(
        /^Host host1 is down and has 1 deleted server\(s\) or volume\(s\) to destroy since .*, keeps \d+ address\(es\) from being given out again, keeps 1 network segment\(s\)/,
      ),
    );

    cloud.hosts.down.delete(host);
    expect(await again(scene)).toEqual([409, 409]);
    await cloud.gone(host, scene.id);
    await settle();
    await nothingLeft();
    expect(await again(scene)).toEqual([201, 201]);
    expect(await findReports(cloud.cloud.app.store.read, host, [`server/${scene.id}`])).toEqual([]);
  });

  it('waits for the host as long as it may yet be up, and no longer', async () => {
    const scene = await build();
    const [server = ''] = scene.urls;
    expect((await call(user, 'DELETE', server)).status).toBe(204);
    await cloud.look();
    expect((await call(user, 'GET', server)).json.server['OS-EXT-STS:task_state']).toBe('deleting');
    const limits = await call(user, 'GET', '/compute/v2.1/limits');
    expect(limits.json.limits.absolute).toMatchObject({ totalInstancesUsed: 0 });
    expect((await call(user, 'DELETE', server)).status).toBe(204);
    cloud.hosts.down.add(host);
    await cloud.look();
    expect((await call(user, 'GET', server)).status).toBe(404);
  });

  it('a server that is being built is deleted as well, and two deletions at once are one', async () => {
    const { json } = await cloud.create(user.token, { networks: 'none' }, NEWER);
    const url = `/compute/v2.1/servers/${json.server.id}`;
    cloud.hosts.down.add(host);
    const replies = await Promise.all([call(user, 'DELETE', url), call(user, 'DELETE', url)]);
    expect(replies.every(({ status }) => status === 204 || status === 404)).toBe(true);
    await cloud.cloud.app.tasks.drain();
    expect((await call(user, 'GET', url)).status).toBe(404);
    cloud.hosts.down.delete(host);
    await cloud.gone(host, json.server.id);
    await nothingLeft();
  });

  it('a host that is removed owes nothing any more', async () => {
    const scene = await build();
    cloud.hosts.down.add(host);
    await removeAll(scene);
    expect(await again(scene)).toEqual([409, 409]);
    const removed = await call(admin, 'DELETE', '/maru/v1/hosts/host1?force=true');
    expect(removed.status, removed.text).toBeLessThan(300);
    await nothingLeft();
    expect(await again(scene)).toEqual([201, 201]);
  });
});
