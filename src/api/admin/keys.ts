import type { App } from '../../core/app.js';
import type { Operation, OpRequest } from '../shared/operation.js';

const ADMIN = 'rule:context_is_admin';

/** The keys with which tokens are signed and credentials sealed: all controllers of a database have the same. */
export const keyOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/v1/keys',
    policy: { name: 'maru:key:list', rule: ADMIN },
    summary: 'List the keys of tokens and credentials: their ids and ages',
    status: 200,
    handler: async ({ app }) => ({ keys: await listKeys(app) }),
  },
  {
    method: 'POST',
    path: '/v1/keys/tokens/rotate',
    policy: { name: 'maru:key:rotate', rule: ADMIN },
    summary: 'Sign tokens with a new key',
    status: 200,
    body: {
      type: 'object',
      properties: { end_tokens: { type: 'boolean' } },
      additionalProperties: false,
    },
    async handler({ app, body }: OpRequest<{ end_tokens?: boolean }>) {
      const end = body.end_tokens === true;
      // said first: it is the rotation's transaction that carries the record
      app.audit.note({ target: { type: 'key', id: null, name: 'tokens' }, detail: { end_tokens: end } });
      await app.identity.tokens.rotateKeys({ end });
      return { keys: await noteMade(app, 'tokens') };
    },
  },
  {
    method: 'POST',
    path: '/v1/keys/credentials/rotate',
    policy: { name: 'maru:key:rotate', rule: ADMIN },
    summary: 'Seal credentials anew with a new key',
    status: 200,
    body: { type: 'object', properties: {}, additionalProperties: false },
    async handler({ app }) {
      app.audit.note({ target: { type: 'key', id: null, name: 'credentials' } });
      const sealed = await app.identity.sealing.rotate();
      app.audit.note({ detail: { sealed } });
      return { sealed, keys: await noteMade(app, 'credentials') };
    },
  },
];

/** Every key, the newest of a purpose being the one just made. */
async function noteMade(app: App, purpose: string) {
  const keys = await listKeys(app);
  const id = keys.find((key) => key.purpose === purpose && key.in_use)?.id ?? null;
  app.audit.note({ target: { id }, detail: { made: id } });
  return keys;
}

async function listKeys(app: App) {
  const view = (purpose: string) => (key: { id: string; createdAt: number }, i: number) => ({
    purpose,
    id: key.id,
    created_at: new Date(key.createdAt * 1000).toISOString(),
    in_use: i === 0,
  });
  return [
    ...(await app.identity.tokens.keys()).map(view('tokens')),
    ...(await app.identity.sealing.keys()).map(view('credentials')),
  ];
}
