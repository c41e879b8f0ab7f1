import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestApp, type TestReply } from '../support/app.js';
import { DIALECTS } from '../support/stores.js';

const V3 = '/identity/v3';

describe.each(DIALECTS)('identity on %s', (dialect) => {
  let cloud: TestApp;
  let admin: string;

  beforeAll(async () => {
    cloud = await TestApp.open({ dialect });
    admin = await cloud.adminToken();
  });
  afterAll(() => cloud.close());

  const call = (method: string, path: string, body?: unknown, token = admin) =>
    cloud.request(method, V3 + path, { token, body });
  const create = async (kind: string, values: Record<string, unknown>) => {
    const reply = await call('POST', `/${kind}s`, { [kind]: values });
    expect(reply.status, reply.text).toBe(201);
    return reply.json[kind];
  };
  const login = (user: Record<string, unknown>, scope?: unknown): Promise<TestReply> =>
    cloud.request('POST', `${V3}/auth/tokens`, {
      body: { auth: { identity: { methods: ['password'], password: { user } }, scope } },
    });
  const works = async (token: string) =>
    (await call('GET', '/auth/projects', undefined, token)).status === 200;

  it('answers discovery without a token', async () => {
    for (const path of ['/', '/identity', '/identity/']) {
      const reply = await cloud.request('GET', path);
      expect(reply.status).toBe(300);
      expect(reply.headers.location).toBe('http://127.0.0.1:5000/identity/v3/');
      expect(Object.keys(reply.json.versions.values[0])).toEqual([
        'id',
        'status',
        'updated',
        'links',
        'media-types',
      ]);
    }
    for (const path of [V3, `${V3}/`]) {
      expect((await cloud.request('GET', path)).json.version.id).toBe('v3.14');
    }
  });

  it('answers unknown paths and verbs as Keystone does', async () => {
    const unknown = await call('GET', '/nothing/here');
    expect([unknown.status, unknown.headers['content-type']]).toEqual([404, 'text/html; charset=utf-8']);
    const verb = await call('PUT', '/users');
    expect([verb.status, verb.headers.allow]).toEqual([405, 'GET, HEAD, POST']);
    expect((await cloud.request('GET', `${V3}/users`)).status).toBe(401);
    expect((await cloud.request('GET', '/elsewhere')).status).toBe(404);
  });

  it('creates, lists, changes and deletes a project', async () => {
    const project = await create('project', { name: 'web', tags: ['a', 'b'], colour: 'green' });
    expect(project).toMatchObject({
      domain_id: 'default',
      parent_id: 'default',
      enabled: true,
      is_domain: false,
      description: '',
      tags: ['a', 'b'],
      options: {},
      colour: 'green',
      links: { self: `http://127.0.0.1:5000${V3}/projects/${project.id}` },
    });
    const list = await call('GET', '/projects?name=web&tags=a');
    expect(list.json).toEqual({
      projects: [project],
      links: { next: null, previous: null, self: `http://127.0.0.1:5000${V3}/projects?name=web&tags=a` },
    });
    expect((await call('GET', '/projects?tags=c')).json.projects).toEqual([]);
    expect((await call('GET', '/projects?name__startswith=we')).json.projects).toHaveLength(1);
    expect((await call('POST', '/projects', { project: { name: 'web' } })).status).toBe(409);
    expect((await call('GET', '/projects/web')).json.error).toEqual({
      code: 404,
      message: 'Could not find project: web.',
      title: 'Not Found',
    });
    const child = await create('project', { name: 'child', parent_id: project.id });
    expect((await call('DELETE', `/projects/${project.id}`)).status).toBe(403);
    expect((await call('DELETE', `/projects/${child.id}`)).status).toBe(204);
    const patched = await call('PATCH', `/projects/${project.id}`, { project: { description: 'x' } });
    expect(patched.json.project).toEqual({ ...project, description: 'x' });
    expect((await call('DELETE', `/projects/${project.id}`)).status).toBe(204);
    expect((await call('GET', `/projects/${project.id}`)).status).toBe(404);
  });

  it('refuses bodies that its schemas do not allow, and changes nothing', async () => {
    const before = (await call('GET', '/users')).text;
    for (const user of [
      {},
      { name: '' },
      { name: 5 },
      { name: 'x', enabled: 'yes' },
      { name: 'x'.repeat(256) },
    ]) {
      const reply = await call('POST', '/users', { user });
      expect(reply.status).toBe(400);
      expect(reply.json.error.title).toBe('Bad Request');
    }
    expect((await call('POST', '/users', { user: { name: 'x', domain_id: 'nowhere' } })).status).toBe(404);
    expect((await call('GET', '/users')).text).toBe(before);
  });

  it('never shows a password', async () => {
    const user = await create('user', { name: 'secretive', password: 'hidden', email: 'a@b.c' });
    expect(user).toMatchObject({ email: 'a@b.c', enabled: true, password_expires_at: null });
    expect(JSON.stringify(user)).not.toContain('hidden');
    expect((await call('GET', `/users/${user.id}`)).text).not.toContain('hidden');
  });

  describe('tokens end with what they depend on', () => {
    const member = async (name: string) => {
      const project = await create('project', { name: `${name}-project` });
      const user = await create('user', { name, password: 'one' });
      const [role] = (await call('GET', '/roles?name=member')).json.roles;
      const grant = `/projects/${project.id}/users/${user.id}/roles/${role.id}`;
      expect((await call('PUT', grant)).status).toBe(204);
      expect((await call('HEAD', grant)).status).toBe(204);
      const reply = await login({ id: user.id, password: 'one' }, { project: { id: project.id } });
      expect(reply.status).toBe(201);
      const token = reply.headers['x-subject-token']!;
      expect(await works(token)).toBe(true);
      return { project, user, grant, token };
    };

    it('a role that is taken away', async () => {
      const { grant, token } = await member('revoked');
      expect((await call('DELETE', grant)).status).toBe(204);
      expect(await works(token)).toBe(false);
      expect((await call('HEAD', grant)).status).toBe(404);
      expect((await call('PUT', grant)).status).toBe(204);
      expect(await works(token)).toBe(true);
    });

    it('a disabled user', async () => {
      const { user, token } = await member('disabled');
      await call('PATCH', `/users/${user.id}`, { user: { enabled: false } });
      expect(await works(token)).toBe(false);
      expect((await login({ id: user.id, password: 'one' })).status).toBe(401);
      await call('PATCH', `/users/${user.id}`, { user: { enabled: true } });
      expect(await works(token)).toBe(false);
      expect((await login({ id: user.id, password: 'one' })).status).toBe(201);
    });

    it('a disabled project, and a deleted one', async () => {
      const { project, token } = await member('homeless');
      await call('PATCH', `/projects/${project.id}`, { project: { enabled: false } });
      expect(await works(token)).toBe(false);
      const { project: other, token: another } = await member('houseless');
      await call('DELETE', `/projects/${other.id}`);
      expect(await works(another)).toBe(false);
    });

    it('a changed password', async () => {
      const { user, token } = await member('changing');
      const change = (original_password: string) =>
        cloud.request('POST', `${V3}/users/${user.id}/password`, {
          body: { user: { original_password, password: 'two' } },
        });
      expect((await change('wrong')).status).toBe(401);
      expect(await works(token)).toBe(true);
      expect((await change('one')).status).toBe(204);
      expect(await works(token)).toBe(false);
      expect((await login({ id: user.id, password: 'one' })).status).toBe(401);
      expect((await login({ id: user.id, password: 'two' })).status).toBe(201);
    });

    it('a deleted user, and a disabled domain', async () => {
      const { user, token } = await member('leaving');
      expect((await call('DELETE', `/users/${user.id}`)).status).toBe(204);
      expect(await works(token)).toBe(false);
      const domain = await create('domain', { name: `domain-${dialect}` });
      const inside = await create('user', { name: 'inside', domain_id: domain.id, password: 'p' });
      const unscoped = (await login({ id: inside.id, password: 'p' })).headers['x-subject-token']!;
      expect(await works(unscoped)).toBe(true);
      expect((await call('DELETE', `/domains/${domain.id}`)).status).toBe(403);
      await call('PATCH', `/domains/${domain.id}`, { domain: { enabled: false } });
      expect(await works(unscoped)).toBe(false);
      expect((await call('DELETE', `/domains/${domain.id}`)).status).toBe(204);
      expect((await call('GET', `/users/${inside.id}`)).status).toBe(404);
    });

    it('a group that the user leaves', async () => {
      const { user, project } = await member('grouped');
      const group = await create('group', { name: 'gang' });
      const [reader] = (await call('GET', '/roles?name=manager')).json.roles;
      await call('PUT', `/projects/${project.id}/groups/${group.id}/roles/${reader.id}`);
      await call('PUT', `/groups/${group.id}/users/${user.id}`);
      const names = async () => {
        const reply = await login({ id: user.id, password: 'one' }, { project: { id: project.id } });
        return reply.json.token.roles.map((role: { name: string }) => role.name);
      };
      expect(await names()).toEqual(['manager', 'member', 'reader']);
      expect((await call('HEAD', `/groups/${group.id}/users/${user.id}`)).status).toBe(204);
      await call('DELETE', `/groups/${group.id}/users/${user.id}`);
      expect(await names()).toEqual(['member', 'reader']);
    });
  });

  it('lists assignments, with names and effective ones', async () => {
    const { userId, projectId } = await cloud.projectUser('assigned');
    const granted = await call('GET', `/role_assignments?user.id=${userId}&include_names=True`);
    expect(granted.json.role_assignments).toEqual([
      expect.objectContaining({
        role: expect.objectContaining({ name: 'member' }),
        user: {
          id: userId,
          name: 'assigned-member',
          domain: { id: 'default', name: 'Default' },
        },
        scope: {
          project: { id: projectId, name: 'assigned', domain: { id: 'default', name: 'Default' } },
        },
      }),
    ]);
    const effective = await call('GET', `/role_assignments?user.id=${userId}&effective`);
    expect(effective.json.role_assignments).toHaveLength(2);
  });

  it('inherits grants on a domain in its projects', async () => {
    const domain = await create('domain', { name: `inherit-${dialect}` });
    const project = await create('project', { name: 'below', domain_id: domain.id });
    const user = await create('user', { name: 'heir', domain_id: domain.id, password: 'p' });
    const [role] = (await call('GET', '/roles?name=reader')).json.roles;
    const path = `/OS-INHERIT/domains/${domain.id}/users/${user.id}/roles/${role.id}/inherited_to_projects`;
    const scoped = () => login({ id: user.id, password: 'p' }, { project: { id: project.id } });
    expect((await scoped()).status).toBe(401);
    expect((await call('PUT', path)).status).toBe(204);
    expect((await scoped()).status).toBe(201);
    expect((await login({ id: user.id, password: 'p' }, { domain: { id: domain.id } })).status).toBe(401);
  });

  it('shows members nothing of others', async () => {
    const one = await cloud.projectUser('mine');
    const two = await cloud.projectUser('theirs');
    const [manager] = (await call('GET', '/roles?name=manager')).json.roles;
    const refused = [
      ['GET', '/users'],
      ['GET', `/users/${two.userId}`],
      ['GET', `/projects/${two.projectId}`],
      ['GET', '/users/nobody'],
      ['GET', '/projects'],
      ['GET', '/role_assignments'],
      ['DELETE', `/users/${one.userId}`],
      ['PATCH', `/projects/${one.projectId}`],
      ['PUT', `/projects/${one.projectId}/users/${one.userId}/roles/${manager.id}`],
    ];
    for (const [method, path] of refused) {
      expect((await call(method!, path!, undefined, one.token)).status, path).toBe(403);
    }
    expect((await call('GET', `/users/${one.userId}`, undefined, one.token)).status).toBe(200);
    expect((await call('GET', `/projects/${one.projectId}`, undefined, one.token)).status).toBe(200);
    expect(
      (await call('GET', `/users/${one.userId}/projects`, undefined, one.token)).json.projects,
    ).toHaveLength(1);
  });

  it('keeps the catalogue in rows', async () => {
    const region = await create('region', { id: `north-${dialect}` });
    const service = await create('service', { type: 'dns', name: 'designate' });
    const endpoint = { service_id: service.id, interface: 'public', region_id: region.id };
    const bad = await call('POST', '/endpoints', { endpoint: { ...endpoint, url: 'nonsense' } });
    expect(bad.status).toBe(400);
    const made = await create('endpoint', { ...endpoint, url: 'http://dns/%(project_id)s' });
    const { catalog } = (await call('GET', '/auth/catalog')).json;
    const entry = catalog.find((e: { type: string }) => e.type === 'dns');
    expect(entry.endpoints[0].url).toBe(`http://dns/${(await cloud.admin()).projectId}`);
    expect((await call('DELETE', `/regions/${region.id}`)).status).toBe(403);
    await call('DELETE', `/services/${service.id}`);
    expect((await call('GET', `/endpoints/${made.id}`)).status).toBe(404);
    expect((await call('DELETE', `/regions/${region.id}`)).status).toBe(204);
  });

  it('confines a project’s catalogue to the endpoints associated with it', async () => {
    const { projectId, token } = await cloud.projectUser('confined');
    const service = await create('service', { type: 'metering', name: 'ceilometer' });
    const endpoint = await create('endpoint', {
      service_id: service.id,
      interface: 'public',
      url: 'http://metering',
    });
    const types = async () =>
      (await call('GET', '/auth/catalog', undefined, token)).json.catalog.map(
        (e: { type: string }) => e.type,
      );
    expect(await types()).toContain('identity');
    const made = await call('POST', '/OS-EP-FILTER/endpoint_groups', {
      endpoint_group: { name: 'metering', filters: { service_id: service.id } },
    });
    expect(made.status).toBe(201);
    const association = `/OS-EP-FILTER/endpoint_groups/${made.json.endpoint_group.id}/projects/${projectId}`;
    expect((await call('HEAD', association)).status).toBe(404);
    expect((await call('PUT', association)).status).toBe(204);
    expect((await call('GET', association)).status).toBe(200);
    expect(await types()).toEqual(['metering']);
    expect((await call('DELETE', association)).status).toBe(204);
    expect((await call('PUT', `/OS-EP-FILTER/projects/${projectId}/endpoints/${endpoint.id}`)).status).toBe(
      204,
    );
    expect(await types()).toEqual(['metering']);
    expect((await call('DELETE', `/services/${service.id}`)).status).toBe(204);
    expect(await types()).toContain('identity');
    const bad = { endpoint_group: { name: 'bad', filters: { url: 'x' } } };
    expect((await call('POST', '/OS-EP-FILTER/endpoint_groups', bad)).status).toBe(400);
  });

  it('keeps policy documents', async () => {
    const made = await call('POST', '/policies', { policy: { type: 'text/plain', blob: 'x' } });
    expect(made.status).toBe(201);
    const path = `/policies/${made.json.policy.id}`;
    await call('PATCH', path, { policy: { blob: 'y' } });
    expect((await call('GET', path)).json.policy).toMatchObject({ type: 'text/plain', blob: 'y' });
    expect((await call('DELETE', path)).status).toBe(204);
    expect((await call('GET', path)).status).toBe(404);
  });

  it('keeps what is marked immutable', async () => {
    const role = await create('role', { name: 'fixed', options: { immutable: true } });
    expect((await call('DELETE', `/roles/${role.id}`)).status).toBe(403);
    expect((await call('PATCH', `/roles/${role.id}`, { role: { name: 'moved' } })).status).toBe(403);
    await call('PATCH', `/roles/${role.id}`, { role: { options: { immutable: false } } });
    expect((await call('DELETE', `/roles/${role.id}`)).status).toBe(204);
  });
});
