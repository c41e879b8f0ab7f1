import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestUser } from '../support/app.js';
import { ComputeCloud } from '../support/compute-cloud.js';
import { DIALECTS } from '../support/stores.js';

const V = (version: string) => ({ 'openstack-api-version': `compute ${version}` });
const P = (version: string) => ({ 'openstack-api-version': `placement ${version}` });

describe.each(DIALECTS)('the compute API besides servers on %s', (dialect) => {
  let cloud: ComputeCloud;
  let user: TestUser;
  let admin: string;
  let hostId: string;

  beforeAll(async () => {
    cloud = await ComputeCloud.open({ dialect });
    user = await cloud.cloud.projectUser('demo');
    admin = await cloud.cloud.adminToken();
    hostId = await cloud.hosts.add(cloud.cloud, 'host1');
  });
  afterAll(() => cloud.close());

  const request = (
    method: string,
    path: string,
    token: string | undefined,
    body?: unknown,
    headers: Record<string, string> = {},
  ) => cloud.cloud.request(method, path, { token, body, headers });
  const nova = (
    method: string,
    path: string,
    token?: string,
    body?: unknown,
    headers?: Record<string, string>,
  ) => request(method, `/compute${path}`, token, body, headers);

  describe('discovery and errors', () => {
    it('lists versions; each self link returns itself', async () => {
      for (const path of ['/compute', '/compute/']) {
        const { status, json } = await request('GET', path, undefined);
        expect(status).toBe(200);
        expect(json.versions.map((v: { id: string }) => v.id)).toEqual(['v2.0', 'v2.1']);
        expect(json.versions[0]).toMatchObject({ version: '', min_version: '', status: 'SUPPORTED' });
        expect(json.versions[1]).toMatchObject({ version: '2.96', min_version: '2.1', status: 'CURRENT' });
        for (const version of json.versions) {
          const self = new URL(version.links[0].href).pathname;
          expect((await request('GET', self, undefined)).json.version.id).toBe(version.id);
        }
      }
      expect((await nova('GET', '/v2.1')).status).toBe(200);
    });

    it('negotiates microversions and echoes both headers', async () => {
      for (const headers of [V('2.42'), { 'x-openstack-nova-api-version': '2.42' }]) {
        const reply = await nova('GET', '/v2.1/servers', user.token, undefined, headers);
        expect(reply.headers['openstack-api-version']).toBe('compute 2.42');
        expect(reply.headers['x-openstack-nova-api-version']).toBe('2.42');
        expect(reply.headers['x-compute-request-id']).toBe(reply.headers['x-openstack-request-id']);
      }
      const latest = await nova('GET', '/v2.1/servers', user.token, undefined, V('latest'));
      expect(latest.headers['x-openstack-nova-api-version']).toBe('2.96');
      const far = await nova('GET', '/v2.1/servers', user.token, undefined, V('2.999'));
      expect(far.status).toBe(406);
      expect(far.json).toEqual({
        computeFault: {
          code: 406,
          message: 'Version 2.999 is not supported by the API. Minimum is 2.1 and maximum is 2.96.',
        },
      });
      expect(far.headers['openstack-api-version']).toBe('compute 2.999');
      const malformed = await nova('GET', '/v2.1/servers', user.token, undefined, V('x.y'));
      expect(malformed.json.badRequest.message).toBe(
        'API Version String x.y is of invalid format. Must be of format MajorNum.MinorNum.',
      );
    });

    it('answers in Nova’s error formats', async () => {
      const bad = await nova('GET', '/v2.1/servers', 'bad');
      expect(bad.status).toBe(401);
      expect(bad.json.error).toEqual({
        code: 401,
        title: 'Unauthorized',
        message: 'The request you have made requires authentication.',
      });
      expect(bad.headers['www-authenticate']).toBe('Keystone uri="http://127.0.0.1:5000/identity"');
      const page = await nova('GET', '/v2.1/nope', user.token);
      expect(page.status).toBe(404);
      expect(page.headers['content-type']).toBe('text/html; charset=UTF-8');
      expect((await nova('PUT', '/v2.1/servers', user.token)).status).toBe(404);
      const json = await nova('GET', '/v2.1/nope', user.token, undefined, { accept: 'application/json' });
      expect(json.json).toEqual({
        message: 'The resource could not be found.<br /><br />\n\n\n',
        code: '404 Not Found',
        title: 'Not Found',
      });
      const empty = await nova('POST', '/v2.1/servers', user.token, { server: {} });
      expect(empty.json.badRequest.message).toBe(
        "Invalid input for field/attribute server. Value: {}. 'name' is a required property",
      );
      expect((await nova('POST', '/v2.1/servers', user.token, '{bad')).json.badRequest.message).toBe(
        'Malformed request body',
      );
    });
  });

  describe('flavors', () => {
    it('has the default ones, with filters and pages', async () => {
      const { json } = await nova('GET', '/v2.1/flavors/detail', user.token);
      expect(json.flavors.map((f: { name: string }) => f.name)).toEqual([
        'm1.tiny',
        'm1.small',
        'm1.medium',
        'm1.large',
        'm1.xlarge',
      ]);
      expect(json.flavors[0]).toMatchObject({ id: '1', ram: 512, disk: 1, vcpus: 1, swap: '' });
      const big = await nova(
        'GET',
        '/v2.1/flavors?minRam=4096&minDisk=80&sort_key=memory_mb&sort_dir=desc',
        user.token,
      );
      expect(big.json.flavors.map((f: { id: string }) => f.id)).toEqual(['5', '4']);
      const page = await nova('GET', '/v2.1/flavors?limit=2&marker=1', user.token);
      expect(page.json.flavors.map((f: { id: string }) => f.id)).toEqual(['2', '3']);
      expect(page.json.flavors_links[0].href).toMatch(/limit=2&marker=3$/);
      expect((await nova('GET', '/v2.1/flavors?limit=bad', user.token)).json.badRequest.message).toBe(
        "Invalid input for query parameters limit. Value: bad. 'bad' does not match '^[0-9]*$'",
      );
    });

    it('are made by administrators, private ones seen by whom they are given to', async () => {
      const body = {
        flavor: { name: 'own', ram: '64', vcpus: 1, disk: 1, swap: 128, 'os-flavor-access:is_public': false },
      };
      expect((await nova('POST', '/v2.1/flavors', user.token, body)).status).toBe(403);
      const made = await nova('POST', '/v2.1/flavors', admin, body, V('2.61'));
      expect(made.status).toBe(200);
      const { id } = made.json.flavor;
      expect(made.json.flavor).toMatchObject({ ram: 64, swap: 128, extra_specs: {}, description: null });
      expect((await nova('POST', '/v2.1/flavors', admin, body)).status).toBe(409);
      expect((await nova('GET', `/v2.1/flavors/${id}`, user.token)).status).toBe(404);
      const action = (key: string) =>
        nova('POST', `/v2.1/flavors/${id}/action`, admin, { [key]: { tenant: user.projectId } });
      expect((await action('addTenantAccess')).json).toEqual({
        flavor_access: [{ flavor_id: id, tenant_id: user.projectId }],
      });
      expect((await action('addTenantAccess')).status).toBe(409);
      expect((await nova('GET', `/v2.1/flavors/${id}`, user.token)).status).toBe(200);
      const seen = (await nova('GET', '/v2.1/flavors', user.token)).json.flavors;
      expect(seen.some((f: { id: string }) => f.id === id)).toBe(true);
      expect((await action('removeTenantAccess')).json).toEqual({ flavor_access: [] });
      expect((await nova('GET', `/v2.1/flavors/${id}`, user.token)).status).toBe(404);

      const specs = `/v2.1/flavors/${id}/os-extra_specs`;
      expect((await nova('POST', specs, admin, { extra_specs: { 'hw:cpu_cores': 1 } })).json).toEqual({
        extra_specs: { 'hw:cpu_cores': '1' },
      });
      expect((await nova('PUT', `${specs}/a`, admin, { a: 'b' })).json).toEqual({ a: 'b' });
      expect((await nova('PUT', `${specs}/a`, admin, { c: 'b' })).status).toBe(400);
      expect((await nova('DELETE', `${specs}/a`, admin)).status).toBe(200);
      expect((await nova('GET', `${specs}/a`, admin)).status).toBe(404);
      const text = { flavor: { description: 'small' } };
      expect((await nova('PUT', `/v2.1/flavors/${id}`, admin, text)).status).toBe(404);
      expect((await nova('PUT', `/v2.1/flavors/${id}`, admin, text, V('2.55'))).json.flavor.description).toBe(
        'small',
      );
      expect((await nova('DELETE', `/v2.1/flavors/${id}`, admin)).status).toBe(202);
      expect((await nova('GET', `/v2.1/flavors/${id}`, admin)).json.itemNotFound.message).toBe(
        `Flavor ${id} could not be found.`,
      );
    });
  });

  describe('key pairs', () => {
    it('are generated and imported; the private half is never kept', async () => {
      const made = await nova('POST', '/v2.1/os-keypairs', user.token, { keypair: { name: 'k1' } });
      expect(made.status).toBe(200);
      expect(made.json.keypair.private_key).toMatch(/^-----BEGIN RSA PRIVATE KEY-----/);
      expect(made.json.keypair.public_key).toMatch(/^ssh-rsa \S+ Generated-by-Nova$/);
      expect(made.json.keypair.fingerprint).toMatch(/^([0-9a-f]{2}:){15}[0-9a-f]{2}$/);
      expect((await nova('POST', '/v2.1/os-keypairs', user.token, { keypair: { name: 'k1' } })).json).toEqual(
        {
          conflictingRequest: { code: 409, message: "Key pair 'k1' already exists." },
        },
      );
      const keypair = {
        name: 'k2',
        public_key: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl me',
      };
      const imported = await nova('POST', '/v2.1/os-keypairs', user.token, { keypair }, V('2.10'));
      expect(imported.status).toBe(201);
      expect(imported.json.keypair).toMatchObject({
        type: 'ssh',
        fingerprint: '65:96:2d:fc:e8:d5:a9:11:64:0c:0f:ea:00:6e:5b:bd',
      });
      expect(imported.json.keypair.private_key).toBeUndefined();
      const rubbish = { keypair: { name: 'k3', public_key: 'ssh-rsa rubbish' } };
      expect((await nova('POST', '/v2.1/os-keypairs', user.token, rubbish)).json.badRequest.message).toBe(
        'Keypair data is invalid: failed to generate fingerprint',
      );
      const name = { keypair: { name: 'k p!@#' } };
      expect((await nova('POST', '/v2.1/os-keypairs', user.token, name)).json.badRequest.message).toBe(
        "An invalid 'name' value was provided. The name must be: Only expected characters: [_- 0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ]",
      );
      const none = await nova(
        'POST',
        '/v2.1/os-keypairs',
        user.token,
        { keypair: { name: 'k4' } },
        V('2.92'),
      );
      expect(none.json.badRequest.message).toMatch(/'public_key' is a required property/);
      const rows = await cloud.cloud.app.store.read.selectFrom('keypair').selectAll().execute();
      expect(JSON.stringify(rows)).not.toContain('PRIVATE');

      const page = await nova('GET', '/v2.1/os-keypairs?limit=1', user.token, undefined, V('2.35'));
      expect(page.json.keypairs.map((k: { keypair: { name: string } }) => k.keypair.name)).toEqual(['k1']);
      expect(page.json.keypairs_links[0].href).toMatch(/limit=1&marker=k1$/);
      expect((await nova('GET', '/v2.1/os-keypairs', admin)).json.keypairs).toEqual([]);
      const others = `/v2.1/os-keypairs/k1?user_id=${user.userId}`;
      expect((await nova('GET', others, admin, undefined, V('2.10'))).json.keypair.name).toBe('k1');
      const stranger = await cloud.cloud.projectToken('other');
      expect((await nova('GET', others, stranger, undefined, V('2.10'))).status).toBe(403);
      expect((await nova('DELETE', '/v2.1/os-keypairs/k1', user.token)).status).toBe(202);
      expect((await nova('DELETE', '/v2.1/os-keypairs/k2', user.token, undefined, V('2.2'))).status).toBe(
        204,
      );
      expect((await nova('GET', '/v2.1/os-keypairs/k1', user.token)).status).toBe(404);
    });
  });

  describe('limits and quotas', () => {
    it('shows and changes them', async () => {
      const limits = (await nova('GET', '/v2.1/limits', user.token)).json.limits.absolute;
      expect(limits).toMatchObject({ maxTotalInstances: 10, maxTotalFloatingIps: -1, totalCoresUsed: 0 });
      const newer = (await nova('GET', '/v2.1/limits', user.token, undefined, V('2.57'))).json.limits
        .absolute;
      expect(newer.maxTotalFloatingIps).toBeUndefined();
      const path = `/v2.1/os-quota-sets/${user.projectId}`;
      const set = { quota_set: { instances: 3, cores: '7' } };
      expect((await nova('PUT', path, user.token, set)).status).toBe(403);
      expect((await nova('PUT', path, admin, set)).json.quota_set).toMatchObject({ instances: 3, cores: 7 });
      expect((await nova('GET', path, user.token)).json.quota_set).toMatchObject({
        id: user.projectId,
        instances: 3,
      });
      const detail = (await nova('GET', `${path}/detail`, user.token, undefined, V('2.57'))).json.quota_set;
      expect(detail.instances).toEqual({ limit: 3, in_use: 0, reserved: 0 });
      expect(detail.injected_files).toBeUndefined();
      expect((await nova('GET', `${path}/defaults`, user.token)).json.quota_set.instances).toBe(10);
      expect((await nova('PUT', path, admin, { quota_set: { nope: 1 } })).status).toBe(400);
      expect((await nova('PUT', path, admin, { quota_set: { cores: -2 } })).status).toBe(400);
      expect((await nova('DELETE', path, admin)).status).toBe(202);
      expect((await nova('GET', path, user.token)).json.quota_set.instances).toBe(10);
      expect((await nova('GET', '/v2.1/os-quota-sets/another', user.token)).status).toBe(403);
    });
  });

  describe('hosts', () => {
    it('are hypervisors, services and members of zones', async () => {
      expect((await nova('GET', '/v2.1/os-hypervisors', user.token)).status).toBe(403);
      const [old] = (await nova('GET', '/v2.1/os-hypervisors/detail', admin)).json.hypervisors;
      expect(old).toMatchObject({
        id: 1,
        hypervisor_hostname: 'host1',
        vcpus: 16,
        state: 'up',
        host_ip: '192.0.2.1',
      });
      const [recent] = (await nova('GET', '/v2.1/os-hypervisors/detail', admin, undefined, V('2.88'))).json
        .hypervisors;
      expect(recent).toMatchObject({ id: hostId, uptime: null });
      expect(recent.vcpus).toBeUndefined();
      expect((await nova('GET', '/v2.1/os-hypervisors/host1', admin)).status).toBe(404);
      expect(
        (await nova('GET', '/v2.1/os-hypervisors/statistics', admin)).json.hypervisor_statistics,
      ).toMatchObject({
        count: 1,
        vcpus: 16,
      });
      const disable = { host: 'host1', binary: 'nova-compute', disabled_reason: 'broken' };
      const off = await nova('PUT', '/v2.1/os-services/disable-log-reason', admin, disable);
      expect(off.json.service).toEqual({ ...disable, status: 'disabled' });
      const [service] = (await nova('GET', '/v2.1/os-services', admin, undefined, V('2.69'))).json.services;
      expect(service).toMatchObject({ status: 'disabled', disabled_reason: 'broken', forced_down: false });
      const on = await nova(
        'PUT',
        `/v2.1/os-services/${service.id}`,
        admin,
        { status: 'enabled' },
        V('2.53'),
      );
      expect(on.json.service).toMatchObject({ status: 'enabled', disabled_reason: null });
      expect((await nova('GET', '/v2.1/os-availability-zone', user.token)).json).toEqual({
        availabilityZoneInfo: [{ zoneName: 'nova', zoneState: { available: true }, hosts: null }],
      });
    });

    it('are put into zones by aggregates', async () => {
      const made = await nova('POST', '/v2.1/os-aggregates', admin, {
        aggregate: { name: 'rack1', availability_zone: 'az1' },
      });
      expect(made.json.aggregate).toMatchObject({ name: 'rack1', availability_zone: 'az1' });
      const path = `/v2.1/os-aggregates/${made.json.aggregate.id}`;
      const added = await nova('POST', `${path}/action`, admin, { add_host: { host: 'host1' } });
      expect(added.json.aggregate).toMatchObject({
        hosts: ['host1'],
        metadata: { availability_zone: 'az1' },
      });
      expect((await nova('POST', `${path}/action`, admin, { add_host: { host: 'nope' } })).status).toBe(404);
      const zones = (await nova('GET', '/v2.1/os-availability-zone/detail', admin)).json.availabilityZoneInfo;
      expect(zones[0]).toMatchObject({
        zoneName: 'az1',
        hosts: { host1: { 'nova-compute': { available: true } } },
      });
      const nova_ = await cloud.create(
        user.token,
        { networks: 'none', availability_zone: 'nova' },
        V('2.37'),
      );
      const az1 = await cloud.create(user.token, { networks: 'none', availability_zone: 'az1' }, V('2.37'));
      expect((await cloud.row(nova_.json.server.id)).status).toBe('ERROR');
      expect((await cloud.row(az1.json.server.id)).status).toBe('BUILD');
      for (const reply of [nova_, az1])
        await nova('DELETE', `/v2.1/servers/${reply.json.server.id}`, user.token);
      await cloud.gone(hostId, az1.json.server.id);
      expect((await nova('DELETE', path, admin)).status).toBe(409);
      await nova('POST', `${path}/action`, admin, { remove_host: { host: 'host1' } });
      expect((await nova('DELETE', path, admin)).status).toBe(200);
    });
  });

  it('keeps members of an anti-affinity group apart', async () => {
    const other = await cloud.hosts.add(cloud.cloud, 'host2');
    const group = await nova(
      'POST',
      '/v2.1/os-server-groups',
      user.token,
      { server_group: { name: 'apart', policy: 'anti-affinity' } },
      V('2.64'),
    );
    expect(group.json.server_group).toMatchObject({ policy: 'anti-affinity', rules: {}, members: [] });
    const hints = { 'os:scheduler_hints': { group: group.json.server_group.id } };
    const ids: string[] = [];
    for (let i = 0; i < 3; i++) {
      const server = { name: `g${i}`, imageRef: cloud.imageId, flavorRef: '1', networks: 'none' };
      const reply = await nova('POST', '/v2.1/servers', user.token, { server, ...hints }, V('2.64'));
      ids.push(reply.json.server.id);
    }
    const rows = await Promise.all(ids.map((id) => cloud.row(id)));
    expect(new Set(rows.slice(0, 2).map((row) => row.host_id))).toEqual(new Set([hostId, other]));
    expect(rows[2]!.status).toBe('ERROR');
    const shown = await nova('GET', `/v2.1/os-server-groups/${group.json.server_group.id}`, user.token);
    expect(shown.json.server_group).toMatchObject({
      policies: ['anti-affinity'],
      metadata: {},
      members: ids,
    });
    const stranger = await cloud.cloud.projectToken('other');
    expect((await nova('GET', `/v2.1/os-server-groups/${group.json.server_group.id}`, stranger)).status).toBe(
      404,
    );
    for (const [i, id] of ids.entries()) {
      await nova('DELETE', `/v2.1/servers/${id}`, user.token);
      if (rows[i]!.host_id) await cloud.gone(rows[i]!.host_id!, id);
    }
  });

  it('shows capacity through placement', async () => {
    expect((await request('GET', '/placement', undefined)).json.versions[0]).toMatchObject({
      max_version: '1.39',
    });
    const place = (path: string, version = '1.39', token = admin) =>
      request('GET', `/placement${path}`, token, undefined, P(version));
    expect((await place('/resource_providers', '1.0', user.token)).status).toBe(403);
    const providers = (await place('/resource_providers?name=host1')).json.resource_providers;
    expect(providers[0]).toMatchObject({ uuid: hostId, name: 'host1', root_provider_uuid: hostId });
    const inventories = (await place(`/resource_providers/${hostId}/inventories`)).json.inventories;
    expect(inventories.MEMORY_MB).toMatchObject({ total: 65_536, reserved: 512, allocation_ratio: 1 });
    const candidates = (await place('/allocation_candidates?resources=VCPU:1,MEMORY_MB:512')).json;
    expect(candidates.allocation_requests).toHaveLength(2);
    expect(candidates.provider_summaries[hostId].resources.VCPU).toEqual({ capacity: 64, used: 0 });
    const { id } = (await cloud.create(user.token, { networks: 'none' }, V('2.37'))).json.server;
    const { allocations } = (await place(`/allocations/${id}`)).json;
    expect(Object.values(allocations)[0]).toMatchObject({
      resources: { DISK_GB: 1, MEMORY_MB: 512, VCPU: 1 },
    });
    expect((await place(`/usages?project_id=${user.projectId}`, '1.9')).json.usages).toEqual({
      DISK_GB: 1,
      MEMORY_MB: 512,
      VCPU: 1,
    });
    const missing = await place('/resource_providers/00000000-0000-0000-0000-000000000000');
    expect(missing.json.errors[0]).toMatchObject({
      status: 404,
      title: 'Not Found',
      code: 'placement.undefined_code',
      detail:
        'The resource could not be found.\n\n No resource provider with uuid 00000000-0000-0000-0000-000000000000 found  ',
    });
    expect((await place('/resource_classes', '1.0')).status).toBe(404);
    const far = await place('/resource_providers', '1.99');
    expect(far.json.errors[0]).toMatchObject({ status: 406, max_version: '1.39', min_version: '1.0' });
  });

  it('adds up usage', async () => {
    const usage = (await nova('GET', `/v2.1/os-simple-tenant-usage/${user.projectId}`, user.token)).json
      .tenant_usage;
    expect(usage).toEqual({});
    expect((await nova('GET', '/v2.1/os-simple-tenant-usage', user.token)).status).toBe(403);
    expect((await nova('GET', '/v2.1/os-simple-tenant-usage?detailed=1', admin)).json).toEqual({
      tenant_usages: [],
    });
  });
});
