import type { Kysely } from 'kysely';

/** Creates the table of what happened to objects. */
export async function createTrailTables(db: Kysely<unknown>, dialect: 'sqlite' | 'postgres'): Promise<void> {
  const trail = db.schema.createTable('trail');
  await (dialect === 'sqlite'
    ? trail.addColumn('seq', 'integer', (c) => c.primaryKey().autoIncrement())
    : trail.addColumn('seq', 'bigserial', (c) => c.primaryKey())
  )
    .addColumn('object_kind', 'text', (c) => c.notNull())
    .addColumn('object_id', 'text', (c) => c.notNull())
    .addColumn('at', 'text', (c) => c.notNull())
    .addColumn('what', 'text', (c) => c.notNull())
    .addColumn('detail', 'text', (c) => c.notNull())
    .addColumn('host_id', 'text')
    .addColumn('request_id', 'text')
    .addColumn('user_id', 'text')
    .addColumn('project_id', 'text')
    .execute();
  await db.schema
    .createIndex('trail_object')
    .on('trail')
    .columns(['object_kind', 'object_id', 'seq'])
    .execute();
  await db.schema.createIndex('trail_at').on('trail').column('at').execute();
}
