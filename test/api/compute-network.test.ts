import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { insertRow } from '../../src/store/network/rows.js';
import type { TestUser } from '../support/app.js';
import { ComputeCloud } from '../support/compute-cloud.js';
import { DIALECTS } from '../support/stores.js';

describe.each(DIALECTS)('the old views of networking on %s', (dialect) => {
  let cloud: ComputeCloud;
  let user: TestUser;
  let other: TestUser;
  let hostId: string;

  beforeAll(async () => {
    cloud = await ComputeCloud.open({ dialect });
    user = await cloud.cloud.projectUser('demo');
    other = await cloud.cloud.projectUser('other');
    hostId = await cloud.hosts.add(cloud.cloud, 'host1');
  });
  afterAll(() => cloud.close());

  const nova = (method: string, path: string, body?: unknown, token = user.token, version = '2.1') =>
    cloud.cloud.request(method, `/compute/v2.1${path}`, {
      token,
      body,
      headers: { 'openstack-api-version': `compute ${version}` },
    });

  it('make, change and delete security groups and their rules', async () => {
    const made = await nova('POST', '/os-security-groups', {
      security_group: { name: 'web', description: 'w' },
    });
    expect(made.json.security_group).toMatchObject({ name: 'web', tenant_id: user.projectId, rules: [] });
    const { id } = made.json.security_group;
    const rule = { parent_group_id: id, ip_protocol: 'tcp', from_port: 22, to_port: 22, cidr: '10.2.3.4/24' };
    const added = await nova('POST', '/os-security-group-rules', { security_group_rule: rule });
    expect(added.json.security_group_rule).toMatchObject({
      from_port: 22,
      ip_range: { cidr: '10.2.3.4/24' },
      group: {},
    });
    const bad: [Record<string, unknown>, number][] = [
      [rule, 400],
      [{ ...rule, parent_group_id: 'x' }, 400],
      [{ ...rule, parent_group_id: randomUUID() }, 404],
      [{ ...rule, from_port: 70_000 }, 400],
      [{ ...rule, from_port: 80 }, 400],
      [{ ...rule, ip_protocol: 'nope' }, 400],
      [{ ...rule, cidr: 'nope' }, 400],
    ];
    for (const [security_group_rule, status] of bad) {
      const reply = await nova('POST', '/os-security-group-rules', { security_group_rule });
      expect([security_group_rule, reply.status]).toEqual([security_group_rule, status]);
    }
    const shown = (await nova('GET', `/os-security-groups/${id}`)).json.security_group;
    expect(shown.rules).toHaveLength(1);
    expect((await nova('GET', `/os-security-groups/${id}`, undefined, other.token)).status).toBe(404);
    expect((await nova('GET', `/os-security-groups/${id}`, undefined, user.token, '2.36')).status).toBe(404);
    expect((await nova('DELETE', `/os-security-group-rules/${shown.rules[0].id}`)).status).toBe(202);
    expect((await nova('DELETE', `/os-security-groups/${id}`)).status).toBe(202);
    const names = (await nova('GET', '/os-security-groups')).json.security_groups;
    expect(names.map((group: { name: string }) => group.name)).toEqual(['default']);
    expect((await nova('DELETE', `/os-security-groups/${names[0].id}`)).status).toBe(400);
  });

  it('put a server into a group and take it out again', async () => {
    const network = await cloud.network(user.projectId);
    const { id } = (await cloud.create(user.token, { networks: [{ uuid: network }] })).json.server;
    await cloud.applied(id);
    await nova('POST', '/os-security-groups', { security_group: { name: 'db' } });
    const act = (body: unknown) => nova('POST', `/servers/${id}/action`, body);
    const groups = async () =>
      (await nova('GET', `/servers/${id}`)).json.server.security_groups
        .map((group: { name: string }) => group.name)
        .sort();
    expect((await act({ addSecurityGroup: { name: 'db' } })).status).toBe(202);
    expect(await groups()).toEqual(['db', 'default']);
    expect((await nova('GET', `/servers/${id}/os-security-groups`)).json.security_groups).toHaveLength(2);
    expect((await act({ addSecurityGroup: { name: 'nope' } })).status).toBe(404);
    expect((await act({ removeSecurityGroup: { name: 'db' } })).status).toBe(202);
    expect(await groups()).toEqual(['default']);
    expect((await act({ removeSecurityGroup: { name: 'db' } })).status).toBe(404);
    await nova('DELETE', `/servers/${id}`);
    await cloud.gone(hostId, id);
  });

  it('leave ports alone that only claim to be a server’s', async () => {
    const network = await cloud.network(user.projectId);
    const foreign = await cloud.network(other.projectId, 'foreign');
    const { id } = (await cloud.create(user.token, { networks: [{ uuid: network }] })).json.server;
    await cloud.applied(id);
    const theirs = (await cloud.create(other.token, { networks: [{ uuid: foreign }] })).json.server.id;
    const { store } = cloud.cloud.app;
    // as if they had made a port of their own with somebody else's server in device_id
    const [port] = await store.read.selectFrom('port').selectAll().where('server_id', '=', theirs).execute();
    await store.tx((tx) =>
      tx.updateTable('port').set({ device_id: id, server_id: null }).where('id', '=', port!.id).execute(),
    );
    const added = await nova('POST', `/servers/${id}/action`, { addSecurityGroup: { name: 'db' } });
    expect(added.status).toBe(202);
    const groups = await store.read
      .selectFrom('port_security_group')
      .selectAll()
      .where('port_id', '=', port!.id)
      .execute();
    expect(groups).toHaveLength(1);
    expect(Object.keys((await nova('GET', `/servers/${id}/ips`)).json.addresses)).toEqual(['private']);
    expect((await nova('GET', `/servers/${id}/os-interface`)).json.interfaceAttachments).toHaveLength(1);
    expect((await nova('GET', `/servers/${id}/os-interface/${port!.id}`)).status).toBe(404);
    await nova('DELETE', `/servers/${id}`);
    const left = await store.read.selectFrom('port').select('id').where('id', '=', port!.id).execute();
    expect(left).toHaveLength(1);
  });

  it('show networks, and floating IPs of a project only', async () => {
    const id = randomUUID();
    const common = { project_id: other.projectId, description: '' };
    await cloud.cloud.app.store.tx((tx) =>
      insertRow(tx, 'network', {
        ...common,
        id,
        name: 'public',
        admin_state_up: 1,
        shared: 0,
        external: 1,
        is_default: 0,
        mtu: 1500,
        port_security_enabled: 1,
        dns_domain: '',
        network_type: 'flat',
        physical_network: 'extnet',
        segmentation_id: null,
      }),
    );
    const seen = (await nova('GET', '/os-networks')).json.networks;
    expect(seen).toContainEqual(expect.objectContaining({ id, label: 'public', cidr: null }));
    expect(seen[0]).not.toHaveProperty('vlan');
    const admin = await cloud.cloud.adminToken();
    const networks = (await nova('GET', '/os-networks', undefined, admin)).json.networks;
    expect(networks.find((network: { id: string }) => network.id === id)).toMatchObject({
      label: 'public',
      cidr: null,
    });
    expect((await nova('GET', '/os-floating-ip-pools')).json.floating_ip_pools).toEqual([{ name: 'public' }]);
    expect((await nova('GET', '/os-floating-ips')).json.floating_ips).toEqual([]);
    expect((await nova('POST', '/os-floating-ips', { pool: 'nope' })).status).toBe(404);
    expect((await nova('GET', `/os-floating-ips/${randomUUID()}`)).status).toBe(404);
  });
});
