import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { TestApp, type TestUser } from '../support/app.js';

const V3 = '/identity/v3';

describe('application credentials', () => {
  let cloud: TestApp;
  let admin: TestUser;
  let owner: TestUser;
  let path: string;

  beforeAll(async () => {
    cloud = await TestApp.open();
    admin = await cloud.admin();
    owner = await cloud.projectUser('owner', 'manager');
    path = `/users/${owner.userId}/application_credentials`;
  });
  afterEach(() => void vi.useRealTimers());
  afterAll(() => cloud.close());

  const call = (method: string, at: string, body?: unknown, token = owner.token) =>
    cloud.request(method, V3 + at, { token, body });
  const make = async (values: object, token = owner.token, at = path) => {
    const reply = await call('POST', at, { application_credential: values }, token);
    expect(reply.status, reply.text).toBe(201);
    return reply.json.application_credential;
  };
  const login = ({ id, secret }: { id: string; secret: string }, scope?: unknown) => {
    const identity = { methods: ['application_credential'], application_credential: { id, secret } };
    return cloud.request('POST', `${V3}/auth/tokens`, { body: { auth: { identity, scope } } });
  };
  const tokenOf = async (credential: { id: string; secret: string }) =>
    (await login(credential)).headers['x-subject-token']!;
  const names = (roles: { name: string }[]) => roles.map((role) => role.name);

  it('have some of their maker’s roles, and the secret only once', async () => {
    const secret = 'a secret of my own';
    const made = await make({ name: 'some', secret, roles: [{ name: 'reader' }], description: 'd' });
    expect(made).toMatchObject({ secret, description: 'd', unrestricted: false, expires_at: null });
    for (const at of [path, `${path}/${made.id}`, `${path}?name=some`]) {
      const shown = await call('GET', at);
      expect(shown.text).toContain(made.id);
      expect(shown.text).not.toContain(secret);
    }
    const { token } = (await login(made)).json;
    expect(names(token.roles)).toEqual(['reader']);
    expect((await call('GET', path, undefined, admin.token)).status).toBe(200);
    expect((await call('GET', `/users/${admin.userId}/application_credentials/${made.id}`)).status).toBe(403);
    const elsewhere = `/users/${admin.userId}/application_credentials/${made.id}`;
    expect((await call('GET', elsewhere, undefined, admin.token)).status).toBe(404);
  });

  it.each([
    ['no name', {}],
    ['an empty name', { name: '' }],
    ['a role that its maker lacks', { name: 'x', roles: [{ name: 'admin' }] }],
    ['a past expiry', { name: 'x', expires_at: '2001-01-01T00:00:00' }],
    ['an expiry that is no time', { name: 'x', expires_at: 'soon' }],
    ['an access rule without a path', { name: 'x', access_rules: [{ service: 'compute', method: 'GET' }] }],
    [
      'too many access rules',
      { name: 'x', access_rules: Array(101).fill({ service: 'a', method: 'GET', path: '/' }) },
    ],
    ['too many roles', { name: 'x', roles: Array(51).fill({ name: 'reader' }) }],
    ['a method that there is not', { name: 'x', access_rules: [{ service: 'a', method: 'GOT', path: '/' }] }],
  ])('are refused with %s', async (_, values) => {
    expect((await call('POST', path, { application_credential: values })).status).toBe(400);
  });

  it('expire', async () => {
    const end = Date.now() + 600_000;
    const soon = new Date(end).toISOString().slice(0, -1);
    const made = await make({ name: 'short', expires_at: soon });
    const token = await tokenOf(made);
    expect((await call('GET', `/users/${owner.userId}`, undefined, token)).status).toBe(200);
    vi.useFakeTimers({ toFake: ['Date'], now: end + 1_000 });
    expect((await call('GET', `/users/${owner.userId}`, undefined, token)).status).toBe(401);
    expect((await login(made)).status).toBe(401);
  });

  it('that are unrestricted make others, with no more than they have; restricted ones make and delete none', async () => {
    const free = await make({ name: 'free', unrestricted: true, roles: [{ name: 'member' }] });
    const token = await tokenOf(free);
    const made = await make({ name: 'child' }, token);
    expect(names(made.roles).sort()).toEqual(['member', 'reader']);
    const more = { application_credential: { name: 'more', roles: [{ name: 'manager' }] } };
    expect((await call('POST', path, more, token)).status).toBe(400);
    const bound = await tokenOf(made);
    expect((await call('POST', path, { application_credential: { name: 'y' } }, bound)).status).toBe(403);
    expect((await call('DELETE', `${path}/${free.id}`, undefined, bound)).status).toBe(403);
    expect((await call('DELETE', `${path}/${made.id}`, undefined, token)).status).toBe(204);
    expect((await login(made)).status).toBe(401);
  });

  it('choose no scope', async () => {
    const made = await make({ name: 'scope' });
    for (const projectId of [admin.projectId, owner.projectId]) {
      const refused = await login(made, { project: { id: projectId } });
      expect(refused.status).toBe(401);
      expect(refused.json.error.message).toBe(
        'Error authenticating with application credential: Application credentials cannot request a scope.',
      );
    }
    expect((await login(made, 'unscoped')).status).toBe(401);
    const token = await tokenOf(made);
    const identity = { methods: ['token'], token: { id: token } };
    const rescope = (scope?: unknown) =>
      cloud.request('POST', `${V3}/auth/tokens`, { body: { auth: { identity, scope } } });
    expect((await rescope('unscoped')).status).toBe(403);
    expect((await rescope({ project: { id: owner.projectId } })).status).toBe(403);
    const again = await rescope();
    expect(again.json.token.application_credential.id).toBe(made.id);
  });

  it('go with the role by which they were made, and with the role itself', async () => {
    const user = await cloud.projectUser('leaver');
    const at = `/users/${user.userId}/application_credentials`;
    const made = await make({ name: 'one' }, user.token, at);
    const token = await tokenOf(made);
    const [member] = (await call('GET', '/roles?name=member', undefined, admin.token)).json.roles;
    const grant = `/projects/${user.projectId}/users/${user.userId}/roles/`;
    expect((await call('DELETE', grant + member.id, undefined, admin.token)).status).toBe(204);
    expect((await call('GET', `/users/${user.userId}`, undefined, token)).status).toBe(401);
    expect((await call('PUT', grant + member.id, undefined, admin.token)).status).toBe(204);
    expect((await login(made)).status).toBe(401);
    const { role } = (await call('POST', '/roles', { role: { name: 'extra' } }, admin.token)).json;
    expect((await call('PUT', grant + role.id, undefined, admin.token)).status).toBe(204);
    const again = await make({ name: 'one' }, (await cloud.projectUser('leaver')).token, at);
    expect((await login(again)).status).toBe(201);
    expect((await call('DELETE', `/roles/${role.id}`, undefined, admin.token)).status).toBe(204);
    expect((await login(again)).status).toBe(401);
  });

  it('go with their user', async () => {
    const user = await cloud.projectUser('gone');
    const made = await make({ name: 'one' }, user.token, `/users/${user.userId}/application_credentials`);
    expect((await call('DELETE', `/users/${user.userId}`, undefined, admin.token)).status).toBe(204);
    expect((await login(made)).status).toBe(401);
    const left = await cloud.app.store.read
      .selectFrom('application_credential')
      .select('id')
      .where('user_id', '=', user.userId)
      .execute();
    expect(left).toEqual([]);
  });

  it('share access rules, which are kept while one of them needs them', async () => {
    const rule = { service: 'identity', method: 'GET', path: '/v3/users/**' };
    const one = await make({ name: 'rule 1', access_rules: [rule] });
    const two = await make({ name: 'rule 2', access_rules: [{ id: one.access_rules[0].id }] });
    const three = await make({ name: 'rule 3', access_rules: [rule] });
    const id = one.access_rules[0].id;
    expect([two.access_rules[0].id, three.access_rules[0].id]).toEqual([id, id]);
    const rules = `/users/${owner.userId}/access_rules`;
    expect((await call('GET', rules)).json.access_rules).toHaveLength(1);
    expect((await call('GET', `${rules}?service=compute`)).json.access_rules).toEqual([]);
    expect((await call('GET', `${rules}/${id}`)).json.access_rule).toMatchObject(rule);
    expect((await call('GET', rules, undefined, await cloud.projectToken('other'))).status).toBe(403);
    expect((await call('DELETE', `${rules}/${id}`)).status).toBe(403);
    const none = await make({ name: 'no rule', access_rules: [] });
    expect((await login(none)).status).toBe(201);
    expect((await call('GET', `/users/${owner.userId}`, undefined, await tokenOf(none))).status).toBe(401);
    for (const { id: credential } of [one, two, three]) {
      expect((await call('DELETE', `${path}/${credential}`)).status).toBe(204);
    }
    expect((await call('DELETE', `${rules}/${id}`)).status).toBe(204);
    expect((await call('GET', `${rules}/${id}`)).status).toBe(404);
  });
});
