import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { ADMIN_PASSWORD, TestApp, type TestUser } from '../support/app.js';

const V3 = '/identity/v3';

/** Runs what a controller does whose clock is off by so many seconds. */
async function clockOff<T>(seconds: number, run: () => Promise<T>): Promise<T> {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + seconds * 1000 });
  try {
    return await run();
  } finally {
    vi.useRealTimers();
  }
}

describe('two controllers of one database whose clocks differ', () => {
  let one: TestApp;
  let two: TestApp;
  let admin: string;
  let user: TestUser;
  let password = 0;

  beforeAll(async () => {
    one = await TestApp.open({ dialect: 'postgres', config: { token_lifetime_seconds: 600 } });
    two = await TestApp.open({ beside: one, config: { token_lifetime_seconds: 600 } });
    admin = await one.adminToken();
    user = await one.projectUser('one');
  });
  afterEach(() => vi.useRealTimers());
  afterAll(async () => {
    await two.close();
    await one.close();
  });

  const change = async (path: string, body: unknown) => {
    const reply = await one.request('PATCH', V3 + path, { token: admin, body });
    expect(reply.status, reply.text).toBe(200);
  };
  const setPassword = () => change(`/users/${user.userId}`, { user: { password: `password ${++password}` } });
  const login = async (cloud: TestApp, scope?: unknown) => {
    const identity = {
      methods: ['password'],
      password: { user: { id: user.userId, password: `password ${password}` } },
    };
    const reply = await cloud.request('POST', `${V3}/auth/tokens`, { body: { auth: { identity, scope } } });
    expect(reply.status, reply.text).toBe(201);
    return reply.headers['x-subject-token']!;
  };
  const statuses = async (token: string) => {
    const ask = async (cloud: TestApp) =>
      (await cloud.request('GET', `${V3}/auth/projects`, { token })).status;
    return [await ask(one), await ask(two)];
  };

  it.each([30, -30])('end by a changed password what the one that is off by %s s issued', async (seconds) => {
    await setPassword();
    const token = await clockOff(seconds, () => login(two));
    expect(await statuses(token)).toEqual([200, 200]);
    await setPassword();
    expect(await statuses(token)).toEqual([401, 401]);
  });

  it.each([30, -30])(
    'take what is got with the new password at the one that is off by %s s',
    async (seconds) => {
      await setPassword();
      const token = await clockOff(seconds, () => login(two));
      expect(await statuses(token)).toEqual([200, 200]);
    },
  );

  it('end tokens of a project that was disabled meanwhile, and no later ones', async () => {
    await setPassword();
    const scope = { project: { id: user.projectId } };
    const before = await clockOff(30, () => login(two, scope));
    await change(`/projects/${user.projectId}`, { project: { enabled: false } });
    await change(`/projects/${user.projectId}`, { project: { enabled: true } });
    expect(await statuses(before)).toEqual([401, 401]);
    const after = await clockOff(-30, () => login(two, scope));
    expect(await statuses(after)).toEqual([200, 200]);
  });

  it('end what was proved before the revocation and issued after it', async () => {
    const since = await two.app.identity.tokens.epoch();
    await setPassword();
    const scope = { kind: 'unscoped' } as const;
    const asked = { userId: user.userId, methods: ['password'] as const, scope, since };
    expect(await two.app.identity.tokens.issue(asked)).toBeNull();
  });

  it('ask for nothing more to validate a token', async () => {
    const token = await login(two);
    await statuses(token);
    const executed: string[] = [];
    const { store } = two.app;
    const { executeQuery } = store.read.getExecutor().constructor.prototype;
    const spy = vi
      .spyOn(store.read.getExecutor().constructor.prototype, 'executeQuery')
      .mockImplementation(function (this: unknown, ...given: unknown[]) {
        executed.push((given[0] as { sql: string }).sql);
        return executeQuery.apply(this, given);
      });
    try {
      expect(await two.app.auth.authenticate(token)).not.toBeNull();
    } finally {
      spy.mockRestore();
    }
    expect(executed).toEqual([expect.stringContaining('"identity_epoch"')]);
  });
});

describe('a controller that starts anew', () => {
  it('goes on with what it has revoked, and takes no token that its restored database knows nothing of', async () => {
    const cloud = await TestApp.open({});
    try {
      const { app } = cloud;
      const admin = await cloud.admin();
      const next = async () => {
        const { createIdentity } = await import('../../src/core/identity/identity.js');
        return createIdentity(app.config, app.store).tokens;
      };
      expect(await (await next()).validate(admin.token)).not.toBeNull();
      const before = await app.identity.tokens.epoch();
      await app.identity.write((tx) => app.identity.tokens.revokeAll(tx, 'user', admin.userId));
      expect(await (await next()).validate(admin.token)).toBeNull();
      const body = {
        auth: {
          identity: {
            methods: ['password'],
            password: { user: { id: admin.userId, password: ADMIN_PASSWORD } },
          },
        },
      };
      const after = (await cloud.request('POST', `${V3}/auth/tokens`, { body })).headers['x-subject-token']!;
      expect(await (await next()).validate(after)).not.toBeNull();
      await app.store.tx(async (tx) => {
        await tx.updateTable('identity_epoch').set({ value: before }).execute();
      });
      expect(await (await next()).validate(after)).toBeNull();
    } finally {
      await cloud.close();
    }
  });
});
