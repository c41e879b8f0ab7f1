import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Config } from '../../src/config.js';
import { users } from '../../src/store/identity/users.js';
import { TestApp } from '../support/app.js';
import { DIALECTS } from '../support/stores.js';

const V3 = '/identity/v3';
const DAY_MS = 86_400_000;

describe.each(DIALECTS)('passwords of users on %s', (dialect) => {
  let cloud: TestApp;
  let admin: string;
  let before: Config;
  let count = 0;
  /** What the database has no part in is tried on one. */
  const itOnce = it.skipIf(dialect === 'postgres');

  beforeAll(async () => {
    cloud = await TestApp.open({ dialect });
    admin = await cloud.adminToken();
    before = { ...cloud.app.config };
  });
  afterEach(() => void Object.assign(cloud.app.config, before));
  afterAll(() => cloud.close());

  /** As when SIGHUP brings other values into force. */
  const configure = (values: Partial<Config>) => void Object.assign(cloud.app.config, values);
  const call = (method: string, path: string, body?: unknown, token = admin) =>
    cloud.request(method, V3 + path, { token, body });
  const create = async (values: Record<string, unknown> = {}) => {
    const reply = await call('POST', '/users', {
      user: { name: `user-${count++}`, password: 'one', ...values },
    });
    expect(reply.status, reply.text).toBe(201);
    return reply.json.user;
  };
  const change = (id: string, original: string, next: string) =>
    cloud.request('POST', `${V3}/users/${id}/password`, {
      body: { user: { original_password: original, password: next } },
    });
  const login = (id: string, password: string) =>
    cloud.request('POST', `${V3}/auth/tokens`, {
      body: { auth: { identity: { methods: ['password'], password: { user: { id, password } } } } },
    });
  /** Moves what was noted about a user's password so many days back. */
  const age = (id: string, days: number) =>
    cloud.app.identity.write(async (tx) => {
      const row = (await users.get(tx, id))!;
      const back = (time: string | null) =>
        time === null ? null : new Date(Date.parse(time) - days * DAY_MS).toISOString();
      await users.update(tx, id, {
        password_changed_at: back(row.password_changed_at),
        password_expires_at: back(row.password_expires_at),
      });
    });

  it('may not be one of the last, when their owner chooses them', async () => {
    configure({ unique_last_password_count: 3 });
    const { id } = await create();
    expect((await change(id, 'one', 'two')).status).toBe(204);
    expect((await change(id, 'two', 'three')).status).toBe(204);
    for (const taken of ['three', 'two', 'one']) {
      const reply = await change(id, 'three', taken);
      expect(reply.status, taken).toBe(400);
      expect(reply.json.error.message).toBe(
        'The new password cannot be identical to a previous password. The total number which includes the new password must be unique is 3.',
      );
    }
    expect((await change(id, 'three', 'four')).status).toBe(204);
    // four, three and two are the last three now
    expect((await change(id, 'four', 'one')).status).toBe(204);
    // administrators may give any
    expect((await call('PATCH', `/users/${id}`, { user: { password: 'four' } })).status).toBe(200);
    expect((await login(id, 'four')).status).toBe(201);
    const kept = await cloud.app.store.read
      .selectFrom('password_history')
      .selectAll()
      .where('user_id', '=', id)
      .execute();
    expect(kept).toHaveLength(2);
    await call('DELETE', `/users/${id}`);
    const left = await cloud.app.store.read
      .selectFrom('password_history')
      .selectAll()
      .where('user_id', '=', id)
      .execute();
    expect(left).toEqual([]);
  });

  itOnce('are kept no longer than they are needed', async () => {
    const { id } = await create();
    expect((await change(id, 'one', 'two')).status).toBe(204);
    expect((await change(id, 'two', 'one')).status).toBe(204);
    const kept = await cloud.app.store.read
      .selectFrom('password_history')
      .selectAll()
      .where('user_id', '=', id)
      .execute();
    expect(kept).toEqual([]);
  });

  it('expire, and can be replaced by who knows them', async () => {
    configure({ password_expires_days: 30 });
    const user = await create();
    expect(user.password_expires_at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000000$/);
    const days = (Date.parse(`${user.password_expires_at}Z`) - Date.now()) / DAY_MS;
    expect(days).toBeGreaterThan(29.9);
    expect(days).toBeLessThan(30.1);
    const token = await login(user.id, 'one');
    expect(token.json.token.user.password_expires_at).toBe(user.password_expires_at);
    await age(user.id, 31);
    const expired = await login(user.id, 'one');
    expect([expired.status, expired.json.error.message]).toEqual([
      401,
      `The password is expired and needs to be changed for user: ${user.id}.`,
    ]);
    // who does not know the password is not told that it has expired
    expect((await login(user.id, 'wrong')).json.error.message).toBe(
      'The request you have made requires authentication.',
    );
    expect((await change(user.id, 'one', 'two')).status).toBe(204);
    expect((await login(user.id, 'two')).status).toBe(201);
    const exempt = await create({ options: { ignore_password_expiry: true } });
    expect(exempt.password_expires_at).toBeNull();
    // the option also saves who has an expired password
    await age(user.id, 31);
    expect((await login(user.id, 'two')).status).toBe(401);
    await call('PATCH', `/users/${user.id}`, { user: { options: { ignore_password_expiry: true } } });
    expect((await login(user.id, 'two')).status).toBe(201);
  });

  it('can be asked for by when they expire', async () => {
    configure({ password_expires_days: 10 });
    const soon = await create({ name: 'soon' });
    configure({ password_expires_days: 20 });
    const late = await create({ name: 'late' });
    configure({ password_expires_days: null });
    const never = await create({ name: 'never' });
    const group = (await call('POST', '/groups', { group: { name: 'expiring' } })).json.group;
    for (const { id } of [soon, late, never]) await call('PUT', `/groups/${group.id}/users/${id}`);
    const day = (days: number) => `${new Date(Date.now() + days * DAY_MS).toISOString().slice(0, 19)}Z`;
    const found = async (query: string) => {
      const reply = await call('GET', `/groups/${group.id}/users?password_expires_at=${query}`);
      expect(reply.status, reply.text).toBe(200);
      return reply.json.users.map((user: { name: string }) => user.name).sort();
    };
    expect(await found(`lt:${day(15)}`)).toEqual(['soon']);
    expect(await found(`gt:${day(15)}`)).toEqual(['late']);
    expect(await found(`lte:${soon.password_expires_at}Z`)).toEqual(['soon']);
    expect(await found(`gte:${soon.password_expires_at}`)).toEqual(['late', 'soon']);
    expect(await found(`neq:${soon.password_expires_at}Z`)).toEqual(['late']);
    expect(await found(`${soon.password_expires_at.slice(0, 19)}Z`)).toEqual(['soon']);
    const all = await call('GET', `/users?password_expires_at=eq:${soon.password_expires_at}Z`);
    expect(all.json.users.map((user: { name: string }) => user.name)).toEqual(['soon']);
    for (const bad of ['lt:yesterday', 'ne:2026-01-01T00:00:00Z', 'lt:', '2026']) {
      expect((await call('GET', `/users?password_expires_at=${bad}`)).status, bad).toBe(400);
    }
  });

  itOnce('must be replaced upon first use', async () => {
    configure({ change_password_upon_first_use: true });
    const { id } = await create();
    expect((await login(id, 'one')).json.error.message).toContain('needs to be changed');
    expect((await change(id, 'one', 'two')).status).toBe(204);
    expect((await login(id, 'two')).status).toBe(201);
    await call('PATCH', `/users/${id}`, { user: { password: 'three' } });
    expect((await login(id, 'three')).status).toBe(401);
    const exempt = await create({ options: { ignore_change_password_upon_first_use: true } });
    expect((await login(exempt.id, 'one')).status).toBe(201);
  });

  itOnce('must be kept for a while by who chose them', async () => {
    configure({ minimum_password_age: 2 });
    const { id } = await create();
    // what an administrator gave may be replaced at once
    expect((await change(id, 'one', 'two')).status).toBe(204);
    const early = await change(id, 'two', 'three');
    expect(early.status).toBe(400);
    expect(early.json.error.message).toContain('it must be used for 2 day(s) before it can be changed');
    await age(id, 3);
    expect((await change(id, 'two', 'three')).status).toBe(204);
    expect((await change(id, 'three', 'four')).status).toBe(400);
    await call('PATCH', `/users/${id}`, { user: { password: 'four' } });
    expect((await change(id, 'four', 'five')).status).toBe(204);
  });

  itOnce('must look as configured, whoever gives them', async () => {
    const { id } = await create();
    configure({
      password_regex: '(?=.*\\d)(?=.*[a-z]).{7,}',
      password_regex_description: 'seven, one a digit',
    });
    const refused = await call('POST', '/users', { user: { name: 'weak', password: 'short1' } });
    expect([refused.status, refused.json.error.message]).toEqual([
      400,
      'The password does not match the requirements: seven, one a digit.',
    ]);
    expect((await call('PATCH', `/users/${id}`, { user: { password: 'nodigits' } })).status).toBe(400);
    expect((await change(id, 'one', 'nodigits')).status).toBe(400);
    expect((await change(id, 'one', 'digits 123')).status).toBe(204);
    const member = await cloud.projectToken('rules');
    const rules = await call('GET', '/domains/default/config/security_compliance', undefined, member);
    expect(rules.json.config.security_compliance).toEqual({
      password_regex: '(?=.*\\d)(?=.*[a-z]).{7,}',
      password_regex_description: 'seven, one a digit',
    });
  });

  it('end the tokens that were got before', async () => {
    const { id } = await create();
    const token = (await login(id, 'one')).headers['x-subject-token']!;
    const works = async () => (await call('GET', '/auth/projects', undefined, token)).status;
    expect(await works()).toBe(200);
    expect((await change(id, 'wrong', 'two')).status).toBe(401);
    expect(await works()).toBe(200);
    expect((await change(id, 'one', 'two')).status).toBe(204);
    expect(await works()).toBe(401);
    expect((await login(id, 'one')).status).toBe(401);
  });

  itOnce('can be locked', async () => {
    const { id } = await create({ options: { lock_password: true } });
    const reply = await change(id, 'one', 'two');
    expect([reply.status, reply.json.error.message]).toEqual([
      400,
      'You cannot change your password at this time due to password policy disallowing password changes. Please contact your administrator to reset your password.',
    ]);
    expect((await change(id, 'wrong', 'two')).status).toBe(401);
    await call('PATCH', `/users/${id}`, { user: { options: { lock_password: null } } });
    expect((await change(id, 'one', 'two')).status).toBe(204);
    expect((await call('GET', `/users/${id}`)).json.user.options).toEqual({});
  });

  it('change once when two change them at once', async () => {
    const { id } = await create();
    const replies = await Promise.all([
      change(id, 'one', 'a'),
      change(id, 'one', 'b'),
      change(id, 'one', 'c'),
    ]);
    const statuses = replies.map((reply) => reply.status);
    expect(statuses.sort()).toEqual([204, 401, 401]);
  });

  itOnce('open projects, which are listed by name, domain and state', async () => {
    const { userId, projectId } = await cloud.projectUser('listed');
    await cloud.projectUser('unlisted');
    const names = async (query: string) =>
      (await call('GET', `/users/${userId}/projects${query}`)).json.projects.map((p: { id: string }) => p.id);
    for (const query of ['', '?name=listed', '?domain_id=default', '?enabled=true']) {
      expect(await names(query), query).toEqual([projectId]);
    }
    for (const query of ['?name=unlisted', '?domain_id=other', '?enabled=false']) {
      expect(await names(query), query).toEqual([]);
    }
  });

  itOnce('come with options that are checked', async () => {
    for (const options of [
      { lock_password: 'yes' },
      { unknown: true },
      { multi_factor_auth_rules: 'password' },
      { multi_factor_auth_rules: [[]] },
      { multi_factor_auth_rules: [['password'], ['password']] },
      { multi_factor_auth_rules: [['password', 'password']] },
      { multi_factor_auth_rules: [[1]] },
    ]) {
      const reply = await call('POST', '/users', { user: { name: 'bad', options } });
      expect(reply.status, JSON.stringify(options)).toBe(400);
    }
    const other = await create();
    expect((await call('PATCH', `/users/${other.id}`, { user: { id: 'another' } })).status).toBe(400);
    expect((await call('PATCH', `/users/${other.id}`, { user: { id: other.id, email: 'a@b' } })).status).toBe(
      200,
    );
  });
});
