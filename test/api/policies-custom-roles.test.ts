import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestUser } from '../support/app.js';
import { ComputeCloud } from '../support/compute-cloud.js';

/** Roles that somebody made by rules, and that reach what belongs to other projects: there and nowhere else. */
describe('a role of your own beyond its project', () => {
  let cloud: ComputeCloud;
  let admin: string;
  let tenants: readonly TestUser[];
  let servers: readonly string[];

  beforeAll(async () => {
    cloud = await ComputeCloud.openWhole();
    admin = await cloud.cloud.adminToken();
    tenants = [await cloud.cloud.projectUser('ours'), await cloud.cloud.projectUser('theirs')];
    await cloud.hosts.add(cloud.cloud, 'host1');
    servers = await Promise.all(tenants.map(makeServer));
  });
  afterAll(() => cloud.close());

  const send = async (method: string, path: string, token: string, body?: unknown) =>
    await cloud.cloud.request(method, path, {
      token,
      headers: { 'openstack-api-version': 'compute latest' },
      ...(body !== undefined && { body }),
    });
  const compute = async (method: string, path: string, token: string, body?: unknown) =>
    await send(method, `/compute/v2.1${path}`, token, body);
  const act = async (token: string, id: string, action: unknown) =>
    (await compute('POST', `/servers/${id}/action`, token, action)).status;
  const idsOf = (things: readonly { readonly id: string }[]) => things.map(({ id }) => id).toSorted();

  async function makeServer({ token, projectId }: TestUser): Promise<string> {
    const network = await cloud.network(projectId);
    const { id } = (await cloud.create(token, { networks: [{ uuid: network }] })).json.server;
    await cloud.applied(id);
    return id;
  }

  /** Sets rules as `maru policy set` does; gives back what undoes it. */
  async function set(rules: Readonly<Record<string, string>>): Promise<() => Promise<void>> {
    const one = async (name: string, method: string, body?: unknown) => {
      const reply = await send(method, `/maru/v1/policies/${encodeURIComponent(name)}`, admin, body);
      expect(reply.status, reply.text).toBeLessThan(300);
    };
    for (const [name, rule] of Object.entries(rules)) await one(name, 'PUT', { policy: { rule } });
    return async () => {
      for (const name of Object.keys(rules)) await one(name, 'DELETE');
    };
  }

  async function holder(role: string): Promise<string> {
    await send('POST', '/identity/v3/roles', admin, { role: { name: role } });
    return await cloud.cloud.projectToken('staff', role);
  }

  describe('of servers', () => {
    it('audits all of them, and changes none', async () => {
      const auditor = await holder('auditor');
      const reads = ['index', 'detail', 'show', 'index:get_all_tenants', 'detail:get_all_tenants'];
      const details = ['ips:index', 'server-metadata:index', 'os-instance-actions:list'];
      const names = [...reads.map((name) => `servers:${name}`), ...details];
      const undo = await set(
        Object.fromEntries(
          names.map((name) => [
            `os_compute_api:${name}`,
            name.endsWith('tenants')
              ? 'role:admin or role:auditor'
              : 'rule:project_reader_or_admin or role:auditor',
          ]),
        ),
      );
      for (const path of ['/servers', '/servers/detail']) {
        const all = await compute('GET', `${path}?all_tenants=1`, auditor);
        expect(idsOf(all.json.servers), path).toEqual([...servers].toSorted());
        expect((await compute('GET', path, auditor)).json.servers).toEqual([]);
        expect((await compute('GET', `${path}?all_tenants=1`, tenants[0]!.token)).status).toBe(403);
      }
      for (const [i, id] of servers.entries()) {
        const shown = (await compute('GET', `/servers/${id}`, auditor)).json.server;
        expect(shown).toMatchObject({ id, tenant_id: tenants[i]!.projectId });
        // no more of it than its project sees
        expect(shown).not.toHaveProperty('OS-EXT-SRV-ATTR:host');
        for (const part of ['ips', 'metadata', 'os-instance-actions']) {
          expect((await compute('GET', `/servers/${id}/${part}`, auditor)).status, part).toBe(200);
        }
        expect((await compute('GET', `/servers/${id}/tags`, auditor)).status).toBe(403);
        expect((await compute('PUT', `/servers/${id}`, auditor, { server: { name: 'x' } })).status).toBe(403);
        expect((await compute('DELETE', `/servers/${id}`, auditor)).status).toBe(403);
        for (const action of [{ 'os-stop': null }, { lock: null }, { reboot: { type: 'HARD' } }]) {
          expect(await act(auditor, id, action)).toBe(403);
        }
      }
      // nothing is there that was not, for anybody else
      expect((await compute('GET', `/servers/${servers[1]}`, tenants[0]!.token)).status).toBe(404);
      await undo();
      expect((await compute('GET', `/servers/${servers[0]}`, auditor)).status).toBe(403);
      expect((await compute('GET', '/servers/detail?all_tenants=1', auditor)).status).toBe(403);
    });

    it('shows its holder who is a reader at home all of them, and none in a list without all_tenants', async () => {
      await holder('auditor');
      const reader = await cloud.cloud.projectUser('staff', 'reader');
      expect((await compute('GET', `/servers/${servers[0]}`, reader.token)).status).toBe(404);
      const undo = await set({
        'os_compute_api:servers:show': 'rule:project_reader_or_admin or role:auditor',
        'os_compute_api:os-extended-server-attributes': 'rule:project_reader_or_admin',
      });
      // the role is another user's
      expect((await compute('GET', `/servers/${servers[0]}`, reader.token)).status).toBe(404);
      const own = (await compute('GET', `/servers/${servers[0]}`, tenants[0]!.token)).json.server;
      expect(own['OS-EXT-SRV-ATTR:host']).toBe('host1');
      const foreign = await compute('GET', `/servers/${servers[0]}`, await holder('auditor'));
      // what only the project is shown, he is not
      expect(foreign.json.server).not.toHaveProperty('OS-EXT-SRV-ATTR:host');
      await undo();
    });

    it('stops and starts those of others, and does nothing else to them', async () => {
      const operator = await holder('operator');
      const [, id = ''] = servers;
      const undo = await set({
        'os_compute_api:servers:show': 'rule:project_reader_or_admin or role:operator',
        ...Object.fromEntries(
          ['start', 'stop', 'reboot'].map((name) => [
            `os_compute_api:servers:${name}`,
            'rule:project_member_or_admin or role:operator',
          ]),
        ),
      });
      expect(await act(tenants[0]!.token, id, { 'os-stop': null })).toBe(404);
      expect(await act(operator, id, { 'os-stop': null })).toBe(202);
      await cloud.applied(id, 'shutdown');
      expect((await compute('GET', `/servers/${id}`, operator)).json.server.status).toBe('SHUTOFF');
      expect(await act(operator, id, { 'os-start': null })).toBe(202);
      await cloud.applied(id);
      expect(await act(operator, id, { reboot: { type: 'HARD' } })).toBe(202);
      for (const action of [
        { lock: null },
        { unlock: null },
        { 'os-getConsoleOutput': {} },
        { addSecurityGroup: { name: 'default' } },
        { 'os-resetState': { state: 'error' } },
      ]) {
        expect(await act(operator, id, action), JSON.stringify(action)).toBe(403);
      }
      expect((await compute('DELETE', `/servers/${id}`, operator)).status).toBe(403);
      expect((await compute('GET', '/servers', operator)).status).toBe(403);
      expect((await compute('GET', '/servers?all_tenants=1', operator)).status).toBe(403);
      await undo();
      expect(await act(operator, id, { 'os-stop': null })).toBe(403);
    });

    it('is bound to what its rule says of the server', async () => {
      const operator = await holder('operator');
      const [mine, other] = tenants;
      const undo = await set({
        'os_compute_api:servers:show': `rule:project_reader_or_admin or (role:operator and '${mine!.projectId}':%(project_id)s)`,
        'os_compute_api:servers:stop': "role:admin or (role:operator and 'web':%(name)s)",
      });
      expect((await compute('GET', `/servers/${servers[0]}`, operator)).status).toBe(200);
      expect((await compute('GET', `/servers/${servers[1]}`, operator)).status).toBe(403);
      expect((await compute('GET', `/servers/${servers[1]}`, other!.token)).status).toBe(200);
      expect(await act(operator, servers[0]!, { 'os-stop': null })).toBe(403);
      await compute('PUT', `/servers/${servers[0]}`, mine!.token, { server: { name: 'web' } });
      expect(await act(operator, servers[0]!, { 'os-stop': null })).toBe(202);
      await undo();
    });

    it('is noted where a rule that is set gives it', async () => {
      const notes = async (name: string, rule: string) => {
        const reply = await send('PUT', `/maru/v1/policies/${name}`, admin, { policy: { rule } });
        await send('DELETE', `/maru/v1/policies/${name}`, admin);
        return reply.json.notes;
      };
      const show = 'os_compute_api:servers:show';
      expect(await notes(show, 'role:reader or role:admin')).toEqual([
        expect.stringContaining(`${show} is not bound to the project for role:reader:`),
      ]);
      expect(await notes('get_network', '@')).toEqual([expect.stringContaining('asks for no role')]);
      expect(await notes(show, 'role:reader and project_id:%(project_id)s')).toEqual([]);
      expect(await notes(show, 'rule:project_reader_or_admin')).toEqual([]);
      expect(await notes('os_compute_api:servers:create', 'role:reader')).toEqual([]);
      expect(await notes('os_compute_api:os-hypervisors:list', 'role:reader')).toEqual([]);
    });

    it('may be taken from the administrator, too', async () => {
      const undo = await set({
        'os_compute_api:servers:delete': 'role:member and project_id:%(project_id)s',
        'os_compute_api:servers:show': 'role:admin and project_id:%(project_id)s',
      });
      expect((await compute('DELETE', `/servers/${servers[0]}`, admin)).status).toBe(403);
      expect((await compute('GET', `/servers/${servers[0]}`, admin)).status).toBe(403);
      await undo();
      expect((await compute('GET', `/servers/${servers[0]}`, admin)).status).toBe(200);
    });
  });

  /** The rule of what readers of a project may, and a role for all projects. */
  const orRole = (role: string, names: readonly string[]) =>
    Object.fromEntries(names.map((name) => [name, `rule:project_reader_or_admin or role:${role}`]));

  describe('of networks', () => {
    const kinds = {
      networks: 'network',
      subnets: 'subnet',
      ports: 'port',
      routers: 'router',
      floatingips: 'floatingip',
      'security-groups': 'security_group',
      'security-group-rules': 'security_group_rule',
    };
    const plural = (path: string) => path.replaceAll('-', '_');
    const network = async (method: string, path: string, token: string, body?: unknown) =>
      await send(method, `/network/v2.0/${path}`, token, body);
    let outside: string;

    const make = async (path: string, name: string, values: Record<string, unknown>, token: string) => {
      const reply = await network('POST', path, token, { [name]: values });
      expect(reply.status, reply.text).toBe(201);
      return reply.json[name];
    };

    beforeAll(async () => {
      const external = { name: 'outside', 'router:external': true };
      outside = (await make('networks', 'network', external, admin)).id;
      const subnet = { network_id: outside, ip_version: 4, cidr: '203.0.113.0/24' };
      await make('subnets', 'subnet', subnet, admin);
      for (const { token } of tenants) {
        await make('routers', 'router', { name: 'r' }, token);
        await make('floatingips', 'floatingip', { floating_network_id: outside }, token);
      }
    });

    it('audits all of them, and changes none', async () => {
      const auditor = await holder('auditor');
      const other = tenants[1]!.projectId;
      const undo = await set(
        orRole('auditor', [...Object.values(kinds).map((name) => `get_${name}`), 'get_port:tags']),
      );
      for (const [path, name] of Object.entries(kinds)) {
        const all = (await network('GET', path, admin)).json[plural(path)];
        const seen = (await network('GET', path, auditor)).json[plural(path)];
        // the administrator's default group comes into being by the question, and the auditor's by his
        const ofTenants = (list: { id: string; project_id: string }[]) =>
          idsOf(list.filter(({ project_id }) => tenants.some(({ projectId }) => projectId === project_id)));
        expect(ofTenants(seen), path).toEqual(ofTenants(all));
        const foreign = seen.filter(({ project_id }: { project_id: string }) => project_id === other);
        expect(foreign.length, path).toBeGreaterThan(0);
        const { id } = foreign[0];
        expect((await network('GET', `${path}?limit=1&marker=${id}`, auditor)).status, path).toBe(200);
        const shown = await network('GET', `${path}/${id}`, auditor);
        expect(shown.json[name], path).toEqual(foreign[0]);
        expect((await network('GET', `${path}/${id}`, tenants[0]!.token)).status, path).toBe(404);
        if (path !== 'security-group-rules') {
          const put = await network('PUT', `${path}/${id}`, auditor, { [name]: { description: 'x' } });
          expect(put.status, path).toBe(403);
        }
        expect((await network('DELETE', `${path}/${id}`, auditor)).status, path).toBe(403);
        expect((await network('POST', path, auditor, { [name]: {} })).status, path).toBe(403);
      }
      const [first] = (await network('GET', 'networks', auditor)).json.networks;
      // the parts that are administrators' stay so
      expect(first).not.toHaveProperty('provider:segmentation_id');
      const [port] = (await network('GET', `ports?project_id=${other}`, auditor)).json.ports;
      expect((await network('GET', `ports/${port.id}/tags`, auditor)).json).toEqual({ tags: [] });
      expect((await network('GET', `networks/${port.network_id}/tags`, auditor)).status).toBe(403);
      await undo();
      expect((await network('GET', 'networks', auditor)).status).toBe(403);
    });

    it('keeps networks for others, and does nothing else', async () => {
      await holder('network-operator');
      const keeper = await cloud.cloud.projectToken('staff', 'network-operator');
      const [mine, other] = tenants;
      const names = ['get_network', 'update_network', 'get_router', 'update_router', 'add_router_interface'];
      const undo = await set({
        ...orRole('network-operator', names),
        'update_network:shared': 'role:admin or role:manager',
      });
      const [found] = (await network('GET', `networks?project_id=${other!.projectId}`, keeper)).json.networks;
      const change = async (token: string, values: Record<string, unknown>) =>
        (await network('PUT', `networks/${found.id}`, token, { network: values })).status;
      expect(await change(keeper, { name: 'kept' })).toBe(200);
      expect(await change(mine!.token, { name: 'stolen' })).toBe(404);
      expect(await change(keeper, { shared: true })).toBe(403);
      const [router] = (await network('GET', `routers?project_id=${other!.projectId}`, keeper)).json.routers;
      const plug = async (subnet_id: string) =>
        (await network('PUT', `routers/${router.id}/add_router_interface`, keeper, { subnet_id })).status;
      const [foreign] = (await network('GET', `networks?project_id=${mine!.projectId}`, admin)).json.networks;
      // within the project of the router, and not across projects
      expect(await plug(foreign.subnets[0])).toBe(404);
      expect(await plug(found.subnets[0])).toBe(200);
      expect((await network('DELETE', `networks/${found.id}`, keeper)).status).toBe(403);
      expect((await network('GET', 'ports', keeper)).status).toBe(403);
      expect((await network('GET', `subnets/${found.subnets[0]}`, keeper)).status).toBe(403);
      await undo();
      expect(await change(keeper, { name: 'kept' })).toBe(403);
    });

    it('may be the role of services, which sees how many addresses are used by default', async () => {
      const service = await cloud.cloud.projectToken('staff', 'service');
      const [port] = (await network('GET', `ports?project_id=${tenants[0]!.projectId}`, admin)).json.ports;
      const path = `network-ip-availabilities/${port.network_id}`;
      expect((await network('GET', path, service)).status).toBe(200);
      expect((await network('GET', path, tenants[0]!.token)).status).toBe(403);
      const bind = async () => {
        const body = { port: { 'binding:profile': { a: 'b' } } };
        return (await network('PUT', `ports/${port.id}`, service, body)).status;
      };
      expect(await bind()).toBe(403);
      const undo = await set({
        get_port: 'rule:project_reader_or_admin_or_service',
        update_port: 'rule:project_member_or_admin or rule:service_api',
      });
      expect(await bind()).toBe(200);
      const shown = (await network('GET', `ports/${port.id}`, service)).json.port;
      expect(shown['binding:profile']).toEqual({ a: 'b' });
      await undo();
    });
  });

  it('audits volumes of all projects, and changes none', async () => {
    const auditor = await holder('auditor');
    const volume = async (method: string, path: string, token: string, body?: unknown) =>
      await send(method, `/volume/v3/volumes${path}`, token, body);
    const made = await Promise.all(
      tenants.map(
        async ({ token }) => (await volume('POST', '', token, { volume: { size: 1 } })).json.volume,
      ),
    );
    const undo = await set(orRole('auditor', ['volume:get_all', 'volume:get', 'volume:get_volume_metadata']));
    for (const path of ['', '/detail']) {
      const list = async (query: string, token: string) =>
        idsOf((await volume('GET', path + query, token)).json.volumes);
      expect(await list('?all_tenants=1', auditor)).toEqual(idsOf(made));
      expect(await list(`?all_tenants=1&project_id=${tenants[1]!.projectId}`, auditor)).toEqual([made[1].id]);
      expect(await list('', auditor)).toEqual([]);
      expect(await list('?all_tenants=1', tenants[0]!.token)).toEqual([made[0].id]);
    }
    const path = `/${made[1].id}`;
    // which of them is the newer is chance
    const [newer, older] = (await volume('GET', '?all_tenants=1', auditor)).json.volumes;
    const next = await volume('GET', `?all_tenants=1&limit=1&marker=${newer.id}`, auditor);
    expect(next.json.volumes).toMatchObject([{ id: older.id }]);
    const shown = (await volume('GET', path, auditor)).json.volume;
    expect(shown).toMatchObject({ id: made[1].id, 'os-vol-tenant-attr:tenant_id': tenants[1]!.projectId });
    expect(shown).not.toHaveProperty('os-vol-host-attr:host');
    expect((await volume('GET', `${path}/metadata`, auditor)).status).toBe(200);
    expect((await volume('GET', path, tenants[0]!.token)).status).toBe(404);
    expect((await volume('PUT', path, auditor, { volume: { name: 'x' } })).status).toBe(403);
    expect((await volume('PUT', `${path}/metadata`, auditor, { metadata: {} })).status).toBe(403);
    expect((await volume('DELETE', path, auditor)).status).toBe(403);
    expect((await volume('POST', '', auditor, { volume: { size: 1 } })).status).toBe(403);
    await undo();
    expect((await volume('GET', path, auditor)).status).toBe(403);
    expect((await volume('GET', '?all_tenants=1', auditor)).status).toBe(403);
  });

  it('audits images of all projects, and changes none', async () => {
    const auditor = await holder('auditor');
    const image = async (method: string, path: string, token: string, body?: unknown) =>
      await send(method, `/image/v2/images${path}`, token, body);
    const body = { disk_format: 'raw', container_format: 'bare' };
    const [mine, other] = await Promise.all(
      (['private', 'shared'] as const).map(
        async (visibility, i) =>
          (await image('POST', '', tenants[i]!.token, { ...body, name: visibility, visibility })).json,
      ),
    );
    const undo = await set(orRole('auditor', ['get_images', 'get_image', 'get_members']));
    const list = async (token: string) => idsOf((await image('GET', '', token)).json.images);
    expect(await list(auditor)).toEqual([mine.id, other.id, cloud.imageId].toSorted());
    expect(await list(tenants[1]!.token)).toEqual([other.id, cloud.imageId].toSorted());
    for (const { id } of [mine, other]) {
      expect((await image('GET', `/${id}`, auditor)).json.id).toBe(id);
      expect((await image('GET', `/${id}/file`, auditor)).status).toBe(403);
      expect((await image('DELETE', `/${id}`, auditor)).status).toBe(403);
      expect((await image('PUT', `/${id}/tags/x`, auditor)).status).toBe(403);
    }
    expect((await image('GET', `/${other.id}/members`, auditor)).json.members).toEqual([]);
    expect((await image('GET', `/${mine.id}`, tenants[1]!.token)).status).toBe(404);
    expect((await image('POST', '', auditor, body)).status).toBe(403);
    await undo();
    expect((await image('GET', `/${mine.id}`, auditor)).status).toBe(403);
  });

  it('lists things of other projects by rules only that allow every one of them', async () => {
    const auditor = await holder('auditor');
    const list = async () =>
      (await send('GET', '/volume/v3/volumes?all_tenants=1&limit=1', auditor)).json.volumes?.length;
    const { token, projectId } = tenants[0]!;
    await send('POST', '/volume/v3/volumes', token, { volume: { size: 1 } });
    for (const [rule, seen] of [
      ['role:auditor', 1],
      ['role:auditor or project_id:%(project_id)s', 1],
      [`role:auditor and not '${projectId}':%(project_id)s`, 0],
      ["role:auditor and not 'secret':%(name)s", 0],
      ['role:auditor and not rule:owner', 0],
      ['role:auditor and not role:member', 1],
      ['role:auditor and project_id:%(project_id)s', 0],
    ] as const) {
      const undo = await set({ 'volume:get_all': rule });
      expect(await list(), rule).toBe(rule.includes('rule:owner') ? undefined : seen);
      await undo();
    }
  });
});
