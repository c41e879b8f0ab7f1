import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestApp, type TestUser } from '../support/app.js';

const V3 = '/identity/v3';

describe('two controllers of one database', () => {
  let one: TestApp;
  let two: TestApp;
  let admin: string;
  let user: TestUser;

  beforeAll(async () => {
    one = await TestApp.open({ dialect: 'postgres' });
    two = await TestApp.open({ beside: one });
    admin = await one.adminToken();
    user = await one.projectUser('one');
  });
  afterAll(async () => {
    await two.close();
    await one.close();
  });

  const status = async (cloud: TestApp, token: string) =>
    (await cloud.request('GET', `${V3}/auth/projects`, { token })).status;
  const fresh = async () => (await one.projectUser('one')).token;
  const change = async (cloud: TestApp, method: string, path: string, body?: unknown) => {
    const reply = await cloud.request(method, V3 + path, { token: admin, body });
    expect(reply.status, reply.text).toBeLessThan(300);
    return reply;
  };

  it('take each other’s tokens, also while keys rotate', async () => {
    const before = await fresh();
    expect([await status(one, before), await status(two, before)]).toEqual([200, 200]);
    await one.app.store.tx(async (tx) => {
      await tx
        .updateTable('identity_key')
        .set((eb) => ({ created_at: eb('created_at', '-', 100) }))
        .execute();
    });
    await two.app.identity.tokens.rotateKeys({ end: false });
    const after = await fresh();
    expect(after.slice(0, 5)).not.toBe(before.slice(0, 5));
    for (const token of [before, after]) {
      expect([await status(one, token), await status(two, token)]).toEqual([200, 200]);
    }
    await one.app.identity.tokens.housekeeping();
    await two.app.identity.tokens.housekeeping();
    expect([await status(one, before), await status(two, before)]).toEqual([200, 200]);
  });

  it.each([
    [
      'a token is revoked',
      async (token: string) => {
        const headers = { 'x-subject-token': token };
        await two.request('DELETE', `${V3}/auth/tokens`, { token: admin, headers });
      },
      401,
    ],
    [
      'the user is disabled',
      async () => void (await change(two, 'PATCH', `/users/${user.userId}`, { user: { enabled: false } })),
      401,
    ],
    [
      'the user is enabled again, for tokens from before',
      async () => {
        await change(two, 'PATCH', `/users/${user.userId}`, { user: { enabled: false } });
        await change(two, 'PATCH', `/users/${user.userId}`, { user: { enabled: true } });
      },
      401,
    ],
    [
      'the project is disabled',
      async () =>
        void (await change(two, 'PATCH', `/projects/${user.projectId}`, { project: { enabled: false } })),
      401,
    ],
  ])('refuse from the next request on when at the other %s', async (_, act, expected) => {
    await change(one, 'PATCH', `/users/${user.userId}`, { user: { enabled: true } });
    await change(one, 'PATCH', `/projects/${user.projectId}`, { project: { enabled: true } });
    const token = await fresh();
    expect([await status(one, token), await status(two, token)]).toEqual([200, 200]);
    await act(token);
    expect([await status(one, token), await status(two, token)]).toEqual([expected, expected]);
  });

  it('refuse what was delegated from the next request on', async () => {
    await change(one, 'PATCH', `/users/${user.userId}`, { user: { enabled: true } });
    await change(one, 'PATCH', `/projects/${user.projectId}`, { project: { enabled: true } });
    const path = `/users/${user.userId}/application_credentials`;
    const made = await one.request('POST', V3 + path, {
      token: await fresh(),
      body: { application_credential: { name: 'program' } },
    });
    const { id, secret } = made.json.application_credential;
    const identity = { methods: ['application_credential'], application_credential: { id, secret } };
    const reply = await two.request('POST', `${V3}/auth/tokens`, { body: { auth: { identity } } });
    const token = reply.headers['x-subject-token']!;
    expect([await status(one, token), await status(two, token)]).toEqual([200, 200]);
    expect((await two.request('DELETE', `${V3}${path}/${id}`, { token: await fresh() })).status).toBe(204);
    expect([await status(one, token), await status(two, token)]).toEqual([401, 401]);
  });

  it('read each other’s secrets, also while keys rotate', async () => {
    const path = `${V3}/users/${user.userId}/credentials/OS-EC2`;
    const token = await fresh();
    const body = { tenant_id: user.projectId };
    const { access, secret } = (await one.request('POST', path, { token, body })).json.credential;
    const secretAt = async (cloud: TestApp) =>
      (await cloud.request('GET', `${path}/${access}`, { token })).json.credential.secret;
    expect([await secretAt(one), await secretAt(two)]).toEqual([secret, secret]);
    expect(await two.app.identity.sealing.rotate()).toBeGreaterThan(0);
    expect([await secretAt(one), await secretAt(two)]).toEqual([secret, secret]);
  });

  it('end every token when stolen keys are replaced', async () => {
    const token = await fresh();
    expect([await status(one, token), await status(two, token)]).toEqual([200, 200]);
    await one.app.store.tx(async (tx) => {
      await tx
        .updateTable('identity_key')
        .set((eb) => ({ created_at: eb('created_at', '-', 100) }))
        .execute();
    });
    await two.app.identity.tokens.rotateKeys({ end: true });
    expect([await status(one, token), await status(two, token)]).toEqual([401, 401]);
    const after = await fresh();
    expect([await status(one, after), await status(two, after)]).toEqual([200, 200]);
  });
});
