import { badRequest } from '../../core/errors.js';
import type { KeyType } from '../../core/keypair/key.js';
import { createKeypair, deleteKeypair, getKeypair } from '../../core/keypair/keypair.js';
import { findKeypair, type KeypairRow, listKeypairs } from '../../store/compute/keypair.js';
import { atLeast } from '../shared/microversion.js';
import { type Operation, OpReply, type OpRequest, type Schema } from '../shared/operation.js';
import { lastValue } from '../shared/query.js';
import { inWholeMicroseconds } from '../shared/times.js';
import { MAX_LIMIT, nextLinks, readPage } from './paging.js';
import { OWN_USER, policy } from './policy.js';
import { envelope, object } from './schemas.js';

const NAME: Schema = { type: 'string', minLength: 1, maxLength: 255 };
const KEY: Schema = { type: 'string' };
const TYPE: Schema = { type: 'string', enum: ['ssh', 'x509'] };

interface KeypairBody {
  keypair: { name: string; type?: KeyType; public_key?: string; user_id?: string };
}

/** Key pairs of users. */
export const keypairOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/v2.1/os-keypairs',
    policy: policy('os-keypairs:index', OWN_USER),
    summary: 'List key pairs',
    target,
    status: 200,
    handler: list,
  },
  {
    method: 'POST',
    path: '/v2.1/os-keypairs',
    policy: policy('os-keypairs:create', OWN_USER),
    summary: 'Create or import a key pair',
    body: [
      ['2.1', envelope('keypair', object({ name: NAME, public_key: KEY }, ['name']))],
      ['2.2', envelope('keypair', object({ name: NAME, type: TYPE, public_key: KEY }, ['name']))],
      [
        '2.10',
        envelope('keypair', object({ name: NAME, type: TYPE, public_key: KEY, user_id: KEY }, ['name'])),
      ],
      [
        '2.92',
        envelope(
          'keypair',
          object({ name: NAME, type: TYPE, public_key: KEY, user_id: KEY }, ['name', 'public_key']),
        ),
      ],
    ],
    status: 200,
    handler: create,
  },
  {
    method: 'GET',
    path: '/v2.1/os-keypairs/:name',
    policy: policy('os-keypairs:show', OWN_USER),
    summary: 'Show a key pair',
    target,
    status: 200,
    handler: async (request) => {
      const row = await getKeypair(request.app.store.read, userOf(request), request.params.name!);
      return {
        keypair: {
          ...show(request, row),
          user_id: row.user_id,
          id: row.internal_id,
          created_at: inWholeMicroseconds(row.created_at),
          deleted: false,
          deleted_at: null,
          updated_at: null,
        },
      };
    },
  },
  {
    method: 'DELETE',
    path: '/v2.1/os-keypairs/:name',
    policy: policy('os-keypairs:delete', OWN_USER),
    summary: 'Delete a key pair',
    target,
    status: 202,
    handler: async (request) => {
      await deleteKeypair(request.app, userOf(request), request.params.name!);
      return new OpReply(atLeast(request.version, '2.2') ? 204 : 202);
    },
  },
];

async function list(request: OpRequest) {
  const db = request.app.store.read;
  const userId = userOf(request);
  const paged = atLeast(request.version, '2.35');
  const page = paged ? readPage(request.query) : { limit: MAX_LIMIT, marker: null };
  if (page.marker !== null && !(await findKeypair(db, userId, page.marker))) {
    throw badRequest(`marker [${page.marker}] not found`);
  }
  const rows = await listKeypairs(db, userId, { ...page, limit: page.limit + 1 });
  const shown = rows.slice(0, page.limit);
  const links = paged
    ? nextLinks(request, '/os-keypairs', rows.length > page.limit, shown.at(-1)?.name)
    : undefined;
  return {
    keypairs: shown.map((row) => ({ keypair: show(request, row) })),
    ...(links ? { keypairs_links: links } : {}),
  };
}

async function create(request: OpRequest<KeypairBody>) {
  const { app, ctx, version, body } = request;
  const { name, type, public_key, user_id } = body.keypair;
  checkName(name, atLeast(version, '2.92') ? '@._- ' : '_- ');
  const userId = user_id ?? ctx.userId;
  if (userId !== ctx.userId) ctx.authorize('os_compute_api:os-keypairs:create', { user_id: userId });
  const { keypair, private_key } = await createKeypair(app, ctx, {
    userId,
    name,
    type: type ?? 'ssh',
    public_key: public_key ?? null,
  });
  const shown = {
    ...show(request, keypair),
    ...(private_key === null ? {} : { private_key }),
    user_id: keypair.user_id,
  };
  return new OpReply(atLeast(version, '2.2') ? 201 : 200, { keypair: shown });
}

function show(request: OpRequest, row: KeypairRow): Record<string, unknown> {
  return {
    name: row.name,
    public_key: row.public_key,
    fingerprint: row.fingerprint,
    ...(atLeast(request.version, '2.2') ? { type: row.type } : {}),
  };
}

/** Whose key pairs are meant: administrators may name another user from 2.10 on. */
function userOf({ ctx, version, query }: OpRequest): string {
  return (atLeast(version, '2.10') ? lastValue(query.user_id) : undefined) ?? ctx.userId;
}

function target(request: OpRequest) {
  return { user_id: userOf(request) };
}

const ALPHANUMERIC = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';

function checkName(name: string, special: string): void {
  const allowed = special + ALPHANUMERIC;
  if ([...name].every((c) => allowed.includes(c)) && name.trim() === name) return;
  throw badRequest(
    `An invalid 'name' value was provided. The name must be: Only expected characters: [${allowed}]`,
  );
}
