import type { Kysely } from 'kysely';

/** Creates the table of what others have changed on hosts. */
export async function createDriftTables(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('drift')
    .addColumn('host_id', 'text', (c) => c.notNull())
    .addColumn('object_key', 'text', (c) => c.notNull())
    .addColumn('first_seen', 'text', (c) => c.notNull())
    .addColumn('action', 'text', (c) => c.notNull())
    .addColumn('detail', 'text', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('healed_at', 'text')
    .addPrimaryKeyConstraint('drift_pk', ['host_id', 'object_key', 'first_seen', 'action'])
    .execute();
  await db.schema.createIndex('drift_state').on('drift').columns(['state', 'host_id']).execute();
}
