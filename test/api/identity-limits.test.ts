import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestApp } from '../support/app.js';
import { DIALECTS } from '../support/stores.js';

const V3 = '/identity/v3';

async function open(dialect: (typeof DIALECTS)[number], model: 'flat' | 'strict_two_level') {
  const cloud = await TestApp.open({ dialect, config: { unified_limit_model: model } });
  const token = await cloud.adminToken();
  const call = (method: string, path: string, body?: unknown, as = token) =>
    cloud.request(method, V3 + path, { token: as, body });
  const make = async (kind: string, values: Record<string, unknown>) => {
    const reply = await call('POST', `/${kind}s`, { [kind]: values });
    expect(reply.status, reply.text).toBe(201);
    return reply.json[kind].id as string;
  };
  return { cloud, call, make };
}

describe.each(DIALECTS)('limits on %s', (dialect) => {
  let on: Awaited<ReturnType<typeof open>>;
  let service: string;
  const id = expect.stringMatching(/^[0-9a-f]{32}$/);

  beforeAll(async () => {
    on = await open(dialect, 'flat');
    service = await on.make('service', { type: 'limited' });
    await on.make('region', { id: 'north' });
  });
  afterAll(() => on.cloud.close());

  const register = (...limits: Record<string, unknown>[]) =>
    on.call('POST', '/registered_limits', {
      registered_limits: limits.map((limit) => ({ service_id: service, default_limit: 10, ...limit })),
    });
  const limit = (...limits: Record<string, unknown>[]) =>
    on.call('POST', '/limits', {
      limits: limits.map((one) => ({ service_id: service, resource_limit: 5, ...one })),
    });

  it('registers what resources are limited to by default', async () => {
    const made = await register(
      { resource_name: 'cores', description: 'of CPUs' },
      { resource_name: 'cores', region_id: 'north', default_limit: -1 },
    );
    expect(made.status, made.text).toBe(201);
    const [everywhere, north] = made.json.registered_limits;
    expect(everywhere).toEqual({
      id,
      service_id: service,
      region_id: null,
      resource_name: 'cores',
      default_limit: 10,
      description: 'of CPUs',
      links: { self: `http://127.0.0.1:5000${V3}/registered_limits/${everywhere.id}` },
    });
    expect(made.json).not.toHaveProperty('links');
    expect((await register({ resource_name: 'new' }, { resource_name: 'cores' })).status).toBe(409);
    expect((await on.call('GET', '/registered_limits?resource_name=new')).json.registered_limits).toEqual([]);
    const found = await on.call('GET', `/registered_limits?region_id=north&service_id=${service}`);
    expect(found.json.registered_limits).toEqual([north]);
    expect((await on.call('GET', `/registered_limits/${north.id}`)).json.registered_limit).toEqual(north);
    const path = `/registered_limits/${north.id}`;
    const patched = await on.call('PATCH', path, { registered_limit: { default_limit: 7, region_id: null } });
    expect(patched.status).toBe(409);
    expect(
      (await on.call('PATCH', path, { registered_limit: { default_limit: 7 } })).json.registered_limit,
    ).toEqual({
      ...north,
      default_limit: 7,
    });
    expect((await on.call('DELETE', path)).status).toBe(204);
    const gone = await on.call('GET', path);
    expect([gone.status, gone.json.error.message]).toEqual([
      404,
      `Could not find registered limit for ${north.id}.`,
    ]);
  });

  it('refuses registered limits that make no sense', async () => {
    for (const wrong of [
      { resource_name: 'x', default_limit: -2 },
      { resource_name: 'x', default_limit: '5' },
      { resource_name: '' },
      { resource_name: 'x', service_id: 'nobody' },
      { resource_name: 'x', region_id: 'nowhere' },
      { resource_name: 'x', further: 1 },
      {},
    ]) {
      expect((await register(wrong)).status, JSON.stringify(wrong)).toBe(400);
    }
    expect((await on.call('POST', '/registered_limits', { registered_limits: [] })).status).toBe(400);
  });

  it('limits projects and domains, each to itself', async () => {
    const [registered] = (await register({ resource_name: 'disks' })).json.registered_limits;
    const domain = await on.make('domain', { name: 'limited' });
    const { projectId, token } = await on.cloud.projectUser('limited');
    const made = await limit(
      { resource_name: 'disks', project_id: projectId },
      { resource_name: 'disks', domain_id: domain },
    );
    expect(made.status, made.text).toBe(201);
    const [ofProject, ofDomain] = made.json.limits;
    expect(ofProject).toEqual({
      id,
      project_id: projectId,
      domain_id: null,
      service_id: service,
      region_id: null,
      resource_name: 'disks',
      resource_limit: 5,
      description: null,
      links: { self: `http://127.0.0.1:5000${V3}/limits/${ofProject.id}` },
    });
    expect([ofDomain.project_id, ofDomain.domain_id]).toEqual([null, domain]);
    // a domain is a project as well
    expect((await limit({ resource_name: 'disks', project_id: domain })).status).toBe(409);
    const list = async (query: string, as?: string) =>
      (await on.call('GET', `/limits${query}`, undefined, as)).json.limits.map((l: { id: string }) => l.id);
    expect((await list('?resource_name=disks')).sort()).toEqual([ofProject.id, ofDomain.id].sort());
    expect(await list(`?domain_id=${domain}`)).toEqual([ofDomain.id]);
    expect(await list('?resource_name__contains=isk&resource_name__startswith=x')).toEqual([]);
    expect(await list('', token)).toEqual([ofProject.id]);
    expect(await list(`?domain_id=${domain}`, token)).toEqual([]);
    expect((await on.call('GET', `/limits/${ofProject.id}`, undefined, token)).status).toBe(200);
    expect((await on.call('GET', `/limits/${ofDomain.id}`, undefined, token)).status).toBe(403);
    const path = `/limits/${ofProject.id}`;
    const patched = await on.call('PATCH', path, { limit: { resource_limit: 0, description: 'none' } });
    expect(patched.json.limit).toEqual({ ...ofProject, resource_limit: 0, description: 'none' });
    expect((await on.call('PATCH', path, { limit: { project_id: domain } })).status).toBe(400);
    const based = await on.call('DELETE', `/registered_limits/${registered.id}`);
    expect([based.status, based.json.error.message]).toEqual([
      403,
      `Unable to update or delete registered limit ${registered.id} because there are project limits associated with it.`,
    ]);
    expect((await on.call('DELETE', path)).status).toBe(204);
    expect((await on.call('DELETE', path)).status).toBe(404);
    await on.call('PATCH', `/domains/${domain}`, { domain: { enabled: false } });
    await on.call('DELETE', `/domains/${domain}`);
    expect(await list('?resource_name=disks')).toEqual([]);
    expect((await on.call('DELETE', `/registered_limits/${registered.id}`)).status).toBe(204);
  });

  it('refuses limits without a registered one, of nobody, or of two', async () => {
    await register({ resource_name: 'ports' });
    const { projectId } = await on.cloud.projectUser('portless');
    const cases: [number, Record<string, unknown>][] = [
      [403, { resource_name: 'unregistered', project_id: projectId }],
      [403, { resource_name: 'ports', project_id: projectId, region_id: 'north' }],
      [400, { resource_name: 'ports' }],
      [400, { resource_name: 'ports', project_id: projectId, domain_id: 'default' }],
      [400, { resource_name: 'ports', project_id: 'nobody' }],
      [400, { resource_name: 'ports', domain_id: projectId }],
      [400, { resource_name: 'ports', project_id: projectId, resource_limit: 1.5 }],
    ];
    for (const [status, wrong] of cases) {
      expect((await limit(wrong)).status, JSON.stringify(wrong)).toBe(status);
    }
    expect((await on.call('GET', '/limits/model')).json.model.name).toBe('flat');
  });

  it('shows limits with the projects of a tree, and keeps the service and region of one that projects have', async () => {
    const going = await on.make('service', { type: 'going' });
    await register({ resource_name: 'a', service_id: going });
    const admin = await on.cloud.admin();
    const project = await on.make('project', { name: 'going', parent_id: admin.projectId });
    const [reader] = (await on.call('GET', '/roles?name=reader')).json.roles;
    await on.call('PUT', `/projects/${project}/users/${admin.userId}/roles/${reader.id}`);
    const made = await limit({ resource_name: 'a', service_id: going, project_id: project });
    const tree = await on.call('GET', `/projects/${admin.projectId}?subtree_as_list&include_limits`);
    expect(tree.json.project.subtree[0].project.limits).toEqual(made.json.limits);
    const [{ id }] = made.json.limits;
    const refused = await on.call('DELETE', `/services/${going}`);
    const [registered] = (await on.call('GET', `/registered_limits?service_id=${going}`)).json
      .registered_limits;
    expect(refused.status).toBe(403);
    expect(refused.json.error.message).toContain(registered.id);
    expect((await on.call('GET', `/services/${going}`)).status).toBe(200);
    expect((await on.call('GET', `/limits/${id}`)).status).toBe(200);
    await on.call('DELETE', `/limits/${id}`);
    expect((await on.call('DELETE', `/services/${going}`)).status).toBe(204);
    expect((await on.call('GET', `/registered_limits/${registered.id}`)).status).toBe(404);

    for (const region of [{ id: 'above' }, { id: 'below', parent_region_id: 'above' }]) {
      await on.call('POST', '/regions', { region });
    }
    const kept = await on.make('service', { type: 'kept' });
    await register({ resource_name: 'b', service_id: kept, region_id: 'below' });
    const there = { resource_name: 'b', service_id: kept, region_id: 'below', project_id: project };
    const [below] = (await limit(there)).json.limits;
    expect((await on.call('DELETE', '/regions/above')).status).toBe(403);
    expect((await on.call('GET', '/regions/below')).status).toBe(200);
    expect((await on.call('DELETE', `/limits/${below.id}`)).status).toBe(204);
    expect((await on.call('DELETE', '/regions/above')).status).toBe(204);
  });

  it('and tags change without making controllers look up their tokens again', async () => {
    const project = await on.make('project', { name: 'with tags and limits' });
    let changes = 0;
    on.cloud.app.identity.follow(async () => void changes++);
    const call = async (method: string, path: string, body?: unknown) => {
      const reply = await on.call(method, path, body);
      expect(reply.status, `${method} ${path} ${reply.text}`).toBeLessThan(300);
      return reply.json;
    };
    await call('GET', '/projects'); // on PostgreSQL the first request finds out about earlier changes
    changes = 0;
    const [{ id: registered }] = (await register({ resource_name: 'aside' })).json.registered_limits;
    await call('PATCH', `/registered_limits/${registered}`, { registered_limit: { default_limit: 9 } });
    const [{ id: limited }] = (await limit({ resource_name: 'aside', project_id: project })).json.limits;
    await call('PATCH', `/limits/${limited}`, { limit: { resource_limit: 6 } });
    await call('DELETE', `/limits/${limited}`);
    await call('DELETE', `/registered_limits/${registered}`);
    await call('PUT', `/projects/${project}/tags`, { tags: ['one', 'two'] });
    await call('PUT', `/projects/${project}/tags/three`);
    await call('DELETE', `/projects/${project}/tags/one`);
    expect((await call('GET', `/projects/${project}/tags`)).tags).toEqual(['three', 'two']);
    expect(changes).toBe(0);
    await call('PATCH', `/projects/${project}`, { project: { enabled: false } });
    await call('GET', '/projects');
    expect(changes).toBe(1);
  });
});

describe('limits in two levels', () => {
  let on: Awaited<ReturnType<typeof open>>;

  beforeAll(async () => {
    on = await open('sqlite', 'strict_two_level');
  });
  afterAll(() => on.cloud.close());

  it('never gives a project more than its domain has', async () => {
    const service = await on.make('service', { type: 'limited' });
    const domain = await on.make('domain', { name: 'd' });
    const project = await on.make('project', { name: 'p', domain_id: domain });
    const below = await on.make('project', { name: 'q', parent_id: project });
    const deeper = await on.call('POST', '/projects', { project: { name: 'r', parent_id: below } });
    expect(deeper.status).toBe(403);
    const resource = { service_id: service, resource_name: 'cores' };
    await on.call('POST', '/registered_limits', { registered_limits: [{ ...resource, default_limit: 10 }] });
    const limit = async (...limits: Record<string, unknown>[]) =>
      await on.call('POST', '/limits', { limits: limits.map((one) => ({ ...resource, ...one })) });
    expect((await limit({ project_id: project, resource_limit: 11 })).status).toBe(403);
    expect((await limit({ project_id: project, resource_limit: -1 })).status).toBe(403);
    const refused = await limit(
      { domain_id: domain, resource_limit: 20 },
      { project_id: project, resource_limit: 21 },
    );
    expect(refused.status).toBe(403);
    expect(refused.json.error.message).toContain("doesn't satisfy current hierarchy model");
    const made = await limit(
      { domain_id: domain, resource_limit: 20 },
      { project_id: project, resource_limit: 15 },
    );
    expect(made.status, made.text).toBe(201);
    const [ofDomain, ofProject] = made.json.limits;
    const set = async (id: string, resource_limit: number) =>
      (await on.call('PATCH', `/limits/${id}`, { limit: { resource_limit } })).status;
    expect(await set(ofDomain.id, 14)).toBe(403);
    expect(await set(ofProject.id, 21)).toBe(403);
    expect(await set(ofProject.id, 20)).toBe(200);
    expect(await set(ofDomain.id, -1)).toBe(200);
    expect(await set(ofProject.id, 1000)).toBe(200);
    expect((await on.call('GET', '/limits/model')).json.model).toEqual({
      name: 'strict_two_level',
      description: 'This model requires project hierarchy never exceeds a depth of two',
    });
  });
});
