import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SORT_KEYS } from '../../src/api/compute/server/list.js';
import type { TestUser } from '../support/app.js';
import { ComputeCloud } from '../support/compute-cloud.js';
import { DIALECTS } from '../support/stores.js';

const V = (version: string) => ({ 'openstack-api-version': `compute ${version}` });

describe.each(DIALECTS)('servers on %s', (dialect) => {
  let cloud: ComputeCloud;
  let user: TestUser;
  let admin: string;
  let hostId: string;
  let network: string;

  beforeAll(async () => {
    cloud = await ComputeCloud.open({ dialect });
    user = await cloud.cloud.projectUser('demo');
    admin = await cloud.cloud.adminToken();
    hostId = await cloud.hosts.add(cloud.cloud, 'host1');
    network = await cloud.network(user.projectId);
  });
  afterAll(() => cloud.close());

  const get = (path: string, token = user.token, headers: Record<string, string> = {}) =>
    cloud.cloud.request('GET', `/compute/v2.1${path}`, { token, headers });
  const act = (id: string, body: unknown, token = user.token, headers: Record<string, string> = {}) =>
    cloud.cloud.request('POST', `/compute/v2.1/servers/${id}/action`, { token, body, headers });

  it('lives from BUILD to ACTIVE to SHUTOFF to gone', async () => {
    const created = await cloud.create(user.token, { networks: [{ uuid: network }] });
    expect(created.status).toBe(202);
    const { id } = created.json.server;
    expect(Object.keys(created.json.server).sort()).toEqual(
      ['OS-DCF:diskConfig', 'adminPass', 'id', 'links', 'security_groups'].sort(),
    );
    expect(created.headers.location).toBe(`http://127.0.0.1:5000/compute/v2.1/servers/${id}`);

    const building = (await get(`/servers/${id}`)).json.server;
    expect(building).toMatchObject({ status: 'BUILD', 'OS-EXT-STS:task_state': 'spawning' });
    await cloud.applied(id);
    const active = (await get(`/servers/${id}`, admin)).json.server;
    expect(active).toMatchObject({
      status: 'ACTIVE',
      'OS-EXT-STS:task_state': null,
      'OS-EXT-STS:power_state': 1,
      'OS-EXT-SRV-ATTR:host': 'host1',
      security_groups: [{ name: 'default' }],
    });
    expect(active.addresses.private[0]).toMatchObject({ version: 4, 'OS-EXT-IPS:type': 'fixed' });

    expect((await act(id, { 'os-start': null })).json).toEqual({
      conflictingRequest: {
        code: 409,
        message: `Cannot 'start' instance ${id} while it is in vm_state active`,
      },
    });
    expect((await act(id, { 'os-stop': null })).status).toBe(202);
    expect((await get(`/servers/${id}`)).json.server['OS-EXT-STS:task_state']).toBe('powering-off');
    await cloud.applied(id, 'shutdown');
    expect((await get(`/servers/${id}`)).json.server).toMatchObject({
      status: 'SHUTOFF',
      'OS-EXT-STS:task_state': null,
    });

    expect((await act(id, { reboot: { type: 'HARD' } })).status).toBe(202);
    expect((await get(`/servers/${id}`)).json.server.status).toBe('HARD_REBOOT');
    await cloud.applied(id);
    expect((await get(`/servers/${id}`)).json.server.status).toBe('ACTIVE');
    // the guest shuts itself down
    await cloud.applied(id, 'shutdown');
    expect((await get(`/servers/${id}`)).json.server.status).toBe('SHUTOFF');
    expect((await cloud.row(id)).power).toBe('stopped');

    const gone = await cloud.cloud.request('DELETE', `/compute/v2.1/servers/${id}`, { token: user.token });
    expect(gone.status).toBe(204);
    expect((await get(`/servers/${id}`)).json.server['OS-EXT-STS:task_state']).toBe('deleting');
    await cloud.gone(hostId, id);
    expect((await get(`/servers/${id}`)).json).toEqual({
      itemNotFound: { code: 404, message: `Instance ${id} could not be found.` },
    });
    const left = await cloud.cloud.app.store.read.selectFrom('allocation').selectAll().execute();
    expect(left).toEqual([]);
  });

  it('says in ERROR why no host was found', async () => {
    const created = await cloud.create(user.token, { flavorRef: '5', networks: 'none' }, V('2.37'));
    expect(created.status).toBe(202);
    const first = created.json.server.id;
    const second = (await cloud.create(user.token, { flavorRef: '5', networks: 'none' }, V('2.37'))).json
      .server.id;
    expect((await get(`/servers/${first}`)).json.server.status).toBe('BUILD');
    // 2 × 8 of 20 vCPUs are used: the third is over quota
    const third = await cloud.create(user.token, { flavorRef: '5', networks: 'none' }, V('2.37'));
    expect(third.status).toBe(403);
    expect(third.json.forbidden.message).toBe(
      'Quota exceeded for cores: Requested 8, but already used 16 of 20 cores',
    );
    cloud.hosts.down.add(hostId);
    const error = (await cloud.create(user.token, { networks: 'none' }, V('2.37'))).json.server.id;
    const shown = (await get(`/servers/${error}`, admin)).json.server;
    expect(shown.status).toBe('ERROR');
    expect(shown.fault).toMatchObject({
      code: 500,
      message: 'No valid host was found. There are not enough hosts available.',
      details: 'host1: it is down: not heard of since the controller started',
    });
    cloud.hosts.down.delete(hostId);
    for (const id of [first, second, error]) {
      await cloud.cloud.request('DELETE', `/compute/v2.1/servers/${id}`, { token: user.token });
      if (id !== error) await cloud.gone(hostId, id);
      expect((await get(`/servers/${id}`)).status).toBe(404);
    }
  });

  it('shows as many fields as each microversion has', async () => {
    const { id } = (await cloud.create(user.token, { networks: [{ uuid: network }] })).json.server;
    await cloud.applied(id);
    const keys = async (version: string, token: string) =>
      Object.keys((await get(`/servers/${id}`, token, V(version))).json.server).sort();
    const base = await keys('2.1', user.token);
    expect(base).not.toContain('OS-EXT-SRV-ATTR:host');
    expect(base).not.toContain('locked');
    const newest = await keys('2.96', admin);
    expect(newest).toEqual(
      expect.arrayContaining([
        'OS-EXT-SRV-ATTR:hostname',
        'description',
        'host_status',
        'locked',
        'locked_reason',
        'pinned_availability_zone',
        'server_groups',
        'tags',
        'trusted_image_certificates',
      ]),
    );
    const list = (await get('/servers/detail', admin, V('2.96'))).json.servers;
    expect(list).toEqual([]);
    const own = (await get('/servers/detail', user.token, V('2.96'))).json.servers;
    expect(own[0].flavor.original_name).toBe('m1.tiny');
    const everybody = (await get('/servers/detail?all_tenants=1', admin)).json.servers;
    expect(everybody.map((s: { id: string }) => s.id)).toEqual([id]);
    expect((await get('/servers/detail?all_tenants=1')).status).toBe(403);
    await cloud.cloud.request('DELETE', `/compute/v2.1/servers/${id}`, { token: user.token });
    await cloud.gone(hostId, id);
  });

  it('is nothing to another project', async () => {
    const { id } = (await cloud.create(user.token, { networks: [{ uuid: network }] })).json.server;
    const other = await cloud.cloud.projectToken('other');
    for (const [method, path, body] of [
      ['GET', '', undefined],
      ['PUT', '', { server: { name: 'mine' } }],
      ['DELETE', '', undefined],
      ['POST', '/action', { 'os-stop': null }],
      ['GET', '/metadata', undefined],
      ['PUT', '/metadata', { metadata: {} }],
      ['GET', '/ips', undefined],
      ['GET', '/os-interface', undefined],
      ['GET', '/os-instance-actions', undefined],
    ] as const) {
      const reply = await cloud.cloud.request(method, `/compute/v2.1/servers/${id}${path}`, {
        token: other,
        body,
      });
      expect([method, path, reply.status]).toEqual([method, path, 404]);
    }
    expect((await cloud.row(id)).name).toBe('s1');
    await cloud.cloud.request('DELETE', `/compute/v2.1/servers/${id}`, { token: user.token });
    await cloud.gone(hostId, id);
  });

  it('refuses malformed requests in words and changes nothing', async () => {
    const bad: [Record<string, unknown>, RegExp][] = [
      [{ name: 1 }, /name/],
      [{ name: '' }, /too short/],
      [{ flavorRef: 'nope' }, /Flavor nope could not be found/],
      [{ imageRef: '00000000-0000-4000-8000-000000000000' }, /Can not find requested image/],
      [{ networks: [{ uuid: 'x' }] }, /not in proper format/],
      [{ networks: [{ uuid: '00000000-0000-4000-8000-000000000000' }] }, /could not be found/],
      [{ key_name: 'nope' }, /Invalid key_name provided/],
      [
        { security_groups: [{ name: 'nope' }], networks: [{ uuid: network }] },
        /Security group nope not found/,
      ],
      [{ user_data: '***' }, /user_data/],
      [{ metadata: { a: 1 } }, /not of type 'string'/],
      [{ min_count: 3, max_count: 2 }, /min_count must be <= max_count/],
      [{ availability_zone: 'mars' }, /The requested availability zone is not available/],
      [{ extra: 1 }, /Additional properties are not allowed \('extra' was unexpected\)/],
      [
        { block_device_mapping_v2: [{ source_type: 'volume', uuid: 'x' }] },
        /Block Device Mapping is Invalid/,
      ],
    ];
    for (const [server, words] of bad) {
      const reply = await cloud.create(user.token, server);
      expect([server, reply.status]).toEqual([server, 400]);
      expect(reply.json.badRequest.message).toMatch(words);
    }
    const rows = await cloud.cloud.app.store.read
      .selectFrom('server')
      .select('id')
      .where('deleted_at', 'is', null)
      .execute();
    expect(rows).toEqual([]);
    const ports = await cloud.cloud.app.store.read
      .selectFrom('port')
      .select('id')
      .where('device_owner', 'like', 'compute:%')
      .execute();
    expect(ports).toEqual([]);
  });

  it('filters, sorts and pages', async () => {
    const ids: string[] = [];
    for (const name of ['web-1', 'web-2', 'db-1']) {
      const { id } = (
        await cloud.create(user.token, { name, networks: [{ uuid: network }], metadata: { a: name } })
      ).json.server;
      await cloud.applied(id);
      ids.push(id);
    }
    const names = async (query: string) =>
      (await get(`/servers?${query}`)).json.servers.map((s: { name: string }) => s.name);
    expect(await names('')).toEqual(['db-1', 'web-2', 'web-1']);
    expect(await names('name=web')).toEqual(['web-2', 'web-1']);
    expect(await names('name=^web-[0-9]%2B$&sort_key=display_name&sort_dir=asc')).toEqual(['web-1', 'web-2']);
    expect(await names('status=ACTIVE&status=BUILD')).toHaveLength(3);
    expect(await names('status=ERROR')).toEqual([]);
    expect(await names('status=NOPE')).toEqual([]);
    const address = Object.values(
      (await get(`/servers/${ids[2]}/ips`)).json.addresses as Record<string, { addr: string }[]>,
    )[0]![0]!.addr;
    expect(await names(`ip=^${address.replaceAll('.', '\\.')}$`)).toEqual(['db-1']);
    const page = (await get('/servers?limit=2')).json;
    expect(page.servers).toHaveLength(2);
    expect(page.servers_links[0].href).toBe(
      `http://127.0.0.1:5000/compute/v2.1/servers?limit=2&marker=${ids[1]}`,
    );
    expect(await names(`limit=2&marker=${ids[1]}`)).toEqual(['web-1']);
    expect((await get('/servers?limit=bad')).json.badRequest.message).toMatch(/does not match/);
    const marker = '00000000-0000-0000-0000-000000000000';
    expect((await get(`/servers?marker=${marker}`)).json.badRequest.message).toBe(
      `marker [${marker}] not found`,
    );
    expect((await get('/servers?name=(a%2B)%2B')).status).toBe(400);

    // every key that lists can be sorted by, in both directions and from a marker on
    for (const key of Object.keys(SORT_KEYS)) {
      for (const dir of ['asc', 'desc']) {
        const { status, json } = await get(`/servers?sort_key=${key}&sort_dir=${dir}`);
        expect([key, status, json.servers.length]).toEqual([key, 200, 3]);
        const rest = await get(`/servers?sort_key=${key}&sort_dir=${dir}&marker=${json.servers[0].id}`);
        expect([key, rest.json.servers]).toEqual([key, json.servers.slice(1)]);
      }
    }
    expect((await get('/servers?sort_key=nope')).status).toBe(400);

    // a list shows what changed, though it is rendered only once
    await act(ids[0]!, { lock: null });
    expect((await get('/servers/detail', user.token, V('2.9'))).json.servers[2].locked).toBe(true);
    const stopped = await act(ids[0]!, { 'os-stop': null });
    expect(stopped.status).toBe(409);
    expect(stopped.json.conflictingRequest.message).toBe(`Instance ${ids[0]} is locked`);
    await act(ids[0]!, { unlock: null });

    await cloud.cloud.request('PUT', `/compute/v2.1/servers/${ids[0]}`, {
      token: user.token,
      body: { server: { name: 'renamed' } },
    });
    expect(await names('name=renamed')).toEqual(['renamed']);
    for (const id of ids) {
      await cloud.cloud.request('DELETE', `/compute/v2.1/servers/${id}`, { token: user.token });
      await cloud.gone(hostId, id);
    }
    const deleted = await get('/servers/detail?changes-since=2020-01-01T00:00:00Z');
    expect(deleted.json.servers.length).toBeGreaterThan(2);
    expect(deleted.json.servers[0].status).toBe('DELETED');
  });
});
