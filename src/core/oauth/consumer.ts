import { randomBytes } from 'node:crypto';
import { type ConsumerRow, consumers, removeTokensOfConsumer } from '../../store/identity/oauth.js';
import type { App } from '../app.js';
import { badRequest } from '../errors.js';
import { extraOf, mustGet, newId } from '../identity/rows.js';

/** What clients may set on a consumer. */
export interface ConsumerBody {
  readonly description?: string | null;
  readonly [extra: string]: unknown;
}

const KNOWN = ['id', 'secret', 'description'];

/** Makes a consumer. Its secret is in the result and shown nowhere else. */
export async function createConsumer(
  app: App,
  body: ConsumerBody,
): Promise<{ readonly row: ConsumerRow; readonly secret: string }> {
  const id = newId();
  const secret = randomBytes(16).toString('hex');
  const row: ConsumerRow = {
    id,
    description: body.description ?? null,
    secret: await app.identity.sealing.seal(secret, id),
    extra: extraOf(body, KNOWN),
  };
  await app.store.tx((tx) => consumers.insert(tx, row));
  return { row, secret };
}

export async function updateConsumer(app: App, id: string, body: ConsumerBody): Promise<ConsumerRow> {
  if ('secret' in body) throw badRequest('The secret of a consumer cannot be changed.');
  if (body.id !== undefined && body.id !== id) throw badRequest('Cannot change consumer ID');
  if (Object.keys(body).length === 0) throw badRequest('{} does not have enough properties');
  return await app.identity.write(async (tx) => {
    const row = await mustGet(consumers, tx, id, 'consumer');
    const changed: ConsumerRow = {
      ...row,
      description: body.description === undefined ? row.description : body.description,
      extra: extraOf(body, KNOWN, row.extra),
    };
    await consumers.update(tx, id, changed);
    return changed;
  });
}

/** Deletes a consumer with its request and access tokens, and ends the tokens that it got by them. */
export async function deleteConsumer(app: App, id: string): Promise<void> {
  await app.identity.write(async (tx) => {
    await mustGet(consumers, tx, id, 'consumer');
    await removeTokensOfConsumer(tx, id);
    await consumers.remove(tx, id);
  });
}
