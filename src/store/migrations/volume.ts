import { randomUUID } from 'node:crypto';
import { type Kysely, sql } from 'kysely';

/** Creates the tables of the volume service, with the type that volumes have unless another is asked for. */
export async function createVolumeTables(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('volume')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('project_id', 'text', (c) => c.notNull())
    .addColumn('user_id', 'text', (c) => c.notNull())
    .addColumn('name', 'text')
    .addColumn('description', 'text')
    .addColumn('size_gb', 'integer', (c) => c.notNull())
    .addColumn('volume_type_id', 'text', (c) => c.notNull())
    .addColumn('availability_zone', 'text', (c) => c.notNull())
    .addColumn('metadata', 'text', (c) => c.notNull())
    .addColumn('multiattach', 'integer', (c) => c.notNull())
    .addColumn('host_id', 'text')
    .addColumn('image', 'text')
    .addColumn('image_metadata', 'text')
    .addColumn('bootable', 'integer', (c) => c.notNull())
    .addColumn('status', 'text', (c) => c.notNull())
    .addColumn('fault', 'text')
    .addColumn('placement', 'text')
    .addColumn('delete_requested_at', 'text')
    .addColumn('created_at', 'text', (c) => c.notNull())
    .addColumn('updated_at', 'text')
    .execute();
  await db.schema.createIndex('volume_project').on('volume').columns(['project_id', 'created_at']).execute();
  await db.schema.createIndex('volume_host').on('volume').column('host_id').execute();
  await db.schema
    .createTable('volume_type')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('name', 'text', (c) => c.notNull().unique())
    .addColumn('description', 'text')
    .addColumn('is_public', 'integer', (c) => c.notNull())
    .addColumn('extra_specs', 'text', (c) => c.notNull())
    .addColumn('created_at', 'text', (c) => c.notNull())
    .execute();
  const at = new Date().toISOString();
  await sql`insert into volume_type (id, name, description, is_public, extra_specs, created_at)
    values (${randomUUID()}, '__DEFAULT__', 'Default Volume Type', 1, '{}', ${at})`.execute(db);
}
