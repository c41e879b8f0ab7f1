import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { identityService } from '../../src/api/identity/service.js';
import type { Operation, Schema } from '../../src/api/shared/operation.js';
import { TestApp } from '../support/app.js';
import { DIALECTS } from '../support/stores.js';

describe.each(DIALECTS)('every operation of identity on %s', (dialect) => {
  let cloud: TestApp;
  let admin: string;

  beforeAll(async () => {
    cloud = await TestApp.open({ dialect });
    admin = await cloud.adminToken();
  });
  afterAll(() => cloud.close());

  const operations = () => identityService(cloud.app).operations;
  const send = (operation: Operation, text: string, token: string | undefined, body?: unknown) =>
    cloud.request(operation.method, `/identity${operation.path.replace(/:[a-z_]+/g, text)}`, {
      ...(token !== undefined && { token }),
      ...(body !== undefined && { body: JSON.stringify(body) }),
      headers: { 'content-type': 'application/json' },
    });

  it('needs a token unless it is open to everybody', async () => {
    const open: string[] = [];
    for (const operation of operations()) {
      const { status } = await send(operation, 'x', undefined, {});
      if (operation.policy) expect(status, `${operation.method} ${operation.path}`).toBe(401);
      // a HEAD is the GET of the same path
      else if (operation.method !== 'HEAD') open.push(`${operation.method} ${operation.path}`);
    }
    expect(open.sort()).toEqual([
      'DELETE /v3/OS-OAUTH2/token',
      'GET ',
      'GET /',
      'GET /v3',
      'GET /v3/OS-OAUTH2/token',
      'GET /v3/OS-SIMPLE-CERT/ca',
      'GET /v3/OS-SIMPLE-CERT/certificates',
      'GET /v3/auth/tokens/OS-PKI/revoked',
      'PATCH /v3/OS-OAUTH2/token',
      'POST /v3/OS-OAUTH1/access_token',
      'POST /v3/OS-OAUTH1/request_token',
      'POST /v3/OS-OAUTH2/token',
      'POST /v3/auth/tokens',
      'POST /v3/users/:user_id/password',
      'PUT /v3/OS-OAUTH2/token',
    ]);
  });

  it('lets a member change nothing', async () => {
    const member = await cloud.projectToken('curious');
    const allowed = [
      '/v3/OS-TRUST/trusts',
      '/v3/credentials',
      '/v3/users/:user_id/password',
      '/v3/auth/tokens',
      // these look at the signature or the secret, not at a token
      '/v3/OS-OAUTH1/request_token',
      '/v3/OS-OAUTH1/access_token',
      '/v3/OS-OAUTH2/token',
    ];
    for (const operation of operations()) {
      if (operation.method === 'GET' || operation.method === 'HEAD') continue;
      if (allowed.includes(operation.path)) continue;
      const { status, text } = await send(operation, 'x', member, {});
      // Keystone looks for some things before it looks at the roles
      expect([403, 404], `${operation.method} ${operation.path}: ${text}`).toContain(status);
    }
  });

  it('answers any body and any id with a refusal in its own format or a success, never with a fault', async () => {
    const wild = fc.oneof(fc.jsonValue(), fc.constantFrom(null, '', 0, [], {}, { domain: null }, '\u0000'));
    const ids = fc.oneof(
      fc.constantFrom('x', 'default', 'admin', '%00', '%2e%2e', "'--", '%F0%9F%92%A9'),
      fc.uuid(),
    );
    const filters = fc.constantFrom(
      '',
      '?name=',
      '?name__contains=%',
      '?enabled=maybe',
      '?a[b]=c&a=1&a=2',
      '?effective',
    );
    // the same examples in every run
    for (const [seed, operation] of operations().entries()) {
      // a HEAD is the GET of the same path
      if (operation.method === 'HEAD') continue;
      // passwords are hashed at great cost: once is enough
      const runs = operation.path.endsWith('/password') ? 3 : 8;
      await fc.assert(
        fc.asyncProperty(ids, filters, wild, fc.boolean(), async (id, query, value, shaped) => {
          const body = shaped ? shape(operation.body as Schema | undefined, value) : value;
          const target = { ...operation, path: operation.path + query };
          const reply = await send(target, id, admin, operation.method === 'GET' ? undefined : body);
          expect(reply.status, reply.text).toBeLessThan(500);
          if (reply.status >= 400 && reply.json?.error) {
            // RFC 6749 has a format of its own, unless the body is refused before anybody looks into it
            const { error } = reply.json;
            const ofOauth = operation.path === '/v3/OS-OAUTH2/token' && typeof error === 'string';
            if (!ofOauth) expect(error.code).toBe(reply.status);
          }
        }),
        { numRuns: runs, seed },
      );
    }
  }, 300_000);
});

/** The value in the place of each property that the schema names, so that the envelope is right and the content is not. */
function shape(schema: Schema | undefined, value: unknown): unknown {
  const properties = schema?.properties as Record<string, Schema> | undefined;
  if (!properties) return value;
  return Object.fromEntries(Object.entries(properties).map(([name, inner]) => [name, shape(inner, value)]));
}
