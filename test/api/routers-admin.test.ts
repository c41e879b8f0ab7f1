import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adminService } from '../../src/api/admin/service.js';
import { networkService } from '../../src/api/network/service.js';
import { listHosts } from '../../src/store/hosts.js';
import { TestApp, type TestUser } from '../support/app.js';
import { RowHosts } from '../support/fake-hosts.js';

describe('routers and their hosts, for operators', () => {
  const hosts = new RowHosts();
  let cloud: TestApp;
  let admin: TestUser;
  let router: { id: string };

  const call = (method: string, path: string, body?: unknown, user = admin) =>
    cloud.request(method, `/maru/v1/routers${path}`, { token: user.token, body });

  beforeAll(async () => {
    const services = [() => networkService, () => adminService()];
    cloud = await TestApp.open({ services, parts: { hosts: hosts.gateway } });
    admin = await cloud.admin();
    await hosts.add(cloud, 'host1');
    const made = await cloud.request('POST', '/network/v2.0/networks', {
      token: admin.token,
      body: {
        network: {
          'router:external': true,
          'provider:network_type': 'flat',
          'provider:physical_network': 'extnet',
        },
      },
    });
    const { network } = made.json as { network: { id: string } };
    await cloud.request('POST', '/network/v2.0/subnets', {
      token: admin.token,
      body: { subnet: { network_id: network.id, cidr: '172.24.4.0/24', ip_version: 4 } },
    });
    const reply = await cloud.request('POST', '/network/v2.0/routers', {
      token: admin.token,
      body: { router: { name: 'r', external_gateway_info: { network_id: network.id } } },
    });
    router = (reply.json as { router: { id: string } }).router;
    await hosts.add(cloud, 'host2');
    await hosts.add(cloud, 'host3', { physical_networks: [] });
  });
  afterAll(() => cloud?.close());

  it('are listed with host, epoch and state', async () => {
    expect((await call('GET', '')).json).toEqual({
      routers: [
        {
          id: router.id,
          name: 'r',
          project_id: admin.projectId,
          host: 'host1',
          epoch: 1,
          physical_network: 'extnet',
          state: 'up',
          note: '',
          to_be_given_up_by: [],
        },
      ],
    });
    expect((await call('GET', '/nowhere')).status).toBe(404);
    expect((await call('GET', '', undefined, await cloud.projectUser('demo'))).status).toBe(403);
  });

  it('are moved only to a host that can have them, and once at a time', async () => {
    for (const [host, status] of [
      ['host1', 409],
      ['host3', 409],
      ['host9', 404],
    ] as const) {
      expect((await call('POST', `/${router.id}/move`, { host })).status, host).toBe(status);
    }
    const { status, json } = await call('POST', `/${router.id}/move`, { host: 'host2' });
    expect(status).toBe(202);
    expect(json).toMatchObject({
      router: { host: 'host1', epoch: 1, state: 'moving', to_be_given_up_by: ['host1'] },
    });
    const again = await call('POST', `/${router.id}/move`, {});
    expect([again.status, again.text]).toEqual([409, expect.stringContaining('maru task show')]);
  });

  it('are back on their host at once when the last other one is lost while they are moved', async () => {
    const look = async () => {
      await cloud.app.store.tx((tx) => cloud.app.tasks.wake(tx, { kind: 'router', id: router.id }));
      await cloud.app.tasks.drain();
      return (await call('GET', `/${router.id}`)).json;
    };
    expect(await look()).toMatchObject({
      router: { state: 'moving', note: 'for host host1 to give the router up' },
    });
    for (const name of ['host2', 'host3']) {
      const [row] = (await listHosts(cloud.app.store.read)).filter((host) => host.name === name);
      hosts.down.add(row!.id);
    }
    expect(await look()).toMatchObject({
      router: { host: 'host1', epoch: 2, state: 'up', to_be_given_up_by: [] },
    });
    const tasks = await cloud.request('GET', '/maru/v1/tasks?all=true', {
      token: admin.token,
    });
    expect(tasks.text).toContain('no other host can have router');
  });
});
