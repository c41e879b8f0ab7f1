import { type Kysely, sql } from 'kysely';

/** Creates the table of durable work. */
export async function createTaskTables(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('task')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('object_kind', 'text', (c) => c.notNull())
    .addColumn('object_id', 'text', (c) => c.notNull())
    .addColumn('project_id', 'text')
    .addColumn('request_id', 'text')
    .addColumn('step', 'text', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('payload', 'text', (c) => c.notNull())
    .addColumn('taken', 'text', (c) => c.notNull())
    .addColumn('attempts', 'integer', (c) => c.notNull())
    .addColumn('next_run_at', 'text')
    .addColumn('deadline', 'text')
    .addColumn('waiting_for', 'text')
    .addColumn('cancel_requested', 'integer', (c) => c.notNull())
    .addColumn('wakes', 'integer', (c) => c.notNull())
    .addColumn('lease_owner', 'text')
    .addColumn('lease_until', 'text')
    .addColumn('fence', 'integer', (c) => c.notNull())
    .addColumn('error', 'text')
    .addColumn('created_at', 'text', (c) => c.notNull())
    .addColumn('updated_at', 'text', (c) => c.notNull())
    .addColumn('finished_at', 'text')
    .execute();
  await sql`create unique index task_of_object on task (object_kind, object_id) where finished_at is null`.execute(
    db,
  );
  await sql`create index task_due on task (next_run_at) where finished_at is null`.execute(db);
  await db.schema.createIndex('task_object').on('task').columns(['object_kind', 'object_id']).execute();
  await db.schema.createIndex('tombstone_object').on('tombstone').column('object_key').execute();
  await db.schema.createIndex('task_finished').on('task').column('finished_at').execute();
}
