import { afterEach, describe, expect, it } from 'vitest';
import { adminService } from '../../src/api/admin/service.js';
import { networkService } from '../../src/api/network/service.js';
import { volumeService } from '../../src/api/volume/service.js';
import type { HostRemoval } from '../../src/core/host/remove.js';
import { findHostByName, findRemovedHosts, listTombstones } from '../../src/store/hosts.js';
import { ComputeCloud } from '../support/compute-cloud.js';
import { DIALECTS } from '../support/stores.js';

describe.each(DIALECTS)('removing a host on %s', (dialect) => {
  let at: ComputeCloud;
  afterEach(() => at?.close());

  /** host1 with a running server, one being deleted, a volume and a router; host2 is empty. */
  async function scene() {
    at = await ComputeCloud.open({
      dialect,
      services: [() => networkService, () => adminService(), (app) => volumeService(app.config)],
    });
    const { cloud, hosts } = at;
    const admin = await cloud.admin();
    const alice = await cloud.projectUser('alice');
    const ask = async (method: string, path: string, body?: unknown, token = admin.token) => {
      const reply = await cloud.request(method, path, { token, body });
      if (reply.status >= 400) throw new Error(`${method} ${path}: ${reply.status} ${reply.text}`);
      return reply.json;
    };
    const host1 = await hosts.add(cloud, 'host1');
    const { network } = await ask('POST', '/network/v2.0/networks', {
      network: {
        name: 'ext',
        'router:external': true,
        'provider:network_type': 'flat',
        'provider:physical_network': 'extnet',
      },
    });
    await ask('POST', '/network/v2.0/subnets', {
      subnet: { network_id: network.id, cidr: '172.24.4.0/24', ip_version: 4 },
    });
    const { router } = await ask('POST', '/network/v2.0/routers', {
      router: { name: 'r1', external_gateway_info: { network_id: network.id } },
    });
    const net = await at.network(alice.projectId);
    const server = async (name: string) => {
      const made = await at.create(alice.token, { name, networks: [{ uuid: net }] });
      expect(made.status).toBe(202);
      const id = made.json.server.id as string;
      await at.applied(id);
      return id;
    };
    const kept = await server('web1');
    const leaving = await server('web2');
    await ask('DELETE', `/compute/v2.1/servers/${leaving}`, undefined, alice.token);
    const { volume } = await ask(
      'POST',
      `/volume/v3/${alice.projectId}/volumes`,
      { volume: { size: 1, name: 'data' } },
      alice.token,
    );
    const host2 = await hosts.add(cloud, 'host2');
    const show = (path: string, who = alice.token) => cloud.request('GET', path, { token: who });
    const remove = (host: string, query = '') =>
      cloud.request('DELETE', `/maru/v1/hosts/${host}${query}`, { token: admin.token });
    return { cloud, admin, alice, ask, show, remove, host1, host2, kept, leaving, volume, router, net };
  }

  it('is refused, with the list, while anything is on it, and then changes nothing', async () => {
    const { cloud, remove, kept, leaving, volume, router, show } = await scene();
    const refusal = await remove('host1');
    expect(refusal.status).toBe(409);
    const { message } = refusal.json.error;
    for (const part of [
      '2 servers',
      `web1 ${kept}`,
      `web2 ${leaving}`,
      `1 volume (data ${volume.id})`,
      `1 router (r1 ${router.id})`,
      '1 object to destroy',
      '--force',
    ])
      expect(message).toContain(part);
    expect(await findHostByName(cloud.app.store.read, 'host1')).toBeDefined();
    expect((await show(`/compute/v2.1/servers/${kept}`)).json.server.status).toBe('ACTIVE');
    expect((await remove('nowhere')).status).toBe(404);
  });

  it('takes an empty host away at once, and what was known of it', async () => {
    const { cloud, remove, host2 } = await scene();
    const reply = await remove('host2');
    expect(reply.status).toBe(200);
    expect(reply.json.removal).toMatchObject({
      host: { name: 'host2' },
      lost: false,
      servers: [],
      volumes: [],
    });
    const db = cloud.app.store.read;
    expect(await findHostByName(db, 'host2')).toBeUndefined();
    expect(await findRemovedHosts(db, 'host2')).toMatchObject([{ host_id: host2, lost: 0 }]);
    for (const table of ['inventory', 'resource_provider', 'host_number', 'host_physical_network'] as const) {
      const left = await db.selectFrom(table).select('host_id').where('host_id', '=', host2).execute();
      expect(left, table).toEqual([]);
    }
  });

  it('with force says what is lost: servers are in ERROR, deletions end, routers move, addresses are free again', async () => {
    const { cloud, alice, remove, show, host1, host2, kept, leaving, volume, router } = await scene();
    const db = cloud.app.store.read;
    const held = async () =>
      await db.selectFrom('address_hold').selectAll().where('host_id', '=', host1).execute();
    expect((await held()).length).toBeGreaterThan(0);
    at.hosts.down.add(host1);
    const reply = await remove('host1', '?force=true');
    expect(reply.status).toBe(200);
    const removal = reply.json.removal as HostRemoval;
    expect(removal).toMatchObject({
      lost: true,
      servers: [{ id: kept, name: 'web1' }],
      volumes: [{ id: volume.id, name: 'data' }],
      routers: [{ id: router.id, name: 'r1', moved_to: 'host2' }],
      unconfirmed: [`server/${leaving}`],
    });
    expect(removal.warnings.join()).toContain('host1 must not come up again');

    const server = (await show(`/compute/v2.1/servers/${kept}`)).json.server;
    expect(server.status).toBe('ERROR');
    expect(server.fault.message).toContain('host was removed from the cloud as lost');
    const row = await at.row(kept);
    expect(row).toMatchObject({ host_id: null, observed_power: null, task_state: null });
    // its addresses stay its own, but no host has its ports
    const ports = (await show(`/network/v2.0/ports?device_id=${kept}`)).json.ports;
    expect(ports).toMatchObject([{ status: 'DOWN', fixed_ips: [{}] }]);
    expect((await show(`/compute/v2.1/servers/${leaving}`)).status).toBe(404);
    const lost = (await show(`/volume/v3/${alice.projectId}/volumes/${volume.id}`)).json.volume;
    expect(lost.status).toBe('error');

    expect(await held()).toEqual([]);
    const quarantined = await db
      .selectFrom('ip_allocation')
      .selectAll()
      .where('port_id', 'is', null)
      .execute();
    expect(quarantined).toEqual([]);
    expect(await listTombstones(db, host1)).toEqual([]);
    expect(await db.selectFrom('allocation').selectAll().where('host_id', '=', host1).execute()).toEqual([]);
    expect(await db.selectFrom('port_binding').selectAll().where('host_id', '=', host1).execute()).toEqual(
      [],
    );
    expect((await db.selectFrom('router').selectAll().executeTakeFirstOrThrow()).host_id).toBe(host2);
    expect(await findRemovedHosts(db, 'host1')).toMatchObject([{ lost: 1 }]);

    // what is left can be deleted as usual
    expect(
      (await cloud.request('DELETE', `/compute/v2.1/servers/${kept}`, { token: alice.token })).status,
    ).toBe(204);
    expect((await show(`/compute/v2.1/servers/${kept}`)).status).toBe(404);
    const path = `/volume/v3/${alice.projectId}/volumes/${volume.id}`;
    expect((await cloud.request('DELETE', path, { token: alice.token })).status).toBe(202);
    expect((await show(path)).status).toBe(404);
  });

  it('has another host build what it had yet to build', async () => {
    const { cloud, alice, remove, show, net } = await scene();
    await remove('host2');
    const made = await at.create(alice.token, { name: 'building', networks: [{ uuid: net }] });
    const { id } = made.json.server;
    const host3 = await at.hosts.add(cloud, 'host3');
    const reply = await remove('host1', '?force=true');
    const lost = (reply.json.removal as HostRemoval).servers.map(({ name }) => name);
    expect(lost).toEqual(['web1']);
    expect(await at.row(id)).toMatchObject({ status: 'BUILD', host_id: host3, run_epoch: 2, failed: 0 });
    const allocated = await cloud.app.store.read
      .selectFrom('allocation')
      .select('host_id')
      .distinct()
      .where('consumer_id', '=', id)
      .execute();
    expect(allocated).toEqual([{ host_id: host3 }]);
    await at.applied(id);
    expect((await show(`/compute/v2.1/servers/${id}`)).json.server.status).toBe('ACTIVE');
  });

  it('does not wait for what the host would have said about a server that is being built', async () => {
    const { cloud, alice, remove, show, net, host2 } = await scene();
    await remove('host2');
    const made = await at.create(alice.token, { name: 'building', networks: [{ uuid: net }] });
    const { id } = made.json.server;
    expect((await show(`/compute/v2.1/servers/${id}`)).json.server.status).toBe('BUILD');
    await remove('host1', '?force=true');
    expect((await show(`/compute/v2.1/servers/${id}`)).json.server.status).toBe('ERROR');
    expect(await cloud.app.tasks.isActive(cloud.app.store.read, { kind: 'server', id })).toBe(false);
    await at.overdue();
    expect(await at.row(id)).toMatchObject({ host_id: null, failed: 1 });
    expect(host2).toBeDefined();
  });
});
