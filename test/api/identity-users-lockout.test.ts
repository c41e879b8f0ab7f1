import type { FastifyInstance } from 'fastify';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createApi } from '../../src/api/api.js';
import { identityService } from '../../src/api/identity/service.js';
import type { Config } from '../../src/config.js';
import type { App } from '../../src/core/app.js';
import { createIdentity } from '../../src/core/identity/identity.js';
import { isKnown } from '../../src/core/identity/passwords.js';
import { FailureThrottle } from '../../src/core/identity/throttle.js';
import { disableInactiveUsers } from '../../src/core/user/activity.js';
import { noteActive, readLogin } from '../../src/store/identity/logins.js';
import { users } from '../../src/store/identity/users.js';
import { TestApp } from '../support/app.js';
import { DIALECTS } from '../support/stores.js';

const V3 = '/identity/v3';
const REFUSED = 'The request you have made requires authentication.';

describe.each(DIALECTS)('accounts that are tried on %s', (dialect) => {
  let cloud: TestApp;
  let admin: string;
  let before: Config;
  /** Another controller, with a memory of its own; on SQLite there is only one. */
  let second: FastifyInstance;
  let count = 0;

  beforeAll(async () => {
    cloud = await TestApp.open({ dialect });
    admin = await cloud.adminToken();
    before = { ...cloud.app.config };
    const identity = createIdentity(cloud.app.config, cloud.app.store);
    const app: App = { ...cloud.app, identity, auth: identity.tokens };
    second = dialect === 'postgres' ? await createApi(app, [identityService(app)]) : cloud.fastify;
  });
  afterEach(() => void Object.assign(cloud.app.config, before));
  afterAll(async () => {
    if (dialect === 'postgres') await second.close();
    await cloud.close();
  });

  const configure = (values: Partial<Config>) => void Object.assign(cloud.app.config, values);
  const call = (method: string, path: string, body?: unknown) =>
    cloud.request(method, V3 + path, { token: admin, body });
  const create = async (values: Record<string, unknown> = {}): Promise<string> => {
    const reply = await call('POST', '/users', {
      user: { name: `tried-${count++}`, password: 'one', ...values },
    });
    expect(reply.status, reply.text).toBe(201);
    return reply.json.user.id;
  };
  /** Each from an address of its own, so that nothing slows it. */
  const login = async (id: string, password: string, at: FastifyInstance = cloud.fastify) => {
    const reply = await at.inject({
      method: 'POST',
      url: `${V3}/auth/tokens`,
      remoteAddress: `127.1.${(count >> 8) & 255}.${count++ & 255}`,
      payload: { auth: { identity: { methods: ['password'], password: { user: { id, password } } } } },
    });
    if (reply.statusCode === 401) expect(reply.json().error.message).toBe(REFUSED);
    return reply.statusCode;
  };
  /** Moves the last failure so many seconds back. */
  const age = (id: string, seconds: number) =>
    cloud.app.store.tx(async (tx) => {
      const { failed_auth_at } = (await readLogin(tx, id))!;
      const earlier = new Date(Date.parse(failed_auth_at!) - seconds * 1000).toISOString();
      await tx.updateTable('user_login').set({ failed_auth_at: earlier }).where('user_id', '=', id).execute();
    });

  it('are locked after so many failures, and free again after so long', async () => {
    configure({ lockout_failure_attempts: 2, lockout_duration: 600 });
    const id = await create();
    expect(await login(id, 'wrong')).toBe(401);
    expect(await login(id, 'one')).toBe(201);
    // a success forgets what was before
    expect([await login(id, 'wrong'), await login(id, 'wrong', second)]).toEqual([401, 401]);
    expect([await login(id, 'one'), await login(id, 'one', second)]).toEqual([401, 401]);
    const changed = await cloud.request('POST', `${V3}/users/${id}/password`, {
      body: { user: { original_password: 'one', password: 'two' } },
    });
    expect(changed.status).toBe(401);
    await age(id, 500);
    expect(await login(id, 'one')).toBe(401);
    // failures meanwhile have made it no longer
    expect(await login(id, 'wrong')).toBe(401);
    await age(id, 101);
    expect(await login(id, 'one')).toBe(201);
    // one failure after a lock does not lock again
    expect([await login(id, 'wrong'), await login(id, 'wrong')]).toEqual([401, 401]);
    await age(id, 601);
    expect(await login(id, 'wrong')).toBe(401);
    expect(await login(id, 'one')).toBe(201);
  });

  it('are locked by any number of attempts at once, at whichever controller', async () => {
    configure({ lockout_failure_attempts: 3, lockout_duration: 600 });
    const id = await create();
    const wrong = await Promise.all(
      Array.from({ length: 12 }, (_, i) => login(id, `guess ${i}`, i % 2 ? second : cloud.fastify)),
    );
    expect(new Set(wrong)).toEqual(new Set([401]));
    expect((await readLogin(cloud.app.store.read, id))?.failed_auth_count).toBeOneOf([3, 4]);
    expect([await login(id, 'one'), await login(id, 'one', second)]).toEqual([401, 401]);
    // a right password among many at once is of no use unless it is among the first
    const late = await create();
    await Promise.all(Array.from({ length: 3 }, (_, i) => login(late, `guess ${i}`, second)));
    const together = await Promise.all(
      ['one', 'x', 'one', 'y'].map((password, i) => login(late, password, i % 2 ? second : cloud.fastify)),
    );
    expect(together).toEqual([401, 401, 401, 401]);
  });

  it('are not locked by right passwords, however many at once', async () => {
    configure({ lockout_failure_attempts: 2, lockout_duration: 600 });
    const id = await create();
    expect(await login(id, 'wrong')).toBe(401);
    const all = await Promise.all(
      Array.from({ length: 10 }, (_, i) => login(id, 'one', i % 2 ? second : cloud.fastify)),
    );
    expect(new Set(all)).toEqual(new Set([201]));
    expect((await readLogin(cloud.app.store.read, id))?.failed_auth_count).toBe(0);
  });

  it('are freed by an administrator; those with the option are never locked', async () => {
    configure({ lockout_failure_attempts: 1, lockout_duration: null });
    const id = await create();
    expect(await login(id, 'wrong')).toBe(401);
    await age(id, 1_000_000);
    expect(await login(id, 'one')).toBe(401);
    expect((await call('PATCH', `/users/${id}`, { user: { enabled: true } })).status).toBe(200);
    expect(await login(id, 'one')).toBe(201);
    const exempt = await create({ options: { ignore_lockout_failure_attempts: true } });
    for (let i = 0; i < 3; i++) expect(await login(exempt, 'wrong')).toBe(401);
    expect(await login(exempt, 'one')).toBe(201);
  });

  it('take as many writes when they do not exist, and leave one row for all', async () => {
    configure({ lockout_failure_attempts: 5, lockout_duration: 600 });
    const failed = async (id: string) => {
      const commits = cloud.app.store.commits;
      expect(await login(id, 'wrong')).toBe(401);
      return cloud.app.store.commits - commits;
    };
    const known = await failed(await create());
    expect([known, await failed('nobody'), await failed('nobody else')]).toEqual([1, 1, 1]);
    const rows = await cloud.app.store.read
      .selectFrom('user_login')
      .selectAll()
      .where('user_id', 'in', ['', 'nobody', 'nobody else'])
      .execute();
    expect(rows.map((row) => row.user_id)).toEqual(['']);
  });

  it('write as much for each failure: of nobody, of somebody, of who is locked, and with the right password', async () => {
    configure({ lockout_failure_attempts: 1, lockout_duration: 600 });
    const row = (id: string) => readLogin(cloud.app.store.read, id);
    const id = await create();
    for (const [account, user, password] of [
      ['', 'nobody', 'wrong'],
      [id, id, 'wrong'],
      [id, id, 'one'],
    ] as const) {
      for (let i = 0; i < 4; i++) {
        const before = await row(account);
        expect(await login(user, password)).toBe(401);
        const after = await row(account);
        expect(after).not.toEqual(before);
        // and no failure makes the lock any longer
        if (i > 0) expect(after!.failed_auth_at).toBe(before!.failed_auth_at);
        expect(after!.failed_auth_count).toBeOneOf([1, 2]);
      }
    }
  });

  it('tell nothing of what is right while they are locked or disabled', async () => {
    configure({ lockout_failure_attempts: 1, lockout_duration: 600 });
    const hash = async (id: string) => (await users.get(cloud.app.store.read, id))!.password_hash;
    const locked = await create({ password: 'right' });
    expect(await login(locked, 'wrong')).toBe(401);
    const disabled = await create({ password: 'right', enabled: false });
    for (const id of [locked, disabled]) {
      expect([await login(id, 'right'), await login(id, 'right')]).toEqual([401, 401]);
      // had it been compared, it would be known, and answered sooner from then on
      expect(isKnown(await hash(id), 'right')).toBe(false);
    }
    await age(locked, 601);
    expect(await login(locked, 'right')).toBe(201);
    expect(isKnown(await hash(locked), 'right')).toBe(true);
  });

  it('are never kept from who has just proved the password, however many guess from the same address', async () => {
    const id = await create();
    const payload = (password: string) => ({
      auth: { identity: { methods: ['password'], password: { user: { id, password } } } },
    });
    const from = (password: string) =>
      cloud.fastify.inject({
        method: 'POST',
        url: `${V3}/auth/tokens`,
        remoteAddress: '127.2.0.1',
        payload: payload(password),
      });
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { throttle } = cloud.app.identity;
    Object.assign(cloud.app.identity, { throttle: new FailureThrottle(() => held) });
    try {
      expect((await from('one')).statusCode).toBe(201);
      const guesses = Array.from({ length: 40 }, (_, i) => from(`guess ${i}`));
      // those that may not wait are told so, rather than that they are wrong
      const refused = await Promise.any(
        guesses.map(async (guess) => {
          const reply = await guess;
          expect(reply.statusCode).toBe(503);
          return reply;
        }),
      );
      expect(refused.headers['retry-after']).toBe('5');
      expect((await from('one')).statusCode).toBe(201);
      // some more may wait meanwhile: a guess is held only when five have failed before it
      const others = Array.from({ length: 20 }, (_, i) => from(`another ${i}`));
      await Promise.any(others.map(async (guess) => expect((await guess).statusCode).toBe(503)));
      guesses.push(...others);
      release();
      const statuses = (await Promise.all(guesses)).map((reply) => reply.statusCode);
      expect(new Set(statuses)).toEqual(new Set([401, 503]));
    } finally {
      release();
      Object.assign(cloud.app.identity, { throttle });
    }
    await cloud.app.audit.flush();
    const records = await cloud.app.store.read
      .selectFrom('audit')
      .select('reason')
      .where('user_id', '=', id)
      .where('status', '=', 503)
      .execute();
    expect(new Set(records.map((record) => record.reason))).toEqual(
      new Set(['too many attempts were waiting']),
    );
  });

  it('leave records of who tried and why it failed, without what was tried', async () => {
    configure({ lockout_failure_attempts: 1, lockout_duration: 600 });
    const id = await create();
    expect([await login(id, 'planted-guess'), await login(id, 'one')]).toEqual([401, 401]);
    await cloud.app.audit.flush();
    const rows = await cloud.app.store.read
      .selectFrom('audit')
      .selectAll()
      .where('user_id', '=', id)
      .orderBy('at')
      .orderBy('id')
      .execute();
    expect(rows.map(({ action, outcome, status, reason }) => ({ action, outcome, status, reason }))).toEqual([
      {
        action: 'identity:authenticate',
        outcome: 'refused',
        status: 401,
        reason: 'wrong password or passcode',
      },
      {
        action: 'identity:authenticate',
        outcome: 'refused',
        status: 401,
        reason: 'the account is locked after failed attempts',
      },
    ]);
    expect(JSON.stringify(rows)).not.toContain('planted-guess');
  });

  it('are disabled when nobody has used them for long', async () => {
    configure({ disable_user_account_days_inactive: 30 });
    const [idle, exempt, swept, active] = [
      await create(),
      await create({ options: { ignore_user_inactivity: true } }),
      await create(),
      await create(),
    ];
    expect(await login(idle, 'one')).toBe(201);
    const long = new Date(Date.now() - 30 * 86_400_000).toISOString().slice(0, 10);
    await cloud.app.store.tx((tx) => noteActive(tx, idle, long));
    await cloud.app.store.tx((tx) => noteActive(tx, exempt, long));
    // never used since it was made
    await cloud.app.store.tx((tx) => users.update(tx, swept, { created_at: `${long}T00:00:00.000Z` }));
    expect([await login(idle, 'one'), await login(exempt, 'one'), await login(active, 'one')]).toEqual([
      401, 201, 201,
    ]);
    const enabled = async (id: string) => (await call('GET', `/users/${id}`)).json.user.enabled;
    expect([await enabled(idle), await enabled(swept)]).toEqual([false, true]);
    await cloud.app.store.tx((tx) => noteActive(tx, exempt, long));
    await disableInactiveUsers(cloud.app);
    expect(await Promise.all([swept, exempt, active].map(enabled))).toEqual([false, true, true]);
    const records = await cloud.app.store.read
      .selectFrom('audit')
      .select('target_id')
      .where('action', '=', 'identity:disable_inactive_user')
      .execute();
    const disabled = records.map((row) => row.target_id);
    expect(disabled).toContain(idle);
    expect(disabled).toContain(swept);
    expect(disabled).not.toContain(exempt);
    await call('PATCH', `/users/${idle}`, { user: { enabled: true } });
    expect(await login(idle, 'one')).toBe(201);
  });
});
