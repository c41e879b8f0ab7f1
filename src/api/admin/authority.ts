import type { Operation } from '../shared/operation.js';

const ADMIN = 'rule:context_is_admin';
const NOTHING = { type: 'object', properties: {}, additionalProperties: false };

/** The certificate authorities, and replacing them. */
export const authorityOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/v1/ca',
    policy: { name: 'maru:ca:show', rule: ADMIN },
    summary: 'Show the certificate authorities and how far each host is',
    status: 200,
    handler: async ({ app }) => ({ ca: await app.hosts.authority.status() }),
  },
  {
    method: 'POST',
    path: '/v1/ca/rotate',
    policy: { name: 'maru:ca:rotate', rule: ADMIN },
    summary: 'Begin to replace the certificate authority',
    status: 202,
    body: NOTHING,
    handler: async ({ app }) => ({ ca: await app.hosts.authority.rotate() }),
  },
  {
    method: 'POST',
    path: '/v1/ca/abort',
    policy: { name: 'maru:ca:abort', rule: ADMIN },
    summary: 'Turn the replacement of the certificate authority back',
    status: 202,
    body: NOTHING,
    handler: async ({ app }) => ({ ca: await app.hosts.authority.abort() }),
  },
  {
    method: 'POST',
    path: '/v1/ca/finish',
    policy: { name: 'maru:ca:finish', rule: ADMIN },
    summary: 'End the trust in the replaced certificate authority',
    status: 200,
    body: {
      type: 'object',
      properties: { force: { type: 'boolean' } },
      additionalProperties: false,
    },
    handler: async ({ app, body }) => ({ ca: await app.hosts.authority.finish(body.force === true) }),
  },
];
