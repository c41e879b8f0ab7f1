import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestApp, type TestReply } from '../support/app.js';
import { DIALECTS } from '../support/stores.js';

const V3 = '/identity/v3';

describe.each(DIALECTS)('projects and domains on %s', (dialect) => {
  let cloud: TestApp;
  let admin: string;

  beforeAll(async () => {
    cloud = await TestApp.open({ dialect });
    admin = await cloud.adminToken();
  });
  afterAll(() => cloud.close());

  const call = (method: string, path: string, body?: unknown) =>
    cloud.request(method, V3 + path, { token: admin, body });
  const make = async (kind: string, values: Record<string, unknown>) => {
    const reply = await call('POST', `/${kind}s`, { [kind]: values });
    expect(reply.status, reply.text).toBe(201);
    return reply.json[kind];
  };
  const refusal = async (method: string, path: string, body?: unknown) => {
    const { status, json } = await call(method, path, body);
    return [status, json?.error?.message];
  };
  const names = async (query: string, kind = 'projects') =>
    (await call('GET', `/${kind}?${query}`)).json[kind].map(({ name }: { name: string }) => name).sort();

  it('shows what is above and below a project', async () => {
    const domain = await make('domain', { name: 'tree' });
    const a = await make('project', { name: 'a', domain_id: domain.id });
    const b = await make('project', { name: 'b', parent_id: a.id });
    const c = await make('project', { name: 'c', parent_id: b.id });
    const d = await make('project', { name: 'd', parent_id: b.id });
    expect([b.domain_id, b.parent_id, a.parent_id]).toEqual([domain.id, a.id, domain.id]);
    const show = async (id: string, query: string) =>
      (await call('GET', `/projects/${id}?${query}`)).json.project;
    expect((await show(b.id, 'parents_as_ids')).parents).toEqual({ [a.id]: { [domain.id]: null } });
    expect((await show(a.id, 'subtree_as_ids')).subtree).toEqual({ [b.id]: { [c.id]: null, [d.id]: null } });
    expect((await show(c.id, 'subtree_as_ids=1')).subtree).toBeNull();
    expect(await show(c.id, 'subtree_as_ids=0')).not.toHaveProperty('subtree');
    for (const kin of ['parents', 'subtree']) {
      expect(await refusal('GET', `/projects/${a.id}?${kin}_as_list&${kin}_as_ids`)).toEqual([
        400,
        `Cannot use ${kin}_as_list and ${kin}_as_ids query params at the same time.`,
      ]);
    }
    // lists show only what the caller has a role on
    expect((await show(c.id, 'parents_as_list')).parents).toEqual([]);
    const { userId } = await cloud.admin();
    const [reader] = (await call('GET', '/roles?name=reader')).json.roles;
    await call('PUT', `/projects/${a.id}/users/${userId}/roles/${reader.id}`);
    await call(
      'PUT',
      `/OS-INHERIT/projects/${b.id}/users/${userId}/roles/${reader.id}/inherited_to_projects`,
    );
    expect((await show(c.id, 'parents_as_list')).parents).toEqual([{ project: a }]);
    const below = (await show(a.id, 'subtree_as_list')).subtree.map(
      (entry: { project: unknown }) => entry.project,
    );
    expect(below).toHaveLength(2);
    expect(below).toEqual(expect.arrayContaining([c, d]));
    expect(await names(`parent_id=${b.id}`)).toEqual(['c', 'd']);
  });

  it('enables and disables a branch only in an order that keeps it whole', async () => {
    const top = await make('project', { name: 'top' });
    const mid = await make('project', { name: 'mid', parent_id: top.id });
    const set = (id: string, enabled: boolean) =>
      refusal('PATCH', `/projects/${id}`, { project: { enabled } });
    expect(await set(top.id, false)).toEqual([
      403,
      `Cannot disable project ${top.id} since its subtree contains enabled projects.`,
    ]);
    expect(await set(mid.id, false)).toEqual([200, undefined]);
    expect(await set(top.id, false)).toEqual([200, undefined]);
    expect(await set(mid.id, true)).toEqual([
      403,
      `Cannot enable project ${mid.id} since it has disabled parents`,
    ]);
    expect(await refusal('POST', '/projects', { project: { name: 'low', parent_id: mid.id } })).toEqual([
      400,
      `cannot create a project in a branch containing a disabled project: ${mid.id}`,
    ]);
    expect((await refusal('DELETE', `/projects/${top.id}`))[0]).toBe(403);
    expect(await set(top.id, true)).toEqual([200, undefined]);
    expect(await set(mid.id, true)).toEqual([200, undefined]);
  });

  it('disables a domain whatever is in it, and deletes it with that', async () => {
    const domain = await make('domain', { name: 'going' });
    const project = await make('project', { name: 'inside', domain_id: domain.id });
    const child = await make('project', { name: 'child', parent_id: project.id });
    const role = await make('role', { name: 'inside', domain_id: domain.id });
    expect(await refusal('DELETE', `/domains/${domain.id}`)).toEqual([
      403,
      'Cannot delete a domain that is enabled, please disable it first.',
    ]);
    expect((await call('PATCH', `/domains/${domain.id}`, { domain: { enabled: false } })).status).toBe(200);
    expect((await call('GET', `/projects/${child.id}`)).json.project.enabled).toBe(true);
    expect((await call('DELETE', `/domains/${domain.id}`)).status).toBe(204);
    for (const path of [`/projects/${project.id}`, `/projects/${child.id}`, `/roles/${role.id}`]) {
      expect((await call('GET', path)).status, path).toBe(404);
    }
  });

  it('nests projects five deep', async () => {
    let parent = await make('project', { name: 'level 1' });
    for (let level = 2; level <= 5; level++) {
      parent = await make('project', { name: `level ${level}`, parent_id: parent.id });
    }
    expect(
      await refusal('POST', '/projects', { project: { name: 'level 6', parent_id: parent.id } }),
    ).toEqual([403, `Max hierarchy depth reached for ${parent.id} branch.`]);
  });

  it('refuses what does not fit together', async () => {
    const domain = await make('domain', { name: 'misfit' });
    const project = await make('project', { name: 'misfit' });
    const cases: [number, string, string, unknown][] = [
      [400, 'POST', '/projects', { project: { name: 'x', parent_id: project.id, domain_id: domain.id } }],
      [400, 'POST', '/projects', { project: { name: 'x', parent_id: domain.id, domain_id: 'default' } }],
      [400, 'POST', '/projects', { project: { name: 'x', parent_id: 'nobody' } }],
      [400, 'POST', '/projects', { project: { name: 'x', domain_id: 'nobody' } }],
      [400, 'POST', '/projects', { project: { name: 'x', domain_id: project.id } }],
      [400, 'POST', '/projects', { project: { name: 'x', is_domain: true, parent_id: project.id } }],
      [400, 'POST', '/projects', { project: { name: 'x', is_domain: true, domain_id: domain.id } }],
      [400, 'POST', '/projects', { project: { name: 'x', options: { unknown: true } } }],
      [400, 'POST', '/projects', { project: { name: 'x', options: { immutable: 'yes' } } }],
      [400, 'POST', '/projects', { project: { name: 'x', tags: ['a,b'] } }],
      [400, 'PATCH', `/projects/${project.id}`, { project: { domain_id: domain.id } }],
      [403, 'PATCH', `/projects/${project.id}`, { project: { parent_id: domain.id } }],
      [400, 'PATCH', `/projects/${project.id}`, { project: { is_domain: true } }],
      [404, 'PATCH', `/domains/${project.id}`, { domain: { name: 'x' } }],
      [404, 'DELETE', `/domains/${project.id}`, undefined],
      [409, 'POST', '/projects', { project: { name: 'misfit' } }],
      [409, 'POST', '/domains', { domain: { name: 'misfit' } }],
      [400, 'POST', '/domains', { domain: { name: 'x', explicit_domain_id: 'not an id' } }],
    ];
    for (const [status, method, path, body] of cases) {
      expect((await call(method, path, body)).status, `${method} ${path} ${JSON.stringify(body)}`).toBe(
        status,
      );
    }
  });

  it('makes a domain as a project that acts as one, and with the id that is asked for', async () => {
    const made = await make('project', { name: 'acting', is_domain: true });
    expect(made).toMatchObject({ is_domain: true, domain_id: null, parent_id: null });
    expect((await call('GET', `/domains/${made.id}`)).json.domain).toMatchObject({
      id: made.id,
      name: 'acting',
    });
    expect(await names('is_domain=true&name=acting')).toEqual(['acting']);
    expect(await names('name=acting')).toEqual([]);
    const id = '0123456789abcdef0123456789abcdef';
    const explicit = await make('domain', { name: 'explicit', explicit_domain_id: id });
    expect(explicit.id).toBe(id);
    expect(explicit).not.toHaveProperty('explicit_domain_id');
    const again = { domain: { name: 'again', explicit_domain_id: id } };
    expect((await call('POST', '/domains', again)).status).toBe(409);
  });

  it('keeps what is immutable until only the mark is taken away', async () => {
    for (const kind of ['project', 'domain'] as const) {
      const { id } = await make(kind, { name: `fixed ${kind}`, options: { immutable: true } });
      const path = `/${kind}s/${id}`;
      const words = (verb: string) =>
        `Unable to ${verb} immutable ${kind} resource: \`${id}. Set resource option "immutable" to false first.`;
      const patch = (values: unknown) => refusal('PATCH', path, { [kind]: values });
      expect(await refusal('DELETE', path)).toEqual([403, words('delete')]);
      expect(await patch({ description: 'x' })).toEqual([403, words('update')]);
      expect(await patch({ description: 'x', options: { immutable: false } })).toEqual([
        403,
        words('update'),
      ]);
      expect((await call('PUT', `/projects/${id}/tags`, { tags: ['x'] })).status).toBe(403);
      expect((await call('PUT', `/projects/${id}/tags/x`)).status).toBe(403);
      expect(await patch({ options: { immutable: null } })).toEqual([200, undefined]);
      expect((await call('GET', path)).json[kind].options).toEqual({});
      expect(await patch({ description: 'x', enabled: false })).toEqual([200, undefined]);
      expect((await call('DELETE', path)).status).toBe(204);
    }
  });

  it('filters by tags', async () => {
    for (const [name, tags] of Object.entries({
      none: [],
      red: ['red'],
      both: ['red', 'blue'],
      blue: ['blue'],
    })) {
      await make('project', { name: `tagged ${name}`, tags });
    }
    const having = (query: string) => names(`name__startswith=tagged&${query}`);
    expect(await having('tags=red')).toEqual(['tagged both', 'tagged red']);
    expect(await having('tags=red,blue')).toEqual(['tagged both']);
    expect(await having('tags-any=red,blue')).toEqual(['tagged blue', 'tagged both', 'tagged red']);
    expect(await having('not-tags=red,blue')).toEqual(['tagged blue', 'tagged none', 'tagged red']);
    expect(await having('not-tags-any=red,blue')).toEqual(['tagged none']);
    expect(await having('tags=red&not-tags-any=blue')).toEqual(['tagged red']);
    const { id } = await make('project', { name: 'tags of its own' });
    const tag = `/projects/${id}/tags/one%20tag`;
    const put = await call('PUT', tag);
    expect([put.status, put.headers.location]).toEqual([201, `http://127.0.0.1:5000${V3}${tag}`]);
    expect((await call('PUT', tag)).status).toBe(201);
    expect((await call('GET', tag)).status).toBe(204);
    expect((await call('GET', `/projects/${id}/tags`)).json.tags).toEqual(['one tag']);
    const many = Array.from({ length: 80 }, (_, i) => `t${i}`);
    expect((await call('PUT', `/projects/${id}/tags`, { tags: many })).status).toBe(200);
    expect((await call('PUT', tag)).status).toBe(400);
    expect((await call('PUT', `/projects/${id}/tags/a,b`)).status).toBe(400);
    expect((await call('DELETE', tag)).status).toBe(404);
    expect((await call('DELETE', `/projects/${id}/tags`)).status).toBe(204);
    expect((await call('GET', `/projects/${id}/tags`)).json.tags).toEqual([]);
  });

  it('filters names inexactly, and pages', async () => {
    for (const name of ['Page-A', 'page-b', 'pAge-c', 'odd%_name']) await make('project', { name });
    expect(await names('name__icontains=PAGE-')).toEqual(['Page-A', 'pAge-c', 'page-b']);
    expect(await names('name__contains=age-')).toEqual(['Page-A', 'page-b']);
    expect(await names('name__istartswith=page')).toEqual(['Page-A', 'pAge-c', 'page-b']);
    expect(await names('name__endswith=-b')).toEqual(['page-b']);
    expect(await names('name__iendswith=-a')).toEqual(['Page-A']);
    expect(await names('name__contains=%25_')).toEqual(['odd%_name']);
    expect(await names('name__startswith=page&name__endswith=b')).toEqual(['page-b']);
    expect(await names('name__nonsense=x&name=page-b')).toEqual(['page-b']);
    const seen: string[] = [];
    let url: string | null = `${V3}/projects?name__icontains=page&limit=2`;
    while (url) {
      const { json }: TestReply = await cloud.request('GET', url, { token: admin });
      seen.push(...json.projects.map(({ name }: { name: string }) => name));
      expect(json.truncated ?? false).toBe(json.links.next !== null);
      url = json.links.next?.replace('http://127.0.0.1:5000', '') ?? null;
    }
    expect(seen.sort()).toEqual(['Page-A', 'pAge-c', 'page-b']);
    expect((await call('GET', '/projects?marker=nobody')).status).toBe(404);
    expect((await call('GET', '/projects?limit=some')).status).toBe(400);
  });

  it('sorts groups and pages through them by name', async () => {
    for (const name of ['g3', 'g1', 'g2']) await make('group', { name });
    const list = async (query: string) => (await call('GET', `/groups?${query}`)).json;
    const first = await list('sort_key=name&sort_dir=desc&limit=2');
    expect(first.groups.map(({ name }: { name: string }) => name)).toEqual(['g3', 'g2']);
    const rest = await list(first.links.next.split('?')[1]);
    expect(rest.groups.map(({ name }: { name: string }) => name)).toEqual(['g1']);
    expect(rest.links.next).toBeNull();
    expect((await call('GET', '/groups?sort_key=nonsense')).status).toBe(400);
    expect((await call('GET', '/groups?sort_key=name&sort_dir=up')).status).toBe(400);
  });
});
