import type { Selectable } from 'kysely';
import type { Reader, Tx } from '../store.js';
import type { ApplicationCredentialTable } from '../tables/identity.js';
import { idRows } from './table.js';

export type ApplicationCredentialRow = Selectable<ApplicationCredentialTable>;

export const applicationCredentials = idRows('application_credential');

export async function findApplicationCredential(
  db: Reader,
  userId: string,
  name: string,
): Promise<ApplicationCredentialRow | undefined> {
  return await db
    .selectFrom('application_credential')
    .selectAll()
    .where('user_id', '=', userId)
    .where('name', '=', name)
    .executeTakeFirst();
}

/** Removes the credentials of a user, or those that a user has for one project. */
export async function removeApplicationCredentials(
  tx: Tx,
  of: { readonly user_id?: string; readonly project_id?: string },
): Promise<void> {
  let query = tx.deleteFrom('application_credential');
  if (of.user_id !== undefined) query = query.where('user_id', '=', of.user_id);
  if (of.project_id !== undefined) query = query.where('project_id', '=', of.project_id);
  await query.execute();
}
