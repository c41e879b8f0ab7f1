import type { Kysely } from 'kysely';

/** Creates the tables by which several controllers share the hosts. */
export async function createControllerTables(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('controller')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('address', 'text', (c) => c.notNull())
    .addColumn('started_at', 'bigint', (c) => c.notNull())
    .addColumn('heard_at', 'bigint', (c) => c.notNull())
    .addColumn('lease_until', 'bigint', (c) => c.notNull())
    .addColumn('isolated', 'integer', (c) => c.notNull().defaultTo(0))
    .execute();
  await db.schema
    .createTable('host_delivery')
    .addColumn('host_id', 'text', (c) => c.primaryKey())
    .addColumn('controller_id', 'text')
    .addColumn('epoch', 'bigint', (c) => c.notNull().defaultTo(0))
    .addColumn('fault', 'text')
    .addColumn('failing_since', 'bigint')
    .addColumn('removal_confirmed', 'integer', (c) => c.notNull().defaultTo(0))
    .execute();
  await db.schema
    .createIndex('host_delivery_controller')
    .on('host_delivery')
    .column('controller_id')
    .execute();
  await db.schema
    .createTable('host_contact')
    .addColumn('host_id', 'text', (c) => c.primaryKey())
    .addColumn('controller_id', 'text', (c) => c.notNull())
    .addColumn('contact_at', 'bigint', (c) => c.notNull())
    .addColumn('incarnation', 'text')
    .addColumn('digest', 'text')
    .execute();
}
