import { type Kysely, sql } from 'kysely';

/** Creates the table of who did what. */
export async function createAuditTables(db: Kysely<unknown>): Promise<void> {
  let table = db.schema
    .createTable('audit')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('at', 'text', (c) => c.notNull())
    .addColumn('last_at', 'text', (c) => c.notNull())
    .addColumn('repeats', 'integer', (c) => c.notNull().defaultTo(1))
    .addColumn('service', 'text', (c) => c.notNull())
    .addColumn('action', 'text', (c) => c.notNull())
    .addColumn('outcome', 'text', (c) => c.notNull())
    .addColumn('changed', 'integer', (c) => c.notNull())
    .addColumn('status', 'integer');
  for (const column of OPTIONAL) table = table.addColumn(column, 'text');
  await table.execute();
  // what is pruned first
  await db.schema
    .createIndex('audit_unchanged')
    .on('audit')
    .column('id')
    .where(sql.ref('changed'), '=', 0)
    .execute();
  // what a thing was called
  await db.schema
    .createIndex('audit_target_name')
    .on('audit')
    .columns(['target_id', 'target_type', 'id'])
    .where(sql.ref('target_name'), 'is not', null)
    .execute();
  for (const column of ['user_id', 'project_id', 'target_project_id', 'request_id'] as const) {
    await db.schema.createIndex(`audit_${column}`).on('audit').columns([column, 'id']).execute();
  }
}

const OPTIONAL = [
  'reason',
  'method',
  'path',
  'request_id',
  'user_id',
  'user_name',
  'user_domain_id',
  'user_domain_name',
  'scope',
  'project_id',
  'project_name',
  'domain_id',
  'domain_name',
  'application_credential_id',
  'trust_id',
  'token_audit_id',
  'address',
  'target_type',
  'target_id',
  'target_name',
  'target_project_id',
  'detail',
] as const;
