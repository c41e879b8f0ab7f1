import { type Kysely, sql } from 'kysely';

/** Creates the tables about hosts and what they report. */
export async function createHostTables(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('host')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('name', 'text', (c) => c.notNull().unique())
    .addColumn('enabled', 'integer', (c) => c.notNull().defaultTo(1))
    .addColumn('disabled_reason', 'text')
    .addColumn('observe_only', 'integer', (c) => c.notNull().defaultTo(0))
    .addColumn('agent_url', 'text', (c) => c.notNull())
    .addColumn('underlay_ip', 'text', (c) => c.notNull())
    .addColumn('boot_id', 'text')
    .addColumn('facts', 'text')
    .addColumn('usage', 'text')
    .addColumn('orphans', 'text')
    .addColumn('simulated', 'integer', (c) => c.notNull().defaultTo(0))
    .addColumn('sequence', 'integer', (c) => c.notNull().defaultTo(0))
    .addColumn('certificate_fingerprint', 'text')
    .addColumn('next_certificate_fingerprint', 'text')
    .addColumn('certificate_expires_at', 'text')
    .addColumn('certificate_issue', 'bigint')
    .addColumn('certificate_used_issue', 'bigint')
    .addColumn('certificate_authority', 'text')
    .addColumn('trusted_authorities', 'text')
    .addColumn('report_run', 'text')
    .addColumn('report_number', 'bigint')
    .addColumn('last_seen_at', 'text')
    .addColumn('created_at', 'text', (c) => c.notNull())
    .execute();
  await db.schema
    .createTable('join_token')
    .addColumn('hash', 'text', (c) => c.primaryKey())
    .addColumn('host_name', 'text')
    .addColumn('created_at', 'text', (c) => c.notNull())
    .addColumn('expires_at', 'text', (c) => c.notNull())
    .addColumn('used_at', 'text')
    .addColumn('used_by_key', 'text')
    .execute();
  await db.schema
    .createTable('object_report')
    .addColumn('host_id', 'text', (c) => c.notNull())
    .addColumn('object_key', 'text', (c) => c.notNull())
    .addColumn('revision', 'text')
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('error', 'text')
    .addColumn('observed', 'text')
    .addColumn('reported_at', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('object_report_pk', ['host_id', 'object_key'])
    .execute();
  await db.schema.createIndex('object_report_key').on('object_report').column('object_key').execute();
  await sql`create index object_report_error on object_report (host_id) where state = 'error'`.execute(db);
  await db.schema
    .createTable('host_physical_network')
    .addColumn('host_id', 'text', (c) => c.notNull())
    .addColumn('physical_network', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('host_physical_network_pk', ['host_id', 'physical_network'])
    .execute();
  await db.schema
    .createTable('tombstone')
    .addColumn('host_id', 'text', (c) => c.notNull())
    .addColumn('object_key', 'text', (c) => c.notNull())
    .addColumn('body', 'text', (c) => c.notNull())
    .addColumn('request_id', 'text')
    .addColumn('created_at', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('tombstone_pk', ['host_id', 'object_key'])
    .execute();
}
