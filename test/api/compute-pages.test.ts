import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestUser } from '../support/app.js';
import { ComputeCloud } from '../support/compute-cloud.js';
import { DIALECTS } from '../support/stores.js';

const V = (version: string) => ({ 'openstack-api-version': `compute ${version}` });

describe.each(DIALECTS)('what projects used, on %s', (dialect) => {
  let cloud: ComputeCloud;
  let admin: string;
  let users: TestUser[];
  /** Servers of the first user's project and of the second's. */
  const servers: string[][] = [];

  beforeAll(async () => {
    cloud = await ComputeCloud.open({ dialect });
    admin = await cloud.cloud.adminToken();
    await cloud.hosts.add(cloud.cloud, 'host1');
    users = [await cloud.cloud.projectUser('one'), await cloud.cloud.projectUser('two')];
    for (const [index, user] of users.entries()) {
      const made: string[] = [];
      for (let n = 0; n < 3 - index; n++) {
        const { json } = await cloud.create(user.token, { networks: 'none' }, V('2.37'));
        await cloud.applied(json.server.id);
        made.push(json.server.id);
      }
      servers.push(made.sort());
    }
  });
  afterAll(() => cloud.close());

  const get = async (path: string, token: string, version = '2.40') =>
    await cloud.cloud.request('GET', `/compute/v2.1/os-simple-tenant-usage${path}`, {
      token,
      headers: V(version),
    });
  const ids = (usage: { server_usages: { instance_id: string }[] }) =>
    usage.server_usages.map(({ instance_id }) => instance_id);

  it('is told of one’s own project, whole before pages came', async () => {
    const { json } = await get(`/${users[0]!.projectId}?limit=1`, users[0]!.token, '2.39');
    expect(ids(json.tenant_usage).sort()).toEqual(servers[0]);
    expect(json.tenant_usage_links).toBeUndefined();
    expect((await get(`/${users[1]!.projectId}`, users[0]!.token)).status).toBe(403);
  });

  it('comes to an end for who asks on from the last server until there is nothing more', async () => {
    const project = users[0]!.projectId;
    const seen: string[] = [];
    let path = `/${project}?limit=2`;
    let pages = 0;
    for (; pages < 5; pages++) {
      const { json } = await get(path, users[0]!.token);
      if (!json.tenant_usage.server_usages) break;
      seen.push(...ids(json.tenant_usage));
      path = `/${project}?limit=2&marker=${seen.at(-1)}`;
    }
    expect(pages).toBe(2);
    expect(seen).toEqual(servers[0]);
    expect((await get(`/${project}?marker=${seen.at(-1)}`, users[0]!.token)).json).toEqual({
      tenant_usage: {},
    });
  });

  it('links to the next page, of all projects too, whose usage is cut by servers', async () => {
    const seen: string[] = [];
    const projects: string[][] = [];
    let path: string | undefined = '?detailed=1&limit=2';
    while (path !== undefined) {
      const { json } = await get(path, admin);
      projects.push(json.tenant_usages.map((usage: { tenant_id: string }) => usage.tenant_id));
      seen.push(...json.tenant_usages.flatMap(ids));
      const [link] = json.tenant_usages_links ?? [];
      if (link) expect(link.rel).toBe('next');
      path = link && new URL(link.href).search;
    }
    expect([...seen].sort()).toEqual(servers.flat().sort());
    expect(projects).toHaveLength(3);
    expect(projects.flat()).toEqual(projects.flat().sort());
    expect(new Set(projects.flat()).size).toBe(2);
  });

  it('refuses a marker that is no server, or another project’s', async () => {
    for (const marker of ['nonsense', servers[1]![0]]) {
      const { status, json } = await get(`/${users[0]!.projectId}?marker=${marker}`, users[0]!.token);
      expect(status).toBe(400);
      expect(json.badRequest.message).toBe(`marker [${marker}] not found`);
    }
    expect((await get('?limit=x', admin)).status).toBe(400);
  });

  it('pages what was done to a server, from the newest on', async () => {
    const id = servers[0]![0]!;
    const path = `/compute/v2.1/servers/${id}/os-instance-actions`;
    const act = async (body: unknown) =>
      await cloud.cloud.request('POST', `/compute/v2.1/servers/${id}/action`, {
        token: users[0]!.token,
        body,
      });
    expect((await act({ 'os-stop': null })).status).toBe(202);
    await cloud.applied(id, 'shutdown');
    const actions = async (query: string, version = '2.66') =>
      await cloud.cloud.request('GET', `${path}${query}`, { token: users[0]!.token, headers: V(version) });
    const all = (await actions('?limit=1', '2.57')).json.instanceActions;
    expect(all.map(({ action }: { action: string }) => action)).toEqual(['stop', 'create']);
    const first = (await actions('?limit=1')).json;
    expect(first.instanceActions).toMatchObject([{ action: 'stop' }]);
    const next = (await actions(new URL(first.links[0].href).search)).json;
    expect(next.instanceActions).toMatchObject([{ action: 'create' }]);
    expect(next.links).toBeUndefined();
    const last = all.at(-1).request_id;
    expect((await actions(`?marker=${last}`)).json.instanceActions).toEqual([]);
    expect((await actions('?marker=req-x')).status).toBe(400);
    expect((await actions('?changes-since=2999-01-01T00:00:00Z')).json.instanceActions).toEqual([]);
    expect((await actions('?changes-before=2000-01-01T00:00:00Z')).json.instanceActions).toEqual([]);
    expect((await actions('?changes-since=2999-01-01&changes-before=2000-01-01')).status).toBe(400);
    expect((await actions('?changes-since=never')).status).toBe(400);
  });
});
