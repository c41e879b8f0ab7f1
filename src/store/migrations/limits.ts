import type { Kysely } from 'kysely';

/** Creates the tables of unified limits: what a resource is limited to by default, and for one project or domain. */
export async function createLimitTables(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('registered_limit')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('service_id', 'text', (c) => c.notNull())
    .addColumn('region_id', 'text', (c) => c.notNull())
    .addColumn('resource_name', 'text', (c) => c.notNull())
    .addColumn('default_limit', 'integer', (c) => c.notNull())
    .addColumn('description', 'text')
    .execute();
  await db.schema
    .createIndex('registered_limit_resource')
    .unique()
    .on('registered_limit')
    .columns(['service_id', 'region_id', 'resource_name'])
    .execute();
  await db.schema
    .createTable('project_limit')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('registered_limit_id', 'text', (c) => c.notNull())
    .addColumn('project_id', 'text', (c) => c.notNull())
    .addColumn('domain_id', 'text', (c) => c.notNull())
    .addColumn('resource_limit', 'integer', (c) => c.notNull())
    .addColumn('description', 'text')
    .execute();
  await db.schema
    .createIndex('project_limit_owner')
    .unique()
    .on('project_limit')
    .columns(['project_id', 'domain_id', 'registered_limit_id'])
    .execute();
  await db.schema
    .createIndex('project_limit_registered')
    .on('project_limit')
    .column('registered_limit_id')
    .execute();
}
