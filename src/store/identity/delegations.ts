import type { Selectable } from 'kysely';
import type { Reader, Tx } from '../store.js';
import type {
  AccessRuleTable,
  ApplicationCredentialTable,
  CredentialTable,
  TrustTable,
} from '../tables/identity.js';
import { listAssignments } from './roles.js';
import { idRows } from './table.js';

export type ApplicationCredentialRow = Selectable<ApplicationCredentialTable>;
export type AccessRuleRow = Selectable<AccessRuleTable>;
export type CredentialRow = Selectable<CredentialTable>;
export type TrustRow = Selectable<TrustTable>;

export const applicationCredentials = idRows('application_credential');
export const accessRules = idRows('access_rule');
export const credentials = idRows('credential');
export const trusts = idRows('trust');

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

/** Removes everything that a user has delegated or keeps as a secret, and what was delegated to the user. */
export async function removeDelegationsOfUser(tx: Tx, userId: string): Promise<void> {
  await tx.deleteFrom('application_credential').where('user_id', '=', userId).execute();
  await tx.deleteFrom('access_rule').where('user_id', '=', userId).execute();
  await tx.deleteFrom('credential').where('user_id', '=', userId).execute();
  await tx.deleteFrom('oauth_access_token').where('user_id', '=', userId).execute();
  await tx.deleteFrom('oauth_request_token').where('user_id', '=', userId).execute();
  await tx
    .deleteFrom('trust')
    .where((eb) => eb.or([eb('trustor_user_id', '=', userId), eb('trustee_user_id', '=', userId)]))
    .execute();
}

/** Removes the application credentials of a user in a project; returns how many there were. */
export async function removeApplicationCredentials(
  tx: Tx,
  userId: string,
  projectId: string,
): Promise<number> {
  const result = await tx
    .deleteFrom('application_credential')
    .where('user_id', '=', userId)
    .where('project_id', '=', projectId)
    .executeTakeFirst();
  return Number(result.numDeletedRows);
}

/** Removes the application credentials of users in projects on which they have the role, which is about to go. */
export async function removeApplicationCredentialsByRole(tx: Tx, roleId: string): Promise<void> {
  const grants = await listAssignments(tx, { role_id: roleId, actor_type: 'user', target_type: 'project' });
  for (const grant of grants) {
    if (!grant.inherited) await removeApplicationCredentials(tx, grant.actor_id, grant.target_id);
  }
}

/** Removes what was delegated in a project. */
export async function removeDelegationsInProject(tx: Tx, projectId: string): Promise<void> {
  await tx.deleteFrom('application_credential').where('project_id', '=', projectId).execute();
  await tx.deleteFrom('credential').where('project_id', '=', projectId).execute();
  await tx.deleteFrom('oauth_access_token').where('project_id', '=', projectId).execute();
  await tx.deleteFrom('oauth_request_token').where('project_id', '=', projectId).execute();
  await tx.deleteFrom('trust').where('project_id', '=', projectId).execute();
}

/** Takes one of a trust's remaining uses; false when none is left. */
export async function useTrust(tx: Tx, id: string): Promise<boolean> {
  const result = await tx
    .updateTable('trust')
    .set((eb) => ({ remaining_uses: eb('remaining_uses', '-', 1) }))
    .where('id', '=', id)
    .where('remaining_uses', '>', 0)
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

/** Tables of what users make for themselves. */
export type OwnedTable = 'credential' | 'application_credential' | 'trust';

/** How many of them a user has; of trusts those that were not deleted. */
export async function countOfUser(db: Reader, table: OwnedTable, userId: string): Promise<number> {
  const { found } =
    table === 'trust'
      ? await db
          .selectFrom('trust')
          .select((eb) => eb.fn.countAll().as('found'))
          .where('trustor_user_id', '=', userId)
          .where('deleted_at', 'is', null)
          .executeTakeFirstOrThrow()
      : await db
          .selectFrom(table)
          .select((eb) => eb.fn.countAll().as('found'))
          .where('user_id', '=', userId)
          .executeTakeFirstOrThrow();
  return Number(found);
}

/** Removes the access rules of a user that no application credential uses. */
export async function removeUnusedAccessRules(tx: Tx, userId: string): Promise<void> {
  const rows = await applicationCredentials.list(tx, { user_id: userId });
  const used = new Set(rows.flatMap((row) => JSON.parse(row.access_rules ?? '[]') as string[]));
  for (const { id } of await accessRules.list(tx, { user_id: userId })) {
    if (!used.has(id)) await accessRules.remove(tx, id);
  }
}

/** Forgets which passcodes of a credential were used; for when it goes. */
export async function removeTotpUse(tx: Tx, credentialId: string): Promise<void> {
  await tx.deleteFrom('totp_use').where('credential_id', '=', credentialId).execute();
}
