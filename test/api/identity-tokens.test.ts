import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { throttleKey } from '../../src/core/token/methods/method.js';
import { ADMIN_PASSWORD, TestApp } from '../support/app.js';
import { DIALECTS } from '../support/stores.js';

const TOKENS = '/identity/v3/auth/tokens';

describe.each(DIALECTS)('tokens on %s', (dialect) => {
  let cloud: TestApp;

  beforeAll(async () => {
    cloud = await TestApp.open({ dialect });
  });
  afterAll(() => cloud.close());

  const login = (scope?: unknown, password = ADMIN_PASSWORD, name = 'admin') =>
    cloud.request('POST', TOKENS, {
      body: {
        auth: {
          identity: {
            methods: ['password'],
            password: { user: { name, domain: { name: 'Default' }, password } },
          },
          scope,
        },
      },
    });

  it('issues a project token with roles, implied roles and catalogue', async () => {
    const reply = await login({ project: { name: 'admin', domain: { id: 'default' } } });
    expect(reply.status).toBe(201);
    const { token } = reply.json;
    expect(reply.headers['x-subject-token']!.length).toBeLessThan(255);
    expect(token.roles.map((r: { name: string }) => r.name)).toEqual([
      'admin',
      'manager',
      'member',
      'reader',
    ]);
    expect(token.expires_at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000000Z$/);
    expect(token.project.domain).toEqual({ id: 'default', name: 'Default' });
    expect(token.catalog).toEqual([expect.objectContaining({ type: 'identity', name: 'keystone' })]);
    expect(token.catalog[0].endpoints).toHaveLength(3);
    expect(token.catalog[0].endpoints[0].url).toBe('http://127.0.0.1:5000/identity/v3');
    expect(token.is_domain).toBe(false);
  });

  it('issues unscoped and system tokens', async () => {
    const unscoped = (await login()).json.token;
    expect(unscoped).not.toHaveProperty('catalog');
    expect(unscoped).not.toHaveProperty('roles');
    const system = (await login({ system: { all: true } })).json.token;
    expect(system.system).toEqual({ all: true });
    expect((await login({ domain: { id: 'default' } })).status).toBe(401);
  });

  it('answers every failure with the same 401', async () => {
    const wrong = await login(undefined, 'wrong');
    const unknown = await login(undefined, 'wrong', 'nobody');
    expect(wrong.status).toBe(401);
    expect(wrong.json).toEqual(unknown.json);
    expect(wrong.json.error).toEqual({
      code: 401,
      message: 'The request you have made requires authentication.',
      title: 'Unauthorized',
    });
    expect(wrong.headers['www-authenticate']).toBe('Keystone uri="http://127.0.0.1:5000/identity/v3"');
  });

  it('refuses malformed requests', async () => {
    for (const body of ['{', {}, { auth: {} }, { auth: { identity: { methods: 'password' } } }]) {
      expect((await cloud.request('POST', TOKENS, { body })).status).toBe(400);
    }
  });

  it('takes no names longer than there are', async () => {
    const long = 'x'.repeat(100_000);
    const domain = { id: 'default' };
    for (const identity of [
      { methods: ['password'], password: { user: { name: long, domain, password: 'x' } } },
      { methods: ['password'], password: { user: { name: 'x', domain: { name: long }, password: 'x' } } },
      { methods: ['password'], password: { user: { name: 'x', domain, password: long } } },
      { methods: ['token'], token: { id: long } },
      { methods: ['application_credential'], application_credential: { id: long, secret: 'x' } },
      { methods: ['application_credential'], application_credential: { id: 'x', secret: long } },
    ]) {
      const reply = await cloud.request('POST', TOKENS, { body: { auth: { identity } } });
      expect(reply.status).toBe(400);
      expect(reply.text).not.toContain(long);
    }
    expect(throttleKey({ name: long, domain }, undefined, '127.0.0.1').length).toBeLessThan(64);
  });

  it('validates, checks and revokes', async () => {
    const admin = await cloud.adminToken();
    const { token, userId } = await cloud.projectUser('one');
    const subject = { token: admin, headers: { 'x-subject-token': token } };
    const shown = await cloud.request('GET', TOKENS, subject);
    expect(shown.status).toBe(200);
    expect(shown.json.token.user.id).toBe(userId);
    expect(shown.headers['x-subject-token']).toBe(token);
    expect((await cloud.request('GET', `${TOKENS}?nocatalog`, subject)).json.token).not.toHaveProperty(
      'catalog',
    );
    const head = await cloud.request('HEAD', TOKENS, subject);
    expect([head.status, head.text]).toEqual([200, '']);
    expect((await cloud.request('DELETE', TOKENS, subject)).status).toBe(204);
    expect((await cloud.request('GET', TOKENS, subject)).status).toBe(404);
    expect((await cloud.request('GET', '/identity/v3/auth/projects', { token })).status).toBe(401);
    const again = { auth: { identity: { methods: ['token'], token: { id: token } } } };
    expect((await cloud.request('POST', TOKENS, { body: again })).status).toBe(404);
  });

  it('lets members look at their own token only', async () => {
    const [one, two] = [await cloud.projectToken('one'), await cloud.projectToken('two')];
    const look = (subject: string) =>
      cloud.request('GET', TOKENS, { token: one, headers: { 'x-subject-token': subject } });
    expect((await look(one)).status).toBe(200);
    const refused = await look(two);
    expect(refused.status).toBe(403);
    expect(refused.json.error.message).toBe(
      'You are not authorized to perform the requested action: identity:validate_token.',
    );
    expect((await look('nonsense')).status).toBe(404);
  });

  it('rescopes with the first token’s end', async () => {
    const first = await login();
    const text = first.headers['x-subject-token']!;
    const second = await cloud.request('POST', TOKENS, {
      body: {
        auth: {
          identity: { methods: ['token'], token: { id: text } },
          scope: { project: { name: 'admin', domain: { name: 'Default' } } },
        },
      },
    });
    expect(second.status).toBe(201);
    expect(second.json.token.methods).toEqual(['password', 'token']);
    expect(second.json.token.expires_at).toBe(first.json.token.expires_at);
    expect(second.json.token.audit_ids[1]).toBe(first.json.token.audit_ids[0]);
  });

  it('lists what the holder may scope to', async () => {
    const token = await cloud.projectToken('one');
    const projects = await cloud.request('GET', '/identity/v3/auth/projects', { token });
    expect(projects.json.projects.map((p: { name: string }) => p.name)).toEqual(['one']);
    expect((await cloud.request('GET', '/identity/v3/auth/domains', { token })).json.domains).toEqual([]);
    expect((await cloud.request('GET', '/identity/v3/auth/system', { token })).json.system).toEqual([]);
    expect((await cloud.request('GET', '/identity/v3/auth/catalog', { token })).json.catalog).toHaveLength(1);
  });
});
