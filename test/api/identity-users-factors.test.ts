import type { FastifyInstance } from 'fastify';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { createApi } from '../../src/api/api.js';
import { identityService } from '../../src/api/identity/service.js';
import type { Config } from '../../src/config.js';
import type { App } from '../../src/core/app.js';
import { createIdentity } from '../../src/core/identity/identity.js';
import { base32Bytes, stepOf, totpCode } from '../../src/core/identity/totp.js';
import { TestApp } from '../support/app.js';
import { DIALECTS } from '../support/stores.js';

const V3 = '/identity/v3';
const SECRET = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ';
const RULES = [['password', 'totp']];

describe.each(DIALECTS)('several factors on %s', (dialect) => {
  let cloud: TestApp;
  let admin: string;
  let before: Config;
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
  afterEach(() => {
    vi.useRealTimers();
    Object.assign(cloud.app.config, before);
  });
  afterAll(async () => {
    if (dialect === 'postgres') await second.close();
    await cloud.close();
  });

  const itOnce = it.skipIf(dialect === 'postgres');
  const call = (method: string, path: string, body?: unknown, token = admin) =>
    cloud.request(method, V3 + path, { token, body });
  const create = async (options: Record<string, unknown> = {}, secret: string | null = SECRET) => {
    const name = `factors-${count++}`;
    const reply = await call('POST', '/users', { user: { name, password: 'one', options } });
    expect(reply.status, reply.text).toBe(201);
    const { id } = reply.json.user;
    if (secret !== null) {
      const credential = { type: 'totp', blob: secret, user_id: id };
      expect((await call('POST', '/credentials', { credential })).status).toBe(201);
    }
    return { id, name } as { id: string; name: string };
  };
  /** The passcode of the window so many before this one. */
  const code = (back = 0, secret = SECRET) => totpCode(base32Bytes(secret)!, stepOf(Date.now()) - back);
  const wrong = () => {
    const right = [code(-1), code(), code(1)];
    return ['000000', '111111', '222222', '333333'].find((one) => !right.includes(one))!;
  };
  interface Given {
    readonly password?: string;
    readonly passcode?: string;
    readonly token?: string;
    readonly receipt?: string;
    readonly at?: FastifyInstance;
    readonly address?: string;
  }
  const login = async (user: Record<string, unknown>, given: Given) => {
    const {
      password,
      passcode,
      token,
      receipt,
      at = cloud.fastify,
      address = `127.2.0.${count++ & 255}`,
    } = given;
    const identity = {
      methods: [
        ...(password === undefined ? [] : ['password']),
        ...(passcode === undefined ? [] : ['totp']),
        ...(token === undefined ? [] : ['token']),
      ],
      ...(password !== undefined && { password: { user: { ...user, password } } }),
      ...(passcode !== undefined && { totp: { user: { ...user, passcode } } }),
      ...(token !== undefined && { token: { id: token } }),
    };
    const reply = await at.inject({
      method: 'POST',
      url: `${V3}/auth/tokens`,
      remoteAddress: address,
      headers: receipt === undefined ? {} : { 'openstack-auth-receipt': receipt },
      payload: { auth: { identity } },
    });
    return {
      status: reply.statusCode,
      json: reply.json(),
      token: reply.headers['x-subject-token'] as string | undefined,
      receipt: reply.headers['openstack-auth-receipt'] as string | undefined,
    };
  };
  const receiptOf = async (user: { id: string }, given: Given) => {
    const reply = await login({ id: user.id }, given);
    expect([reply.status, typeof reply.receipt]).toEqual([401, 'string']);
    return reply.receipt!;
  };

  it('takes a passcode for a token, once, at whichever controller', async () => {
    const { id, name } = await create();
    const passcode = code();
    const replies = await Promise.all(
      [cloud.fastify, second, cloud.fastify, second].map((at) => login({ id }, { passcode, at })),
    );
    expect(replies.map((reply) => reply.status).sort()).toEqual([201, 401, 401, 401]);
    expect(replies.find((reply) => reply.status === 201)!.json.token).toMatchObject({
      methods: ['totp'],
      user: { id, name },
    });
    // nor one from before it
    expect((await login({ id }, { passcode: code(1) })).status).toBe(401);
    const other = await create();
    const named = { name: other.name, domain: { id: 'default' } };
    expect((await login(named, { passcode: wrong() })).status).toBe(401);
    expect((await login(named, { passcode: code() })).status).toBe(201);
  });

  itOnce('takes passcodes of as many windows as configured', async () => {
    const { id } = await create();
    vi.useFakeTimers({ now: Date.now(), toFake: ['Date'] });
    expect((await login({ id }, { passcode: code(2) })).status).toBe(401);
    expect((await login({ id }, { passcode: code(-1) })).status).toBe(401);
    expect((await login({ id }, { passcode: code(1) })).status).toBe(201);
    expect((await login({ id }, { passcode: code() })).status).toBe(201);
    vi.setSystemTime(Date.now() + 30_000);
    Object.assign(cloud.app.config, { totp_included_previous_windows: 0 });
    const late = code();
    vi.setSystemTime(Date.now() + 30_000);
    expect((await login({ id }, { passcode: late })).status).toBe(401);
    expect((await login({ id }, { passcode: code() })).status).toBe(201);
  });

  itOnce('refuses passcodes alike whatever is wrong', async () => {
    const none = await create({}, null);
    const broken = await create({}, 'not base32!');
    const disabled = await create();
    await call('PATCH', `/users/${disabled.id}`, { user: { enabled: false } });
    for (const id of [none.id, broken.id, disabled.id, 'nobody']) {
      const reply = await login({ id }, { passcode: code() });
      expect([reply.status, reply.json.error.message, reply.receipt]).toEqual([
        401,
        'The request you have made requires authentication.',
        undefined,
      ]);
    }
    const missing = { auth: { identity: { methods: ['totp'] } } };
    expect((await cloud.request('POST', `${V3}/auth/tokens`, { body: missing })).status).toBe(400);
  });

  it('gives a receipt for the first factor, and a token for both', async () => {
    const user = await create({ multi_factor_auth_rules: RULES });
    const first = await login({ id: user.id }, { password: 'one' });
    expect(first).toMatchObject({ status: 401, token: undefined });
    expect(first.json).toEqual({
      receipt: {
        methods: ['password'],
        user: { id: user.id, name: user.name, domain: { id: 'default', name: 'Default' } },
        expires_at: expect.stringMatching(/^\d{4}-.*\.000000Z$/),
        issued_at: expect.stringMatching(/^\d{4}-.*\.000000Z$/),
      },
      required_auth_methods: [['password', 'totp']],
    });
    expect(first.receipt).not.toContain(user.id);
    // it is no token
    expect((await call('GET', '/auth/projects', undefined, first.receipt)).status).toBe(401);
    expect((await login({}, { token: first.receipt! })).status).toBe(404);
    const done = await login({ id: user.id }, { passcode: code(), receipt: first.receipt!, at: second });
    expect(done.status).toBe(201);
    expect([...done.json.token.methods].sort()).toEqual(['password', 'totp']);
    // a token by both may be exchanged for another
    const again = await login({}, { token: done.token! });
    expect(again.status).toBe(201);
    expect([...again.json.token.methods].sort()).toEqual(['password', 'token', 'totp']);
    const both = await create({ multi_factor_auth_rules: RULES });
    expect((await login({ id: both.id }, { password: 'one', passcode: code() })).status).toBe(201);
  });

  itOnce('takes no receipt that is another’s, altered, too old or overtaken', async () => {
    const [user, other] = [
      await create({ multi_factor_auth_rules: RULES }),
      await create({ multi_factor_auth_rules: RULES }),
    ];
    const receipt = await receiptOf(user, { password: 'one' });
    const refused = async (id: string, text: string) => {
      const reply = await login({ id }, { password: 'one', receipt: text });
      expect([reply.status, reply.receipt]).toEqual([401, undefined]);
    };
    await refused(other.id, receipt);
    await refused(user.id, `${receipt.slice(0, -2)}${receipt.endsWith('AA') ? 'BB' : 'AA'}`);
    await refused(user.id, 'x');
    await refused(user.id, await cloud.adminToken());
    vi.useFakeTimers({ now: Date.now() + 301_000, toFake: ['Date'] });
    await refused(user.id, receipt);
    vi.useRealTimers();
    await call('PATCH', `/users/${user.id}`, { user: { password: 'one' } });
    const reply = await login({ id: user.id }, { passcode: code(), receipt });
    expect([reply.status, reply.receipt]).toEqual([401, undefined]);
  });

  itOnce('judges rules as Keystone does', async () => {
    const enough = async (options: Record<string, unknown>) => {
      const { id } = await create(options, null);
      return (await login({ id }, { password: 'one' })).status === 201;
    };
    expect(await enough({ multi_factor_auth_rules: [['password', 'totp'], ['password']] })).toBe(true);
    expect(await enough({ multi_factor_auth_rules: [['totp']] })).toBe(false);
    expect(await enough({ multi_factor_auth_rules: RULES, multi_factor_auth_enabled: false })).toBe(true);
    expect(await enough({ multi_factor_auth_rules: [] })).toBe(true);
    // methods that there are not do not lock anybody out
    expect(await enough({ multi_factor_auth_rules: [['password', 'retina']] })).toBe(true);
    expect(await enough({ multi_factor_auth_rules: [['retina']] })).toBe(true);
    const user = await create({
      multi_factor_auth_rules: [['application_credential'], ['password', 'totp']],
    });
    const reply = await login({ id: user.id }, { password: 'one' });
    expect(reply.json.required_auth_methods).toEqual([['password', 'totp']]);
  });

  itOnce('ends the use of tokens by one factor when two are wanted', async () => {
    const { id } = await create();
    const token = (await login({ id }, { password: 'one' })).token!;
    await call('PATCH', `/users/${id}`, { user: { options: { multi_factor_auth_rules: RULES } } });
    const reply = await login({}, { token });
    expect([reply.status, typeof reply.receipt]).toEqual([401, 'string']);
  });

  it('locks who guesses passcodes, though the password is right', async () => {
    Object.assign(cloud.app.config, { lockout_failure_attempts: 3, lockout_duration: 600 });
    const user = await create({ multi_factor_auth_rules: RULES });
    const receipt = await receiptOf(user, { password: 'one' });
    for (let i = 0; i < 2; i++) {
      expect((await login({ id: user.id }, { password: 'one', passcode: wrong() })).status).toBe(401);
      // the first factor by itself forgives nothing
      await receiptOf(user, { password: 'one' });
    }
    expect((await login({ id: user.id }, { passcode: wrong(), receipt })).status).toBe(401);
    const right = await login({ id: user.id }, { password: 'one', passcode: code() });
    expect([right.status, right.receipt]).toEqual([401, undefined]);
    expect((await login({ id: user.id }, { password: 'one' })).receipt).toBeUndefined();
  });

  itOnce('slows who guesses passcodes from one address', async () => {
    const delays: number[] = [];
    vi.spyOn(globalThis, 'setTimeout').mockImplementation(((run: () => void, ms?: number) => {
      delays.push(ms ?? 0);
      return setImmediate(run);
    }) as unknown as typeof setTimeout);
    const user = await create({ multi_factor_auth_rules: RULES });
    const address = '127.3.0.1';
    for (let i = 0; i < 8; i++) {
      expect((await login({ id: user.id }, { password: 'one', passcode: wrong(), address })).status).toBe(
        401,
      );
    }
    vi.restoreAllMocks();
    // the right password before each of them does not make them forgotten
    expect(delays.filter((ms) => ms >= 100 && ms <= 400)).toEqual([100, 200, 400]);
  });
});
