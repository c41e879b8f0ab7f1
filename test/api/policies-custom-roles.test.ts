import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adminService } from '../../src/api/admin/service.js';
import type { TestUser } from '../support/app.js';
import { ComputeCloud } from '../support/compute-cloud.js';

/** Roles that somebody made by rules, and that reach what belongs to other projects: there and nowhere else. */
describe('a role of your own beyond its project', () => {
  let cloud: ComputeCloud;
  let admin: string;
  let tenants: readonly TestUser[];
  let servers: readonly string[];

  beforeAll(async () => {
    cloud = await ComputeCloud.open({ services: [() => adminService()] });
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
});
