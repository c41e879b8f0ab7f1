import type { Kysely } from 'kysely';

/** Creates the table of policy rules that administrators have set. */
export async function createPolicyTables(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('policy_override')
    .addColumn('name', 'text', (c) => c.primaryKey())
    .addColumn('rule', 'text', (c) => c.notNull())
    .addColumn('own', 'integer', (c) => c.notNull())
    .addColumn('updated_at', 'text', (c) => c.notNull())
    .addColumn('updated_by', 'text')
    .execute();
}
