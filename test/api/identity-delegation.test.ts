import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { coveredByRules } from '../../src/api/shared/access-rules.js';
import { TestApp, type TestUser } from '../support/app.js';

const V3 = '/identity/v3';

describe('delegation', () => {
  let cloud: TestApp;
  let admin: string;
  let owner: TestUser;

  beforeAll(async () => {
    cloud = await TestApp.open();
    admin = await cloud.adminToken();
    owner = await cloud.projectUser('owner');
  });
  afterAll(() => cloud.close());

  const call = (method: string, path: string, body?: unknown, token = owner.token) =>
    cloud.request(method, V3 + path, { token, body });
  const authenticate = (identity: Record<string, unknown>, scope?: unknown) =>
    cloud.request('POST', `${V3}/auth/tokens`, { body: { auth: { identity, scope } } });
  const make = async (values: Record<string, unknown>) => {
    const reply = await call('POST', `/users/${owner.userId}/application_credentials`, {
      application_credential: values,
    });
    expect(reply.status, reply.text).toBe(201);
    return reply.json.application_credential;
  };
  const login = (credential: { id: string; secret: string }, scope?: unknown) =>
    authenticate(
      {
        methods: ['application_credential'],
        application_credential: { id: credential.id, secret: credential.secret },
      },
      scope,
    );

  it('authenticates with an application credential, within its project', async () => {
    const credential = await make({ name: 'terraform' });
    const reply = await login(credential);
    expect(reply.status).toBe(201);
    expect(reply.json.token.project.id).toBe(owner.projectId);
    expect(reply.json.token.roles.map((r: { name: string }) => r.name)).toEqual(['member', 'reader']);
    expect(reply.json.token.application_credential).toEqual({
      id: credential.id,
      name: 'terraform',
      restricted: true,
    });
    expect((await login({ ...credential, secret: 'wrong' })).status).toBe(401);
    const elsewhere = { project: { id: (await cloud.admin()).projectId } };
    expect((await login(credential, elsewhere)).status).toBe(401);
    const byName = await authenticate({
      methods: ['application_credential'],
      application_credential: { name: 'terraform', user: { id: owner.userId }, secret: credential.secret },
    });
    expect(byName.status).toBe(201);
    const shown = await call('GET', `/users/${owner.userId}/application_credentials/${credential.id}`);
    expect(shown.json.application_credential).not.toHaveProperty('secret');
    const again = { application_credential: { name: 'terraform' } };
    expect((await call('POST', `/users/${owner.userId}/application_credentials`, again)).status).toBe(409);
  });

  it('lets a restricted credential delegate nothing, and ends its tokens with it', async () => {
    const credential = await make({ name: 'restricted', roles: [{ name: 'reader' }] });
    const token = (await login(credential)).headers['x-subject-token']!;
    const more = await call(
      'POST',
      `/users/${owner.userId}/application_credentials`,
      { application_credential: { name: 'more' } },
      token,
    );
    expect(more.status).toBe(403);
    expect((await call('GET', `/users/${owner.userId}`, undefined, token)).status).toBe(200);
    const path = `/users/${owner.userId}/application_credentials/${credential.id}`;
    expect((await call('DELETE', path)).status).toBe(204);
    expect((await call('GET', `/users/${owner.userId}`, undefined, token)).status).toBe(401);
    expect((await login(credential)).status).toBe(401);
  });

  it('refuses roles that the maker does not have, others’ credentials and past expiries', async () => {
    const path = `/users/${owner.userId}/application_credentials`;
    for (const values of [
      { roles: [{ name: 'admin' }] },
      { expires_at: '2001-01-01T00:00:00' },
      { expires_at: 'tomorrow' },
      { access_rules: [{ service: 'compute' }] },
      { access_rules: [{ service: 'compute', method: 'GET', path: '/**/**/**' }] },
    ]) {
      const body = { application_credential: { name: 'bad', ...values } };
      expect((await call('POST', path, body)).status, JSON.stringify(values)).toBe(400);
    }
    const other = await cloud.projectToken('other');
    expect((await call('GET', path, undefined, other)).status).toBe(403);
    const body = { application_credential: { name: 'theirs' } };
    expect((await call('POST', path, body, admin)).status).toBe(403);
  });

  it('confines tokens to access rules', async () => {
    const rules = [{ service: 'identity', method: 'GET', path: '/v3/users/*' }];
    const credential = await make({ name: 'confined', access_rules: rules });
    const token = (await login(credential)).headers['x-subject-token']!;
    expect((await call('GET', `/users/${owner.userId}`, undefined, token)).status).toBe(200);
    expect((await call('GET', `/users/${owner.userId}/projects`, undefined, token)).status).toBe(401);
    expect((await call('GET', '/auth/projects', undefined, token)).status).toBe(401);
    const [rule] = (await call('GET', `/users/${owner.userId}/access_rules`)).json.access_rules;
    expect(rule).toMatchObject(rules[0]!);
    expect((await call('DELETE', `/users/${owner.userId}/access_rules/${rule.id}`)).status).toBe(403);
  });

  it.each([
    ['/v2.1/servers/*/ips', '/v2.1/servers/abc/ips', true],
    ['/v2.1/servers/*/ips', '/v2.1/servers/abc/def/ips', false],
    ['/v2.1/servers/{id}', '/v2.1/servers/abc', true],
    ['/v2.1/**', '/v2.1/servers/abc/def', true],
    ['/v2.1/servers', '/v2.1/servers/abc', false],
    ['/v2.1', '/v2x1', false],
    ['/v2.1/servers', '/v2.1/servers', true],
  ])('rule %s and %s: %s', (path, request, expected) => {
    const rules = [{ id: 'r', service: 'compute', method: 'GET', path }];
    expect(coveredByRules(rules, 'compute', 'GET', request)).toBe(expected);
    expect(coveredByRules(rules, 'compute', 'POST', request)).toBe(false);
    expect(coveredByRules(rules, 'image', 'GET', request)).toBe(false);
  });

  it('lets a trustee act as the trustor, with the entrusted roles only, until the trust is deleted', async () => {
    const trustee = await cloud.projectUser('trustee');
    const body = {
      trust: {
        trustor_user_id: owner.userId,
        trustee_user_id: trustee.userId,
        project_id: owner.projectId,
        impersonation: true,
        roles: [{ name: 'reader' }],
        remaining_uses: 2,
      },
    };
    expect((await call('POST', '/OS-TRUST/trusts', body, trustee.token)).status).toBe(403);
    const made = await call('POST', '/OS-TRUST/trusts', body);
    expect(made.status).toBe(201);
    const scope = { 'OS-TRUST:trust': { id: made.json.trust.id } };
    const use = (token: string) => authenticate({ methods: ['token'], token: { id: token } }, scope);
    const reply = await use(trustee.token);
    expect(reply.status).toBe(201);
    expect(reply.json.token.user.id).toBe(owner.userId);
    expect(reply.json.token.roles.map((r: { name: string }) => r.name)).toEqual(['reader']);
    expect(reply.json.token['OS-TRUST:trust'].trustee_user.id).toBe(trustee.userId);
    const token = reply.headers['x-subject-token']!;
    expect((await call('GET', `/projects/${owner.projectId}`, undefined, token)).status).toBe(200);
    expect((await call('POST', '/OS-TRUST/trusts', body, token)).status).toBe(403);
    expect((await authenticate({ methods: ['token'], token: { id: token } })).status).toBe(403);
    expect((await use(owner.token)).status).toBe(401);
    expect((await use(trustee.token)).status).toBe(201);
    expect((await use(trustee.token)).status).toBe(401);
    const other = await cloud.projectToken('stranger');
    // used up, so that it is not there any more; its maker can still end its tokens
    expect((await call('GET', `/OS-TRUST/trusts/${made.json.trust.id}`, undefined, other)).status).toBe(404);
    expect((await call('GET', '/OS-TRUST/trusts', undefined, other)).status).toBe(403);
    expect((await call('DELETE', `/OS-TRUST/trusts/${made.json.trust.id}`)).status).toBe(204);
    expect((await call('GET', `/projects/${owner.projectId}`, undefined, token)).status).toBe(401);
  });

  it('keeps credentials sealed in the database and shows them to their owner', async () => {
    const made = await call('POST', `/users/${owner.userId}/credentials/OS-EC2`, {
      tenant_id: owner.projectId,
    });
    expect(made.status).toBe(201);
    const { secret, access } = made.json.credential;
    const rows = await cloud.app.store.read.selectFrom('credential').selectAll().execute();
    expect(JSON.stringify(rows)).not.toContain(secret);
    expect(
      (await call('GET', `/users/${owner.userId}/credentials/OS-EC2/${access}`)).json.credential.secret,
    ).toBe(secret);
    const stranger = await cloud.projectToken('stranger');
    expect((await call('GET', '/credentials', undefined, stranger)).json.credentials).toEqual([]);
    expect((await call('GET', `/credentials/${rows[0]!.id}`, undefined, stranger)).status).toBe(403);
    expect((await call('GET', '/credentials')).json.credentials).toHaveLength(1);
    for (const blob of ['nonsense', '{}', 'null']) {
      const body = { credential: { type: 'ec2', blob, project_id: owner.projectId } };
      expect((await call('POST', '/credentials', body)).status).toBe(400);
    }
    for (const body of [null, 'text', { credential: null }, { credential: 'x' }]) {
      expect((await call('POST', '/credentials', body, admin)).status).toBe(400);
    }
  });
});
