import { type Kysely, sql } from 'kysely';

/** Creates the tables about who may speak for which state of the cloud: removed hosts, incarnations, orphans. */
export async function createAuthorityTables(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('removed_host')
    .addColumn('host_id', 'text', (c) => c.primaryKey())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('certificate_issue', 'bigint', (c) => c.notNull())
    .addColumn('lost', 'integer', (c) => c.notNull())
    .addColumn('removed_at', 'text', (c) => c.notNull())
    .execute();
  await db.schema.createIndex('removed_host_name').on('removed_host').column('name').execute();
  await db.schema
    .createTable('incarnation')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('reason', 'text', (c) => c.notNull())
    .addColumn('created_at', 'text', (c) => c.notNull())
    .execute();
  await db.schema
    .createTable('orphan')
    .addColumn('host_id', 'text', (c) => c.notNull())
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('first_seen', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('orphan_pk', ['host_id', 'kind', 'name'])
    .execute();
  await sql`
    insert into incarnation (id, reason, created_at)
    select value, 'this cloud was set up', ${new Date().toISOString()} from setting where name = 'incarnation'
  `.execute(db);
}
