import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adminService } from '../../src/api/admin/service.js';
import { createApi } from '../../src/api/api.js';
import { identityService } from '../../src/api/identity/service.js';
import { networkService } from '../../src/api/network/service.js';
import type { App } from '../../src/core/app.js';
import { createIdentity } from '../../src/core/identity/identity.js';
import { RulePolicy } from '../../src/core/policy/engine.js';
import { followStoredPolicies } from '../../src/core/policy/stored.js';
import { TestApp } from '../support/app.js';

describe('policies at two controllers of one database', () => {
  let first: TestApp;
  let second: Awaited<ReturnType<typeof createApi>>;
  let policy: RulePolicy;

  beforeAll(async () => {
    first = await TestApp.open({
      dialect: 'postgres',
      services: [() => networkService, () => adminService()],
    });
    const identity = createIdentity(first.app.config, first.app.store);
    policy = new RulePolicy(null);
    const app: App = { ...first.app, identity, auth: identity.tokens, policy };
    second = await createApi(app, [identityService(app), networkService, adminService()]);
    policy.verify();
    await followStoredPolicies(app);
  });
  afterAll(async () => {
    await second.close();
    await first.close();
  });

  const atSecond = async (token: string, method: 'GET' | 'PUT' | 'DELETE', url: string, body?: unknown) =>
    await second.inject({
      method,
      url,
      headers: { 'x-auth-token': token, ...(body !== undefined && { 'content-type': 'application/json' }) },
      ...(body !== undefined && { payload: JSON.stringify(body) }),
    });

  it('hold at both from the next request on, wherever they are set', async () => {
    const admin = await first.adminToken();
    const reader = await first.projectToken('both', 'reader');
    const path = '/maru/v1/policies/get_network';
    const [url, rule] = ['/network/v2.0/networks', { policy: { rule: 'role:nobody' } }];
    for (let round = 0; round < 4; round++) {
      expect((await atSecond(reader, 'GET', url)).statusCode).toBe(200);
      expect((await first.request('PUT', path, { token: admin, body: rule })).status).toBe(200);
      expect((await atSecond(reader, 'GET', url)).statusCode).toBe(403);
      expect((await first.request('GET', url, { token: reader })).status).toBe(403);
      expect((await atSecond(admin, 'DELETE', path)).statusCode).toBe(204);
      expect((await first.request('GET', url, { token: reader })).status).toBe(200);
    }
  });

  it('are judged as a whole: what is set at both at once cannot be a circle together', async () => {
    const admin = await first.adminToken();
    const own = (rule: string) => ({ policy: { rule, own: true } });
    for (const name of ['one', 'two']) {
      const put = { token: admin, body: own('role:x') };
      expect((await first.request('PUT', `/maru/v1/policies/${name}`, put)).status).toBe(200);
    }
    for (let round = 0; round < 3; round++) {
      const [a, b] = await Promise.all([
        first.request('PUT', '/maru/v1/policies/one', { token: admin, body: own('rule:two') }),
        atSecond(admin, 'PUT', '/maru/v1/policies/two', own('rule:one')),
      ]);
      expect([a.status, b.statusCode].toSorted()).toEqual([200, 400]);
      for (const name of ['one', 'two']) {
        await first.request('PUT', `/maru/v1/policies/${name}`, { token: admin, body: own('role:x') });
      }
    }
  });

  it('are not read again when something else of identity changes', async () => {
    const reader = await first.projectToken('both', 'reader');
    await atSecond(reader, 'GET', '/network/v2.0/networks');
    let replaced = 0;
    const original = policy.replaceStored.bind(policy);
    policy.replaceStored = (stored) => {
      replaced++;
      return original(stored);
    };
    for (let i = 0; i < 20; i++) await atSecond(reader, 'GET', '/network/v2.0/networks');
    await first.projectToken('another', 'reader');
    await atSecond(reader, 'GET', '/network/v2.0/networks');
    expect(replaced).toBe(0);
  });
});
