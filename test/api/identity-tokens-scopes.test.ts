import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { TestApp, type TestUser } from '../support/app.js';

const V3 = '/identity/v3';
const TOKENS = `${V3}/auth/tokens`;

const rescope = (cloud: TestApp, token: string, scope?: unknown) =>
  cloud.request('POST', TOKENS, {
    body: { auth: { identity: { methods: ['token'], token: { id: token } }, scope } },
  });

describe('scopes of tokens', () => {
  let cloud: TestApp;
  let admin: TestUser;
  let user: TestUser;

  beforeAll(async () => {
    cloud = await TestApp.open();
    admin = await cloud.admin();
    user = await cloud.projectUser('one');
  });
  afterAll(() => cloud.close());

  const call = (method: string, path: string, body?: unknown, token = admin.token) =>
    cloud.request(method, V3 + path, { token, body });

  it('can be exchanged, but never from the system for a project, and not for what the user lacks', async () => {
    const system = await rescope(cloud, admin.token, { system: { all: true } });
    expect(system.status).toBe(201);
    const token = system.headers['x-subject-token']!;
    const project = { project: { id: admin.projectId } };
    const refused = await rescope(cloud, token, project);
    expect(refused.status).toBe(403);
    expect(refused.json.error.message).toContain('Using a system-scoped token');
    expect((await rescope(cloud, token, { domain: { id: 'default' } })).status).toBe(403);
    expect((await rescope(cloud, token, 'unscoped')).status).toBe(201);
    expect((await rescope(cloud, user.token, project)).status).toBe(401);
    expect((await rescope(cloud, user.token, { domain: { id: 'default' } })).status).toBe(401);
    expect((await rescope(cloud, user.token, { system: { all: true } })).status).toBe(401);
    const unscoped = await rescope(cloud, user.token, { unscoped: {} });
    expect(unscoped.json.token).not.toHaveProperty('project');
    const back = await rescope(cloud, unscoped.headers['x-subject-token']!, {
      project: { id: user.projectId },
    });
    expect(back.json.token.project.id).toBe(user.projectId);
    expect(back.json.token.expires_at).toBe(unscoped.json.token.expires_at);
  });

  it('of the system are not exchanged for the default project either, which nobody named', async () => {
    const system = await rescope(cloud, admin.token, { system: { all: true } });
    const change = { user: { default_project_id: admin.projectId } };
    expect((await call('PATCH', `/users/${admin.userId}`, change)).status).toBe(200);
    const none = await rescope(cloud, system.headers['x-subject-token']!, undefined);
    expect(none.status, none.text).toBe(403);
    await call('PATCH', `/users/${admin.userId}`, { user: { default_project_id: null } });
  });

  it('list what there is for each', async () => {
    const roles = (await call('GET', '/roles?name=reader')).json.roles;
    await call('PUT', `/domains/default/users/${user.userId}/roles/${roles[0].id}`);
    await call('PUT', `/system/users/${user.userId}/roles/${roles[0].id}`);
    const of = async (what: string, token = user.token) =>
      (await call('GET', `/auth/${what}`, undefined, token)).json[what];
    expect((await of('projects')).map((p: { id: string }) => p.id)).toEqual([user.projectId]);
    expect((await of('domains')).map((d: { id: string }) => d.id)).toEqual(['default']);
    expect(await of('system')).toEqual([{ all: true }]);
    expect((await of('catalog'))[0].type).toBe('identity');
    const unscoped = (await rescope(cloud, user.token, 'unscoped')).headers['x-subject-token']!;
    expect(await of('projects', unscoped)).toHaveLength(1);
    expect((await call('GET', '/auth/catalog', undefined, unscoped)).status).toBe(403);
    const domain = (await rescope(cloud, user.token, { domain: { id: 'default' } })).json.token;
    expect(domain.domain.id).toBe('default');
    expect(domain).not.toHaveProperty('project');
    expect(domain.roles.map((role: { name: string }) => role.name)).toEqual(['reader']);
    for (const what of ['projects', 'domains', 'system', 'catalog']) {
      const head = await call('HEAD', `/auth/${what}`, undefined, user.token);
      expect([what, head.status, head.text]).toEqual([what, 200, '']);
    }
  });

  it('lose the catalogue with nocatalog, at issue and validation', async () => {
    const auth = {
      identity: { methods: ['token'], token: { id: user.token } },
      scope: { project: { id: user.projectId } },
    };
    const issued = await cloud.request('POST', `${TOKENS}?nocatalog`, { body: { auth } });
    expect(issued.status).toBe(201);
    expect(issued.json.token).not.toHaveProperty('catalog');
    expect((await cloud.request('POST', TOKENS, { body: { auth } })).json.token).toHaveProperty('catalog');
  });

  it('lists revocations for services, from a time on', async () => {
    const before = new Date().toISOString();
    const token = (await rescope(cloud, user.token)).headers['x-subject-token']!;
    const shown = await cloud.request('GET', TOKENS, { token, headers: { 'x-subject-token': token } });
    const [auditId] = shown.json.token.audit_ids;
    await cloud.request('DELETE', TOKENS, { token, headers: { 'x-subject-token': token } });
    const events = (query = '', by = admin.token) => call('GET', `/OS-REVOKE/events${query}`, undefined, by);
    expect((await events()).json.events).toContainEqual({
      audit_id: auditId,
      issued_before: expect.stringMatching(/Z$/),
      revoked_at: expect.stringMatching(/Z$/),
    });
    expect((await events(`?since=${before}`)).json.events).toHaveLength(1);
    expect((await events('?since=2199-01-01T00:00:00Z')).json.events).toEqual([]);
    expect((await events('?since=tomorrow')).status).toBe(400);
    expect((await events('', user.token)).status).toBe(403);
    expect((await events('', await cloud.projectToken('service', 'service'))).status).toBe(200);
  });

  it('have no PKI and no federation', async () => {
    for (const path of [
      '/OS-SIMPLE-CERT/ca',
      '/OS-SIMPLE-CERT/certificates',
      '/auth/tokens/OS-PKI/revoked',
    ]) {
      const reply = await cloud.request('GET', V3 + path);
      expect([reply.status, reply.json.error.code, reply.json.error.title]).toEqual([410, 410, 'Gone']);
    }
    for (const path of [
      '/OS-FEDERATION/identity_providers',
      '/OS-FEDERATION/projects',
      '/auth/OS-FEDERATION/websso/openid',
      '/auth/OS-FEDERATION/saml2',
    ]) {
      const reply = await call('GET', path);
      expect([path, reply.status]).toEqual([path, 404]);
      expect(reply.headers['content-type']).toContain('text/html');
    }
  });
});

describe('tokens of a strict configuration', () => {
  let cloud: TestApp;

  beforeAll(async () => {
    cloud = await TestApp.open({ config: { allow_rescope_scoped_token: false } });
  });
  afterAll(() => cloud.close());
  afterEach(() => {
    vi.useRealTimers();
  });

  it('are not exchanged once they have a scope', async () => {
    const { token, projectId } = await cloud.admin();
    expect((await rescope(cloud, token, { project: { id: projectId } })).status).toBe(403);
    expect((await rescope(cloud, token, 'unscoped')).status).toBe(403);
  });

  it('can be validated for a while after their end, when asked for', async () => {
    const { token } = await cloud.projectUser('late');
    vi.useFakeTimers({
      toFake: ['Date'],
      now: Date.now() + (cloud.app.config.token_lifetime_seconds + 1) * 1000,
    });
    const service = await cloud.projectToken('service', 'service');
    const look = (method: string, query: string) =>
      cloud.request(method, `${TOKENS}${query}`, { token: service, headers: { 'x-subject-token': token } });
    expect((await look('GET', '')).status).toBe(404);
    const shown = await look('GET', '?allow_expired=1');
    expect(shown.status, shown.text).toBe(200);
    expect(Date.parse(shown.json.token.expires_at)).toBeLessThan(Date.now());
    expect((await look('HEAD', '?allow_expired=1')).status).toBe(200);
    expect((await look('GET', '?allow_expired=0')).status).toBe(404);
    expect((await cloud.request('GET', `${V3}/auth/projects`, { token })).status).toBe(401);
    expect((await rescope(cloud, token)).status).toBe(404);
  });
});
