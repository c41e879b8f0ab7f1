import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adminService } from '../../src/api/admin/service.js';
import { TestApp, type TestUser } from '../support/app.js';

const V3 = '/identity/v3';

describe('trusts', () => {
  let cloud: TestApp;
  let admin: TestUser;
  let owner: TestUser;
  let second: TestUser;
  let third: TestUser;

  beforeAll(async () => {
    cloud = await TestApp.open({ services: [adminService] });
    admin = await cloud.admin();
    owner = await cloud.projectUser('owner');
    second = await cloud.projectUser('second');
    third = await cloud.projectUser('third');
  });
  afterAll(() => cloud.close());

  const call = (method: string, path: string, body?: unknown, token = owner.token) =>
    cloud.request(method, V3 + path, { token, body });
  const trustBody = (values: object = {}) => ({
    trust: {
      trustor_user_id: owner.userId,
      trustee_user_id: second.userId,
      project_id: owner.projectId,
      impersonation: true,
      roles: [{ name: 'member' }],
      ...values,
    },
  });
  const make = async (values: object = {}, token = owner.token) => {
    const reply = await call('POST', '/OS-TRUST/trusts', trustBody(values), token);
    expect(reply.status, reply.text).toBe(201);
    return reply.json.trust;
  };
  const use = async (trust: { id: string }, token: string) =>
    await cloud.request('POST', `${V3}/auth/tokens`, {
      body: {
        auth: {
          identity: { methods: ['token'], token: { id: token } },
          scope: { 'OS-TRUST:trust': { id: trust.id } },
        },
      },
    });
  const tokenOf = async (trust: { id: string }, token: string) => {
    const reply = await use(trust, token);
    expect(reply.status, reply.text).toBe(201);
    return reply.headers['x-subject-token']!;
  };

  it('show what was entrusted to those concerned', async () => {
    const trust = await make({ expires_at: '2199-01-01T00:00:00.000000Z', remaining_uses: 5 });
    expect(trust).toMatchObject({
      expires_at: '2199-01-01T00:00:00.000000Z',
      remaining_uses: 5,
      redelegation_count: 0,
      redelegated_trust_id: null,
      roles: [expect.objectContaining({ name: 'member' })],
    });
    const path = `/OS-TRUST/trusts/${trust.id}`;
    for (const user of [owner, second, admin]) {
      expect((await call('GET', path, undefined, user.token)).status).toBe(200);
      expect((await call('GET', `${path}/roles`, undefined, user.token)).json.roles).toHaveLength(1);
    }
    expect((await call('GET', path, undefined, third.token)).status).toBe(403);
    expect((await call('HEAD', `${path}/roles/${trust.roles[0].id}`)).status).toBe(200);
    expect((await call('GET', `${path}/roles/none`)).status).toBe(404);
    expect((await call('GET', '/OS-TRUST/trusts/none', undefined, third.token)).status).toBe(404);
    const list = (query: string, user = owner) =>
      call('GET', `/OS-TRUST/trusts${query}`, undefined, user.token);
    expect((await list(`?trustor_user_id=${owner.userId}`)).json.trusts[0]).not.toHaveProperty('roles');
    expect((await list(`?trustee_user_id=${second.userId}`, second)).json.trusts).toHaveLength(1);
    expect((await list(`?trustor_user_id=${owner.userId}`, third)).status).toBe(403);
    expect((await list('')).status).toBe(403);
    expect((await list('', admin)).json.trusts).toHaveLength(1);
    // of a list by both, who is one of them sees it
    const both = `?trustor_user_id=${owner.userId}&trustee_user_id=${second.userId}`;
    for (const user of [owner, second, admin]) expect((await list(both, user)).json.trusts).toHaveLength(1);
    expect((await list(both, third)).status).toBe(403);
    // three policies, as in Keystone
    const asTrustor = `?trustor_user_id=${owner.userId}`;
    const asTrustee = `?trustee_user_id=${second.userId}`;
    const may = async () => [
      (await list(asTrustor)).status,
      (await list(asTrustee, second)).status,
      (await list('', admin)).status,
    ];
    for (const [name, expected] of [
      ['list_trusts_for_trustor', [403, 200, 200]],
      ['list_trusts_for_trustee', [200, 403, 200]],
      ['list_trusts', [200, 200, 403]],
    ] as const) {
      const rule = `/maru/v1/policies/identity:${name}`;
      const asAdmin = { token: admin.token };
      const set = await cloud.request('PUT', rule, { ...asAdmin, body: { policy: { rule: '!' } } });
      expect(set.status, set.text).toBeLessThan(300);
      expect(await may(), name).toEqual(expected);
      expect((await cloud.request('DELETE', rule, asAdmin)).status).toBeLessThan(300);
    }
    expect(await may()).toEqual([200, 200, 200]);
    expect((await call('DELETE', path, undefined, second.token)).status).toBe(403);
    expect((await call('DELETE', path)).status).toBe(204);
    expect((await call('GET', path)).status).toBe(404);
  });

  it.each([
    ['another trustor', { trustor_user_id: 'second' }, 403],
    ['an unknown trustee', { trustee_user_id: 'none' }, 404],
    ['an unknown project', { project_id: 'none' }, 404],
    ['no roles', { roles: [] }, 403],
    ['a role that the trustor lacks', { roles: [{ name: 'admin' }] }, 404],
    ['a role that there is not', { roles: [{ name: 'none' }] }, 404],
    ['a past expiry', { expires_at: '2001-01-01T00:00:00Z' }, 400],
    ['no uses', { remaining_uses: 0 }, 400],
    ['uses and redelegation', { allow_redelegation: true, remaining_uses: 1 }, 400],
    ['redelegation that is too deep', { allow_redelegation: true, redelegation_count: 4 }, 403],
    ['no impersonation said', { impersonation: undefined }, 400],
  ])('are refused with %s', async (_, values, status) => {
    const reply = await call('POST', '/OS-TRUST/trusts', trustBody(values));
    expect(reply.status, reply.text).toBe(status);
  });

  it('give a token of the trustee or, with impersonation, of the trustor', async () => {
    const as = async (impersonation: boolean) => {
      const reply = await use(await make({ impersonation }), second.token);
      return reply.json.token.user.id;
    };
    expect(await as(true)).toBe(owner.userId);
    expect(await as(false)).toBe(second.userId);
  });

  it('are handed on no further than they say, and never grow', async () => {
    const first = await make({
      allow_redelegation: true,
      redelegation_count: 2,
      expires_at: '2199-01-01T00:00:00Z',
    });
    expect(first.redelegation_count).toBe(2);
    const token = await tokenOf(first, second.token);
    const on = (values: object, by = token) =>
      call('POST', '/OS-TRUST/trusts', trustBody({ trustee_user_id: third.userId, ...values }), by);
    for (const [values, status] of [
      [{ roles: [{ name: 'reader' }] }, 403],
      [{ remaining_uses: 1 }, 403],
      [{ expires_at: '2299-01-01T00:00:00Z' }, 403],
      [{ allow_redelegation: true, redelegation_count: 2 }, 403],
      [{ trustor_user_id: second.userId }, 403],
    ] as const) {
      expect((await on(values)).status, JSON.stringify(values)).toBe(status);
    }
    const made = await on({ allow_redelegation: true });
    expect(made.status, made.text).toBe(201);
    const below = made.json.trust;
    expect(below).toMatchObject({
      redelegated_trust_id: first.id,
      redelegation_count: 1,
      expires_at: '2199-01-01T00:00:00.000000Z',
    });
    const last = await on({ trustee_user_id: second.userId }, await tokenOf(below, third.token));
    expect(last.status, last.text).toBe(201);
    expect(last.json.trust.redelegation_count).toBe(0);
    const lastToken = await tokenOf(last.json.trust, second.token);
    expect((await on({}, lastToken)).status).toBe(403);
    expect((await call('GET', `/projects/${owner.projectId}`, undefined, lastToken)).status).toBe(200);
    // the first ends them all
    expect((await call('DELETE', `/OS-TRUST/trusts/${first.id}`)).status).toBe(204);
    expect((await call('GET', `/projects/${owner.projectId}`, undefined, lastToken)).status).toBe(401);
    expect((await call('GET', `/OS-TRUST/trusts/${last.json.trust.id}`)).status).toBe(404);
  });

  it('without impersonation give none with it', async () => {
    const first = await make({ allow_redelegation: true, impersonation: false });
    const token = await tokenOf(first, second.token);
    const values = { trustor_user_id: second.userId, trustee_user_id: third.userId };
    const on = (impersonation: boolean) =>
      call('POST', '/OS-TRUST/trusts', trustBody({ ...values, impersonation }), token);
    expect((await on(true)).status).toBe(403);
    const made = await on(false);
    expect(made.status, made.text).toBe(201);
    const reply = await use(made.json.trust, third.token);
    expect(reply.json.token.user.id).toBe(third.userId);
    expect(reply.json.token.roles.map((role: { name: string }) => role.name)).toEqual(['member', 'reader']);
  });

  it('end when the trustor loses a role, and when a trustee in between is disabled', async () => {
    const trustor = await cloud.projectUser('loser');
    const between = await cloud.projectUser('between');
    const values = { trustor_user_id: trustor.userId, project_id: trustor.projectId };
    const first = await make(
      { ...values, trustee_user_id: between.userId, allow_redelegation: true },
      trustor.token,
    );
    const by = await tokenOf(first, between.token);
    const below = await make({ ...values, trustee_user_id: third.userId }, by);
    const token = await tokenOf(below, third.token);
    const works = async () => (await call('GET', `/projects/${trustor.projectId}`, undefined, token)).status;
    expect(await works()).toBe(200);
    const enable = (enabled: boolean) =>
      call('PATCH', `/users/${between.userId}`, { user: { enabled } }, admin.token);
    expect((await enable(false)).status).toBe(200);
    expect(await works()).toBe(401);
    expect((await use(below, third.token)).status).toBe(401);
    expect((await enable(true)).status).toBe(200);
    const fresh = await tokenOf(below, third.token);
    const [member] = (await call('GET', '/roles?name=member', undefined, admin.token)).json.roles;
    const grant = `/projects/${trustor.projectId}/users/${trustor.userId}/roles/${member.id}`;
    expect((await call('DELETE', grant, undefined, admin.token)).status).toBe(204);
    expect((await call('GET', `/projects/${trustor.projectId}`, undefined, fresh)).status).toBe(401);
    expect((await use(below, third.token)).status).toBe(401);
  });

  it('give nothing to anybody else who names them', async () => {
    const trust = await make();
    const issue = (userId: string, projectId = owner.projectId) =>
      cloud.app.identity.tokens.issue({
        userId,
        methods: ['ec2credential'],
        scope: { kind: 'project', id: projectId },
        trustId: trust.id,
      });
    expect(await issue(owner.userId)).not.toBeNull();
    expect(await issue(second.userId)).toBeNull();
    expect(await issue(third.userId)).toBeNull();
    expect(await issue(owner.userId, third.projectId)).toBeNull();
  });

  it('are out of reach for tokens of other trusts', async () => {
    const [one, other] = [await make(), await make()];
    const token = await tokenOf(one, second.token);
    const path = (trust: { id: string }) => `/OS-TRUST/trusts/${trust.id}`;
    expect((await call('DELETE', path(other), undefined, token)).status).toBe(403);
    expect((await call('GET', path(other), undefined, token)).status).toBe(403);
    const list = `/OS-TRUST/trusts?trustor_user_id=${owner.userId}`;
    const ids = (await call('GET', list, undefined, token)).json.trusts.map((t: { id: string }) => t.id);
    expect(ids).toEqual([one.id]);
    // services end the trust by which they acted
    expect((await call('DELETE', path(one), undefined, token)).status).toBe(204);
    expect((await call('DELETE', path(other))).status).toBe(204);
  });

  it('count their uses, also when asked for at once', async () => {
    const trust = await make({ remaining_uses: 3 });
    const replies = await Promise.all(Array.from({ length: 8 }, () => use(trust, second.token)));
    expect(replies.filter((reply) => reply.status === 201)).toHaveLength(3);
    expect((await call('GET', `/OS-TRUST/trusts/${trust.id}`)).status).toBe(404);
    // its tokens can still be ended
    const token = replies.find((reply) => reply.status === 201)!.headers['x-subject-token']!;
    expect((await call('GET', `/projects/${owner.projectId}`, undefined, token)).status).toBe(200);
    expect((await call('DELETE', `/OS-TRUST/trusts/${trust.id}`)).status).toBe(204);
    expect((await call('GET', `/projects/${owner.projectId}`, undefined, token)).status).toBe(401);
  });

  it('are out of reach for application credentials, unrestricted ones too', async () => {
    const path = `/users/${owner.userId}/application_credentials`;
    const made = await call('POST', path, { application_credential: { name: 'all', unrestricted: true } });
    const { id, secret } = made.json.application_credential;
    const identity = { methods: ['application_credential'], application_credential: { id, secret } };
    const reply = await cloud.request('POST', `${V3}/auth/tokens`, { body: { auth: { identity } } });
    const token = reply.headers['x-subject-token']!;
    const trust = await make();
    for (const [method, at] of [
      ['POST', ''],
      ['GET', `?trustor_user_id=${owner.userId}`],
      ['GET', `/${trust.id}`],
      ['DELETE', `/${trust.id}`],
    ] as const) {
      const body = method === 'POST' ? trustBody() : undefined;
      expect((await call(method, `/OS-TRUST/trusts${at}`, body, token)).status).toBe(403);
    }
  });
});
