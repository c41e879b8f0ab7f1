import {
  countKeypairs,
  deleteKeypairRow,
  findKeypair,
  insertKeypair,
  type KeypairRow,
} from '../../store/compute/keypair.js';
import { nowText, type Reader } from '../../store/store.js';
import type { App } from '../app.js';
import type { Context } from '../context.js';
import { badRequest, conflict, type MaruError, notFound, overQuota } from '../errors.js';
import { COMPUTE_QUOTAS } from '../quota/compute.js';
import { checkQuota } from '../quota/quota.js';
import { generateSshKey, type KeyType, parsePublicKey } from './key.js';

export interface NewKeypair {
  readonly userId: string;
  readonly name: string;
  readonly type: KeyType;
  /** Null: make one. */
  readonly public_key: string | null;
}

/** Imports or makes a key pair; the private key of a made one is in the result and nowhere else. */
export async function createKeypair(
  app: App,
  ctx: Context,
  input: NewKeypair,
): Promise<{ keypair: KeypairRow; private_key: string | null }> {
  const { userId, name, type } = input;
  if (input.public_key === null && type !== 'ssh') {
    throw badRequest(`Key pairs of type ${type} have to be imported: give a public_key.`);
  }
  const key = input.public_key === null ? await generateSshKey() : parsePublicKey(type, input.public_key);
  const keypair = await app.store.tx(async (tx) => {
    await app.store.lockFamily(tx, userId, 'keypair');
    if (await findKeypair(tx, userId, name)) throw conflict(`Key pair '${name}' already exists.`);
    await checkQuota(tx, app.store, {
      projectId: ctx.projectId,
      service: 'compute',
      resource: 'key_pairs',
      used: () => countKeypairs(tx, userId),
      adding: 1,
      fallback: COMPUTE_QUOTAS.key_pairs,
      refuse: () => overQuota('Quota exceeded, too many key pairs.', { status: 403 }),
    });
    const { public_key, fingerprint } = key;
    return await insertKeypair(tx, {
      user_id: userId,
      name,
      type,
      public_key,
      fingerprint,
      created_at: nowText(),
    });
  });
  return { keypair, private_key: 'private_key' in key ? (key.private_key as string) : null };
}

export async function getKeypair(db: Reader, userId: string, name: string): Promise<KeypairRow> {
  const keypair = await findKeypair(db, userId, name);
  if (!keypair) throw keypairNotFound(userId, name);
  return keypair;
}

/** Removes a key pair; servers that were made with it keep their copy. */
export async function deleteKeypair(app: App, userId: string, name: string): Promise<void> {
  await app.store.tx(async (tx) => {
    if (!(await deleteKeypairRow(tx, userId, name))) throw keypairNotFound(userId, name);
  });
}

function keypairNotFound(userId: string, name: string): MaruError {
  return notFound(`Keypair ${name} not found for user ${userId}`);
}
