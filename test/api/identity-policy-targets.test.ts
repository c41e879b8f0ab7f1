import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { identityService } from '../../src/api/identity/service.js';
import type { Operation } from '../../src/api/shared/operation.js';
import { TestApp, type TestUser } from '../support/app.js';

const OWNER = 'rule:admin_required or user_id:%(user_id)s';

describe('identity operations whose rule is about the user of the path', () => {
  let cloud: TestApp;
  let operations: readonly Operation[];
  let member: TestUser;
  let other: TestUser;
  let judged: boolean[] = [];

  beforeAll(async () => {
    cloud = await TestApp.open();
    operations = identityService(cloud.app).operations.filter(({ policy }) => policy !== null);
    member = await cloud.projectUser('demo');
    other = await cloud.projectUser('other');
    const names = new Set(operations.map(({ policy }) => policy!.name));
    const rules = new Map([...names].map((name) => [name, OWNER]));
    expect(cloud.app.policy.replaceStored({ rules, own: new Set() })).toEqual([]);
    const check = cloud.app.policy.check.bind(cloud.app.policy);
    vi.spyOn(cloud.app.policy, 'check').mockImplementation((name, token, target) => {
      const allowed = check(name, token, target);
      if (names.has(name)) judged.push(allowed);
      return allowed;
    });
  });
  afterAll(() => cloud.close());

  /** What the rule said about a request of the member, for a path about that user. */
  const ask = async ({ method, path }: Operation, userId: string) => {
    const ids: Readonly<Record<string, string>> = {
      user_id: userId,
      project_id: member.projectId,
      domain_id: 'default',
    };
    const url = `/identity${path.replace(/:([a-z_]+)|\*/g, (_, name: string) => ids[name] ?? 'x')}`;
    judged = [];
    const body = ['POST', 'PUT', 'PATCH'].includes(method) ? '{}' : undefined;
    const headers = { 'content-type': 'application/json', 'x-subject-token': other.token };
    const { status } = await cloud.request(method, url, {
      token: member.token,
      headers,
      ...(body && { body }),
    });
    return { status, judged };
  };

  it('let nobody touch another user, nor anything that is about no user at all', async () => {
    const wrong: string[] = [];
    for (const operation of operations) {
      const { status, judged } = await ask(operation, other.userId);
      // what its own target needs is looked up first, and may not be there
      if (judged.includes(true) || ![403, 404].includes(status)) {
        wrong.push(`${operation.method} ${operation.path}: ${status}, allowed: ${judged}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it('let users touch themselves', async () => {
    const about = operations.filter(({ path }) => path.includes(':user_id'));
    expect(about.length).toBeGreaterThan(40);
    const wrong: string[] = [];
    for (const operation of about.filter(({ method }) => method === 'GET' || method === 'HEAD')) {
      const { status, judged } = await ask(operation, member.userId);
      const missing = judged.length === 0 && status === 404;
      if (!missing && !judged.every(Boolean)) wrong.push(`${operation.method} ${operation.path}: ${status}`);
    }
    expect(wrong).toEqual([]);
  });
});
