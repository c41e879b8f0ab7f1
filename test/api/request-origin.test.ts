import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { adminService } from '../../src/api/admin/service.js';
import { createLogger } from '../../src/protocol/log.js';
import { matchLine } from '../../src/protocol/log-query.js';
import { TestApp } from '../support/app.js';

const V3 = '/identity/v3';
const GLOBAL = 'req-11111111-2222-4333-8444-555555555555';

describe('where a request comes from, and its ids', () => {
  let cloud: TestApp;
  let admin: string;
  const lines: string[] = [];

  beforeAll(async () => {
    cloud = await TestApp.open({
      services: [adminService],
      config: { trusted_proxies: ['192.0.2.0/24'] },
      parts: {
        log: createLogger('debug', {}, (line) => lines.push(line)),
        ownLog: {
          find: async (query) => {
            const found = lines.map((line) => matchLine(line.trim(), query));
            return {
              lines: found.filter((line) => line !== null),
              truncated: false,
              source: 'memory',
            };
          },
        },
      },
    });
    admin = await cloud.adminToken();
  });
  afterAll(() => cloud.close());

  const login = async (remoteAddress: string, forwarded: string, name: string) =>
    await cloud.fastify.inject({
      method: 'POST',
      url: `${V3}/auth/tokens`,
      remoteAddress,
      headers: { 'content-type': 'application/json', 'x-forwarded-for': forwarded },
      payload: {
        auth: {
          identity: {
            methods: ['password'],
            password: { user: { name, domain: { id: 'default' }, password: 'wrong' } },
          },
        },
      },
    });
  const records = async (query: Record<string, string>) =>
    (await cloud.request('GET', `/maru/v1/audit?${new URLSearchParams(query)}`, { token: admin })).json
      .records;
  const rename = async (headers: Record<string, string>) => {
    const body = { user: { description: String(Math.random()) } };
    const user = (await cloud.admin()).userId;
    return await cloud.request('PATCH', `${V3}/users/${user}`, { token: admin, headers, body });
  };

  it('is what a trusted proxy says, in records, logs and what limits guesses', async () => {
    const reply = await login('192.0.2.7', '203.0.113.1, 203.0.113.2', 'admin');
    expect(reply.statusCode).toBe(401);
    expect(await records({ address: '203.0.113.2' })).toHaveLength(1);
    const id = reply.headers['x-openstack-request-id'] as string;
    const line = lines.find((one) => one.includes(id) && one.includes('"msg":"request"'))!;
    expect(JSON.parse(line)).toMatchObject({ request_id: id, address: '203.0.113.2' });
    const run = vi.spyOn(cloud.app.identity.throttle, 'run');
    await login('192.0.2.7', '203.0.113.1, 203.0.113.2', 'admin');
    await login('192.0.2.7', '203.0.113.1, 203.0.113.3', 'admin');
    await login('198.51.100.1', '203.0.113.3', 'admin');
    await login('198.51.100.1', '203.0.113.4', 'admin');
    const keys = run.mock.calls.map(([key]) => key);
    run.mockRestore();
    expect(new Set(keys).size).toBe(3);
    expect(keys[2]).toBe(keys[3]);
  });

  it('have an id of their own, and remember the client’s', async () => {
    const replies = [
      await rename({ 'x-openstack-request-id': GLOBAL }),
      await rename({ 'x-openstack-request-id': GLOBAL }),
    ];
    const own = replies.map(({ headers }) => headers['x-openstack-request-id']!);
    expect(new Set([...own, GLOBAL]).size).toBe(3);
    const found = await records({ request_id: GLOBAL });
    expect(found.map(({ request }: { request: unknown }) => request)).toEqual(
      [...own].reverse().map((id) => expect.objectContaining({ id, global_id: GLOBAL })),
    );
    expect(await records({ request_id: own[0]! })).toHaveLength(1);
  });

  it('are found in the logs by either id', async () => {
    const own = (await rename({ 'x-openstack-request-id': GLOBAL })).headers['x-openstack-request-id']!;
    // what tasks and hosts do for it is logged with its own id alone
    lines.push(
      `${JSON.stringify({ time: new Date().toISOString(), level: 'info', msg: 'task ended', request_id: own })}\n`,
    );
    const logged = async (id: string) => {
      const reply = await cloud.request('GET', `/maru/v1/logs?request_id=${id}`, { token: admin });
      expect(reply.status, reply.text).toBe(200);
      return reply.json.entries.map(({ line }: { line: { msg: string } }) => line.msg);
    };
    expect(await logged(own)).toEqual(['request', 'task ended']);
    expect(await logged(GLOBAL)).toEqual(['request', 'request', 'request', 'task ended']);
  });

  it('take nothing else for an id of the client', async () => {
    for (const given of ['req-1', GLOBAL.slice(4), `${GLOBAL}0`, GLOBAL.replaceAll('-', '1'), '']) {
      const reply = await rename({ 'x-openstack-request-id': given });
      const own = reply.headers['x-openstack-request-id']!;
      expect(own).toMatch(/^req-[0-9a-f-]{36}$/);
      const [record] = await records({ request_id: own });
      expect(record.request.global_id).toBeNull();
    }
  });
});
