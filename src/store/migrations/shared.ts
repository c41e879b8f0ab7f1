import { type Kysely, sql } from 'kysely';

/** Creates the tables that every service uses. */
export async function createSharedTables(db: Kysely<unknown>, dialect: 'sqlite' | 'postgres'): Promise<void> {
  const change = db.schema.createTable('change');
  await (dialect === 'sqlite'
    ? change.addColumn('seq', 'integer', (c) => c.primaryKey().autoIncrement())
    : change
        .addColumn('seq', 'bigserial', (c) => c.primaryKey())
        // which transaction wrote it, for readers that have to know whether they have seen it
        .addColumn('xid', sql`xid8`, (c) => c.notNull().defaultTo(sql`pg_current_xact_id()`))
        .addColumn('recorded_at', 'timestamptz', (c) => c.notNull().defaultTo(sql`now()`))
  )
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('id', 'text', (c) => c.notNull())
    .addColumn('request_id', 'text')
    .execute();
  if (dialect === 'postgres') {
    await db.schema.createIndex('change_xid').on('change').column('xid').execute();
  }
  await db.schema
    .createTable('setting')
    .addColumn('name', 'text', (c) => c.primaryKey())
    .addColumn('value', 'text', (c) => c.notNull())
    .execute();
  await db.schema
    .createTable('quota')
    .addColumn('project_id', 'text', (c) => c.notNull())
    .addColumn('service', 'text', (c) => c.notNull())
    .addColumn('resource', 'text', (c) => c.notNull())
    .addColumn('hard_limit', 'integer', (c) => c.notNull())
    .addPrimaryKeyConstraint('quota_pk', ['project_id', 'service', 'resource'])
    .execute();
  await sql`insert into setting (name, value) values ('incarnation', ${crypto.randomUUID()})`.execute(db);
}
