import { hash, verify } from '@node-rs/argon2';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { hashPassword, isOutdated } from '../../src/core/identity/passwords.js';
import { noteActive, readLogin } from '../../src/store/identity/logins.js';
import { users } from '../../src/store/identity/users.js';
import { TestApp } from '../support/app.js';
import { DIALECTS } from '../support/stores.js';

const PASSWORD = 'a password of a login';

describe.each(DIALECTS)('logins on %s', (dialect) => {
  let cloud: TestApp;
  let admin: string;
  let serial = 0;
  beforeAll(async () => {
    cloud = await TestApp.open({ dialect });
    admin = await cloud.adminToken();
  });
  afterEach(() => void vi.useRealTimers());
  afterAll(() => cloud.close());

  /** A user with a role on a project, who has never been here. */
  const newUser = async () => {
    const name = `login-${++serial}`;
    const call = (method: string, path: string, body?: unknown) =>
      cloud.request(method, `/identity/v3${path}`, { token: admin, body });
    const made = await call('POST', '/users', { user: { name, domain_id: 'default', password: PASSWORD } });
    const { id } = made.json.user;
    const [project] = (await call('GET', '/projects?name=admin')).json.projects;
    const [role] = (await call('GET', '/roles?name=member')).json.roles;
    expect((await call('PUT', `/projects/${project.id}/users/${id}/roles/${role.id}`)).status).toBe(204);
    return { id: id as string, name };
  };
  const login = async (name: string, password = PASSWORD) => {
    const domain = { id: 'default' };
    const identity = { methods: ['password'], password: { user: { name, domain, password } } };
    const scope = { project: { name: 'admin', domain } };
    const body = { auth: { identity, scope } };
    return (await cloud.request('POST', '/identity/v3/auth/tokens', { body })).status;
  };
  const stored = async (id: string) => (await users.get(cloud.app.store.read, id))!.password_hash!;

  it('ask the database little and commit nothing before the answer, also the first one', async () => {
    const [before, measured] = [await newUser(), await newUser()];
    // what users of a project have in common is known then
    expect(await login(before.name)).toBe(201);
    await cloud.app.audit.flush();
    await cloud.app.identity.activeDays.flush();
    const { store } = cloud.app;
    const asked = vi.spyOn(store.read.getExecutor(), 'executeQuery');
    const written = vi.spyOn(store, 'tx');
    try {
      expect(await login(measured.name)).toBe(201);
      // the epoch is asked for by every request, and keys are looked up again once a minute
      const own = asked.mock.calls.filter(([{ sql }]) => !/"identity_(epoch|key)"/.test(sql));
      expect(own.length).toBeGreaterThan(0);
      expect(own.length).toBeLessThanOrEqual(4);
      // what is gathered and stored later is `unseen`
      expect(written.mock.calls.filter(([, options]) => !options?.unseen)).toEqual([]);
    } finally {
      asked.mockRestore();
      written.mockRestore();
    }
  });

  it('are noted for the day, once, by a transaction that many share', async () => {
    const made = [await newUser(), await newUser(), await newUser()];
    const { store, identity } = cloud.app;
    await identity.activeDays.flush();
    // the day must not end meanwhile
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() });
    for (const { name } of made) expect(await login(name)).toBe(201);
    await identity.activeDays.flush();
    for (const { id } of made) {
      expect((await readLogin(store.read, id))?.last_active_on).toBe(new Date().toISOString().slice(0, 10));
    }
    // what is known to be noted is not written again
    const { id, name } = made[0]!;
    await store.tx((tx) => noteActive(tx, id, '2020-01-01'));
    expect(await login(name)).toBe(201);
    await identity.activeDays.flush();
    expect((await readLogin(store.read, id))?.last_active_on).toBe('2020-01-01');
  });

  it('hash a password anew that was hashed at another cost, when it is right', async () => {
    const { id, name } = await newUser();
    const old = await hash(PASSWORD, { memoryCost: 19_456, timeCost: 2, parallelism: 1 });
    expect([isOutdated(old), isOutdated(await hashPassword(PASSWORD))]).toEqual([true, false]);
    await cloud.app.identity.write((tx) => users.update(tx, id, { password_hash: old }));
    expect(await login(name, 'a wrong one')).toBe(401);
    expect(await stored(id)).toBe(old);
    expect(await login(name)).toBe(201);
    const renewed = await stored(id);
    expect(isOutdated(renewed)).toBe(false);
    expect(await verify(renewed, PASSWORD)).toBe(true);
    expect(await login(name)).toBe(201);
    expect(await stored(id)).toBe(renewed);
  });

  it('hash a password anew once for all logins at the same time, and end nothing that is kept by it', async () => {
    const { id, name } = await newUser();
    const old = await hash(PASSWORD, { memoryCost: 19_456, timeCost: 2, parallelism: 1 });
    await cloud.app.identity.write((tx) => users.update(tx, id, { password_hash: old }));
    const epoch = await cloud.app.identity.tokens.epoch();
    let updates = 0;
    const prototype = cloud.app.store.read.getExecutor().constructor.prototype;
    const { executeQuery } = prototype;
    const spy = vi.spyOn(prototype, 'executeQuery').mockImplementation(function (
      this: unknown,
      ...given: unknown[]
    ) {
      if ((given[0] as { sql: string }).sql.startsWith('update "user" set "password_hash"')) updates++;
      return executeQuery.apply(this, given);
    });
    // the one that hashes it stores it when the others have been let in: they are at the same time however slow they are
    const { store } = cloud.app;
    const tx = store.tx.bind(store);
    let release = () => {};
    const letIn = new Promise<void>((resolve) => {
      release = resolve;
    });
    const held: typeof tx = async (body, options) => {
      if (!options?.unseen) await letIn;
      return await tx(body, options);
    };
    const holding = vi.spyOn(store, 'tx').mockImplementation(held);
    let answered = 0;
    const one = async () => {
      const status = await login(name);
      if (++answered === 5) release();
      return status;
    };
    try {
      const replies = await Promise.all(Array.from({ length: 6 }, one));
      expect(new Set(replies)).toEqual(new Set([201]));
    } finally {
      release();
      holding.mockRestore();
      spy.mockRestore();
    }
    expect(isOutdated(await stored(id))).toBe(false);
    expect(updates).toBe(1);
    expect(await cloud.app.identity.tokens.epoch()).toBe(epoch);
  });

  it('do not get in the way of a password change by hashing the password anew', async () => {
    const { id, name } = await newUser();
    const old = await hash(PASSWORD, { memoryCost: 19_456, timeCost: 2, parallelism: 1 });
    const { identity } = cloud.app;
    await identity.write((tx) => users.update(tx, id, { password_hash: old }));
    const { write } = identity;
    const renewed = await hashPassword(PASSWORD);
    // between the proof and the change
    const spy = vi.spyOn(identity, 'write').mockImplementationOnce(async (body) => {
      await cloud.app.store.tx((tx) => users.update(tx, id, { password_hash: renewed }));
      return await write(body);
    });
    try {
      const body = { user: { original_password: PASSWORD, password: 'the next one' } };
      const reply = await cloud.request('POST', `/identity/v3/users/${id}/password`, { body });
      expect(reply.status, reply.text).toBe(204);
    } finally {
      spy.mockRestore();
    }
    expect([await login(name), await login(name, 'the next one')]).toEqual([401, 201]);
  });
});
