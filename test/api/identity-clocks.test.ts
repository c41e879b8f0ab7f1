import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { createIdentity } from '../../src/core/identity/identity.js';
import { beginIncarnation } from '../../src/core/incarnation/incarnation.js';
import { issueReceipt, readReceipt } from '../../src/core/token/receipt.js';
import { Incarnations } from '../../src/hosts/incarnations.js';
import { users } from '../../src/store/identity/users.js';
import { readIncarnation } from '../../src/store/incarnation.js';
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
    // what is stored later for those before must not come in between
    for (const { app } of [one, two]) {
      await app.audit.flush();
      await app.identity.activeDays.flush();
    }
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

describe('a database that was restored', () => {
  it.each([
    ['an operator tells', (cloud: TestApp) => beginIncarnation(cloud.app, 'restored')],
    [
      'a host proves',
      async ({ app }: TestApp) => {
        const incarnations = new Incarnations(app.store, app.log, (body) => app.identity.write(body));
        await incarnations.begin(await readIncarnation(app.store.read), 'restored');
      },
    ],
  ])('knows no earlier token or receipt any more once %s that it was', async (_, begin) => {
    const cloud = await TestApp.open({});
    try {
      const { app } = cloud;
      const { identity, store } = app;
      const user = await cloud.projectUser('one');
      const tokens = () => createIdentity(app.config, store).tokens;
      const backup = await tokens().epoch();
      for (let i = 0; i < 20; i++) await identity.write(async () => {});
      const scope = { kind: 'unscoped' } as const;
      const asked = { userId: user.userId, methods: ['password'] as const, scope };
      const late = (await tokens().issue(asked))!.text;
      const receipt = await issueReceipt(app, user.userId, ['password'], backup);
      // the file is put back, and the controller started
      await store.tx((tx) => tx.updateTable('identity_epoch').set({ value: backup }).execute());
      const restarted = { ...app, identity: createIdentity(app.config, store) };
      expect(await restarted.identity.tokens.validate(user.token)).not.toBeNull();
      expect((await readReceipt(restarted, receipt.text)).userId).toBe(user.userId);
      Object.assign(app, { identity: restarted.identity });
      await begin(cloud);
      const { tokens: now, write } = restarted.identity;
      await write((tx) => now.revokeAll(tx, 'user', user.userId));
      for (let i = 0; i < 20; i++) await write(async () => {});
      expect(await now.validate(late)).toBeNull();
      expect(await now.validate(user.token)).toBeNull();
      await expect(readReceipt(restarted, receipt.text)).rejects.toThrow('auth receipt');
      expect(await now.validate((await now.issue(asked))!.text)).not.toBeNull();
      // nothing kept from before is taken for something of now
      expect(await now.epoch()).toBeGreaterThan(backup + 1000);
    } finally {
      await cloud.close();
    }
  });
});

it('a revocation outlives tokens of a longer lifetime than is configured now', async () => {
  const cloud = await TestApp.open({
    config: { token_lifetime_seconds: 3 * 86_400, token_allow_expired_window_seconds: 0 },
  });
  try {
    const { config, store } = cloud.app;
    const { token, userId } = await cloud.projectUser('one');
    const short = createIdentity({ ...config, token_lifetime_seconds: 60 }, store);
    await short.write((tx) => short.tokens.revokeAll(tx, 'user', userId));
    await clockOff(4000, async () => {
      await short.tokens.housekeeping();
      expect(await createIdentity(config, store).tokens.validate(token)).toBeNull();
    });
  } finally {
    await cloud.close();
  }
});

it('a reply that was looked up before a change is not kept for those after it', async () => {
  const cloud = await TestApp.open({});
  try {
    const { identity } = cloud.app;
    const { token, userId } = await cloud.projectUser('one');
    const stale = (await identity.tokens.validate(token))!;
    await identity.write((tx) => users.update(tx, userId, { name: 'renamed' }));
    await identity.tokens.body(stale, { catalog: false });
    const fresh = (await identity.tokens.validate(token))!;
    const { token: said } = JSON.parse(await identity.tokens.body(fresh, { catalog: false }));
    expect(said.user.name).toBe('renamed');
  } finally {
    await cloud.close();
  }
});
