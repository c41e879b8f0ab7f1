import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { allServices } from '../../src/api/services.js';
import type { Operation, Schema } from '../../src/api/shared/operation.js';
import type { Service } from '../../src/api/shared/service.js';
import type { App } from '../../src/core/app.js';
import { createLogger } from '../../src/protocol/log.js';
import { NEWEST, newestSchema, urlOf } from '../support/api-operations.js';
import { TestApp } from '../support/app.js';
import { DIALECTS } from '../support/stores.js';

/** Names under which bodies hold what nobody else is to know, in any service. */
const SECRET_KEYS = [
  'password',
  'original_password',
  'adminPass',
  'admin_pass',
  'secret',
  'blob',
  'passcode',
  'user_data',
  'token',
  'client_secret',
  'oauth_token_secret',
  'oauth_signature',
  'oauth_verifier',
  'private_key',
];

/** In every property that a schema names a fitting value; a planted secret wherever one belongs, and under names of secrets besides. */
function planted(schema: Schema | undefined, secret: string, name = '', depth = 0): unknown {
  const one = first(schema) ?? (depth === 0 ? { type: 'object', properties: {} } : undefined);
  const isSecret = SECRET_KEYS.includes(name);
  if (one?.properties && depth < 8) {
    const inner = one.properties as Record<string, Schema>;
    const all = Object.entries(inner).map(([key, value]) => [key, planted(value, secret, key, depth + 1)]);
    const known = new Set(Object.keys(inner));
    const extra = one.additionalProperties === false ? [] : SECRET_KEYS.filter((key) => !known.has(key));
    return Object.fromEntries([...all, ...extra.map((key) => [key, secret])]);
  }
  if (isSecret) return name === 'token' && one?.type === 'object' ? { id: secret } : secret;
  if (one?.enum) return (one.enum as unknown[])[0];
  switch (Array.isArray(one?.type) ? one.type[0] : one?.type) {
    case 'array':
      return one?.items && depth < 8 ? [planted(one.items as Schema, secret, name, depth + 1)] : [];
    case 'integer':
    case 'number':
      return 1;
    case 'boolean':
      return true;
    case 'object':
      return { password: secret, nested: { secret } };
    default:
      return 'text';
  }
}

function first(schema: Schema | undefined): Schema | undefined {
  const choice = (schema?.anyOf ?? schema?.oneOf) as readonly Schema[] | undefined;
  return choice && !schema?.properties ? first(choice[0]) : schema;
}

describe.each(DIALECTS)('every operation that may change something on %s', (dialect) => {
  let cloud: TestApp;
  let services: readonly Service[];
  const lines: string[] = [];
  let minutes = 0;

  beforeAll(async () => {
    const mounted = (name: string) => (app: App) => allServices(app).find((one) => one.name === name)!;
    const names = ['image', 'compute', 'network', 'volume', 'placement', 'admin'];
    const log = createLogger('debug', {}, (line) => lines.push(line));
    // a minute goes by between any two requests: none is counted together with another
    const auditClock = () => 60_000 * ++minutes;
    cloud = await TestApp.open({ dialect, services: names.map(mounted), parts: { log }, auditClock });
    services = allServices(cloud.app);
  });
  afterAll(() => cloud?.close());

  const changing = () =>
    services.flatMap((service) =>
      service.operations
        .filter(({ method, until }) => method !== 'GET' && method !== 'HEAD' && !until)
        // which those are is in test/unit/audit-actions.test.ts
        .filter(({ audit }) => audit !== 'none')
        .map((operation) => ({ service, operation })),
    );
  const send = async (
    operation: Operation,
    url: string,
    headers: Record<string, string>,
    payload?: string,
  ) => {
    return await cloud.fastify.inject({
      method: operation.method as 'POST',
      url,
      headers: {
        ...NEWEST,
        'content-type': operation.stream ? 'application/octet-stream' : 'application/json',
        ...headers,
      },
      ...(payload !== undefined && { payload }),
    });
  };
  const records = async () => {
    await cloud.app.audit.flush();
    return await cloud.app.store.read.selectFrom('audit').selectAll().execute();
  };

  it('leaves exactly one record, refused or not, with and without a token', async () => {
    const admin = await cloud.adminToken();
    const member = await cloud.projectToken('demo');
    const wrong: string[] = [];
    for (const token of [admin, member, null]) {
      const asked = new Map<string, { name: string; status: number }>();
      for (const { service, operation } of changing()) {
        const headers: Record<string, string> = token === null ? {} : { 'x-auth-token': token };
        // a new incarnation would end the token that the others are sent with
        const nothing = operation.path === '/v1/incarnation' ? '{"reason":""}' : '{}';
        const body = operation.body || operation.stream ? nothing : undefined;
        const reply = await send(operation, urlOf(service, operation, 'x'), headers, body);
        asked.set(reply.headers['x-openstack-request-id'] as string, {
          name: `${service.name} ${operation.method} ${operation.path}`,
          status: reply.statusCode,
        });
      }
      const found = await records();
      for (const [id, { name, status }] of asked) {
        const own = found.filter(({ request_id }) => request_id === id);
        const [record] = own;
        const known = (token === null) === (record?.user_id === null);
        if (own.length !== 1 || record!.status !== status || record!.repeats !== 1 || !known)
          wrong.push(
            `${name} ${status}: ${own.length} ${record?.status} ×${record?.repeats} ${record?.user_id}`,
          );
      }
    }
    expect(wrong).toEqual([]);
  }, 300_000);

  it('leaves no secret that it was given in records or logs, also when it fails', async () => {
    const secrets: string[] = [];
    const secret = (quote = '"') => {
      const made = `plant${quote}ed-${randomBytes(12).toString('hex')}`;
      secrets.push(made);
      return made;
    };
    const before = lines.length;
    let current: string[] = [];
    const ask = async (broken: boolean) => {
      for (const { service, operation } of changing()) {
        // one of these operations ends all tokens that there are
        const admin = await cloud.adminToken();
        const start = secrets.length;
        const bodied = operation.method !== 'DELETE' || operation.body !== undefined;
        const payload = bodied ? JSON.stringify(planted(newestSchema(operation), secret())) : undefined;
        const headers = {
          'x-auth-token': admin,
          'x-subject-token': secret(''),
          'x-service-token': secret(''),
          authorization: `OAuth oauth_signature="${secret('')}"`,
        };
        const query = `?token=${encodeURIComponent(secret())}&password=${encodeURIComponent(secret())}`;
        secrets.push(admin);
        // what was not sent cannot be known to be one
        current = secrets
          .slice(start)
          .filter((one, n) => n !== 0 || !bodied || payload?.includes(JSON.stringify(one).slice(1, -1)));
        const reply = await send(operation, urlOf(service, operation, 'x') + query, headers, payload);
        if (broken)
          expect.soft(reply.statusCode, `${operation.method} ${operation.path}`).toBeGreaterThanOrEqual(400);
      }
    };
    await ask(false);
    // everything that is stored fails, and the error quotes what was to be stored
    const { store } = cloud.app;
    const tx = store.tx;
    const quoting = async (body: Parameters<typeof tx>[0], options?: Parameters<typeof tx>[1]) => {
      if (options?.unseen) return await tx.call(store, body, options);
      throw new Error(`insert failed near values (${current.join(', ')})`);
    };
    store.tx = quoting as typeof tx;
    try {
      await ask(true);
    } finally {
      store.tx = tx;
    }
    const kept = [...(await records()).map((row) => JSON.stringify(row)), ...lines.slice(before)];
    expect(lines.slice(before).filter((line) => line.includes('request failed')).length).toBeGreaterThan(10);
    // what is planted is known by its form, tokens by what they are
    const tokens = new Set(secrets);
    const leaks = kept.filter(
      (text) =>
        /ed-[0-9a-f]{24}/.test(text) || (text.match(/[\w-]{40,}/g) ?? []).some((word) => tokens.has(word)),
    );
    expect(leaks.slice(0, 10).map((text) => text.slice(0, 400))).toEqual([]);
  }, 300_000);
});
