import type { Kysely } from 'kysely';

/**
 * Pruning asks how many records of either kind each user has, and for the oldest of them: it reads this index alone, in its order,
 * and never the table.
 */
export async function indexAuditShares(db: Kysely<unknown>): Promise<void> {
  await db.schema.createIndex('audit_share').on('audit').columns(['user_id', 'changed', 'id']).execute();
  // what it replaces: each index costs every request that changes something
  await db.schema.dropIndex('audit_user_id').execute();
  await db.schema.dropIndex('audit_unchanged').execute();
}
