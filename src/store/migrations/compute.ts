import { type CreateTableBuilder, type Kysely, sql } from 'kysely';
import { createServerRevisionTriggers } from './server-revision.js';
import { createRowTrigger } from './trigger.js';

/** Creates the tables of the compute service. */
export async function createComputeTables(
  db: Kysely<unknown>,
  dialect: 'sqlite' | 'postgres',
): Promise<void> {
  await createFlavorTables(db, dialect);
  await createServerTable(db, dialect);
  await createServerDetailTables(db);
  await createPlacementTables(db, dialect);
  await createHostGroupTables(db, dialect);
  await createServerRevisionTriggers(db, dialect);
}

async function createFlavorTables(db: Kysely<unknown>, dialect: 'sqlite' | 'postgres'): Promise<void> {
  await db.schema
    .createTable('flavor')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('name', 'text', (c) => c.notNull().unique())
    .addColumn('vcpus', 'integer', (c) => c.notNull())
    .addColumn('memory_mb', 'integer', (c) => c.notNull())
    .addColumn('root_gb', 'integer', (c) => c.notNull())
    .addColumn('ephemeral_gb', 'integer', (c) => c.notNull())
    .addColumn('swap_mb', 'integer', (c) => c.notNull())
    .addColumn('rxtx_factor', 'double precision', (c) => c.notNull())
    .addColumn('is_public', 'integer', (c) => c.notNull())
    .addColumn('description', 'text')
    .addColumn('extra_specs', 'text', (c) => c.notNull())
    .addColumn('created_at', 'text', (c) => c.notNull())
    .execute();
  await db.schema
    .createTable('flavor_access')
    .addColumn('flavor_id', 'text', (c) => c.notNull())
    .addColumn('project_id', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('flavor_access_pk', ['flavor_id', 'project_id'])
    .execute();
  await numbered(db.schema.createTable('keypair'), 'internal_id', dialect)
    .addColumn('user_id', 'text', (c) => c.notNull())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('type', 'text', (c) => c.notNull())
    .addColumn('public_key', 'text', (c) => c.notNull())
    .addColumn('fingerprint', 'text', (c) => c.notNull())
    .addColumn('created_at', 'text', (c) => c.notNull())
    .addUniqueConstraint('keypair_user_name', ['user_id', 'name'])
    .execute();
}

async function createServerTable(db: Kysely<unknown>, dialect: 'sqlite' | 'postgres'): Promise<void> {
  await numbered(db.schema.createTable('server'), 'internal_id', dialect)
    .addColumn('id', 'text', (c) => c.notNull().unique())
    .addColumn('project_id', 'text', (c) => c.notNull())
    .addColumn('user_id', 'text', (c) => c.notNull())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('description', 'text')
    .addColumn('hostname', 'text', (c) => c.notNull())
    .addColumn('reservation_id', 'text', (c) => c.notNull())
    .addColumn('launch_index', 'integer', (c) => c.notNull())
    .addColumn('availability_zone', 'text')
    .addColumn('image_id', 'text')
    .addColumn('image', 'text')
    .addColumn('flavor', 'text', (c) => c.notNull())
    .addColumn('flavor_id', 'text', (c) => c.notNull())
    .addColumn('vcpus', 'integer', (c) => c.notNull())
    .addColumn('memory_mb', 'integer', (c) => c.notNull())
    .addColumn('key_name', 'text')
    .addColumn('key', 'text')
    .addColumn('user_data', 'text')
    .addColumn('config_drive', 'integer', (c) => c.notNull())
    .addColumn('admin_pass', 'text')
    .addColumn('metadata', 'text', (c) => c.notNull())
    .addColumn('access_ip_v4', 'text')
    .addColumn('access_ip_v6', 'text')
    .addColumn('disk_config', 'text', (c) => c.notNull())
    .addColumn('hardware', 'text', (c) => c.notNull())
    .addColumn('host_id', 'text')
    .addColumn('run_epoch', 'integer', (c) => c.notNull())
    .addColumn('power', 'text', (c) => c.notNull())
    .addColumn('soft_reboots', 'integer', (c) => c.notNull())
    .addColumn('hard_reboots', 'integer', (c) => c.notNull())
    .addColumn('locked', 'integer', (c) => c.notNull())
    .addColumn('locked_by', 'text')
    .addColumn('locked_reason', 'text')
    .addColumn('delete_requested_at', 'text')
    .addColumn('task_state', 'text')
    .addColumn('task_request_id', 'text')
    .addColumn('build_attempts', 'integer', (c) => c.notNull())
    .addColumn('failed_hosts', 'text', (c) => c.notNull())
    .addColumn('placement', 'text')
    .addColumn('observed_power', 'text')
    .addColumn('launched_at', 'text')
    .addColumn('deleted_at', 'text')
    .addColumn('failed', 'integer', (c) => c.notNull())
    .addColumn('fault', 'text')
    .addColumn('vm_state', 'text', (c) => c.notNull())
    .addColumn('status', 'text', (c) => c.notNull())
    .addColumn('created_at', 'text', (c) => c.notNull())
    .addColumn('updated_at', 'text', (c) => c.notNull())
    .addColumn('revision', 'integer', (c) => c.notNull())
    .execute();
  // holds all that a quota is counted from
  await db.schema
    .createIndex('server_project')
    .on('server')
    .columns(['project_id', 'deleted_at', 'delete_requested_at', 'vcpus', 'memory_mb'])
    .execute();
  // pages of living servers, newest first: of everybody, of one project, of one status
  for (const [name, first] of [
    ['server_newest', ''],
    ['server_project_newest', 'project_id, '],
    ['server_status_newest', 'status, '],
  ]) {
    await sql
      .raw(
        `create index ${name} on server (${first}created_at desc, internal_id desc, id) where deleted_at is null`,
      )
      .execute(db);
  }
  await db.schema.createIndex('server_host').on('server').columns(['host_id', 'deleted_at']).execute();
}

async function createServerDetailTables(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('server_tag')
    .addColumn('server_id', 'text', (c) => c.notNull())
    .addColumn('tag', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('server_tag_pk', ['server_id', 'tag'])
    .execute();
  await db.schema
    .createTable('server_action')
    .addColumn('request_id', 'text', (c) => c.notNull())
    .addColumn('server_id', 'text', (c) => c.notNull())
    .addColumn('action', 'text', (c) => c.notNull())
    .addColumn('user_id', 'text', (c) => c.notNull())
    .addColumn('project_id', 'text', (c) => c.notNull())
    .addColumn('start_time', 'text', (c) => c.notNull())
    .addColumn('updated_at', 'text', (c) => c.notNull())
    .addColumn('finish_time', 'text')
    .addColumn('message', 'text')
    .addColumn('event', 'text', (c) => c.notNull())
    .addColumn('host', 'text')
    .addColumn('result', 'text')
    .addColumn('details', 'text')
    .addPrimaryKeyConstraint('server_action_pk', ['server_id', 'request_id'])
    .execute();
}

async function createPlacementTables(db: Kysely<unknown>, dialect: 'sqlite' | 'postgres'): Promise<void> {
  await db.schema
    .createTable('resource_provider')
    .addColumn('host_id', 'text', (c) => c.primaryKey())
    .addColumn('generation', 'integer', (c) => c.notNull())
    .addColumn('updated_at', 'text', (c) => c.notNull())
    .execute();
  await db.schema
    .createTable('inventory')
    .addColumn('host_id', 'text', (c) => c.notNull())
    .addColumn('resource_class', 'text', (c) => c.notNull())
    .addColumn('total', 'integer', (c) => c.notNull())
    .addColumn('reserved', 'integer', (c) => c.notNull())
    .addColumn('allocation_ratio', 'double precision', (c) => c.notNull())
    .addColumn('min_unit', 'integer', (c) => c.notNull())
    .addColumn('max_unit', 'integer', (c) => c.notNull())
    .addColumn('step_size', 'integer', (c) => c.notNull())
    .addColumn('capacity', 'integer', (c) => c.notNull())
    .addColumn('used', 'integer', (c) => c.notNull())
    .addPrimaryKeyConstraint('inventory_pk', ['host_id', 'resource_class'])
    .execute();
  // the scheduler asks for the hosts with most left
  await sql`create index inventory_free on inventory (resource_class, (capacity - used) desc, host_id)`.execute(
    db,
  );
  await db.schema
    .createTable('allocation')
    .addColumn('host_id', 'text', (c) => c.notNull())
    .addColumn('consumer_id', 'text', (c) => c.notNull())
    .addColumn('resource_class', 'text', (c) => c.notNull())
    .addColumn('used', 'integer', (c) => c.notNull())
    .addColumn('project_id', 'text', (c) => c.notNull())
    .addColumn('user_id', 'text', (c) => c.notNull())
    .addColumn('created_at', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('allocation_pk', ['host_id', 'consumer_id', 'resource_class'])
    .execute();
  await db.schema.createIndex('allocation_consumer').on('allocation').column('consumer_id').execute();
  await db.schema.createIndex('allocation_project').on('allocation').column('project_id').execute();
  await createUsedTriggers(db, dialect);
}

/** `inventory.used` follows the allocations, whoever writes them. */
async function createUsedTriggers(db: Kysely<unknown>, dialect: 'sqlite' | 'postgres'): Promise<void> {
  const add = (
    row: 'new' | 'old',
  ) => `update inventory set used = used ${row === 'new' ? '+' : '-'} ${row}.used
    where host_id = ${row}.host_id and resource_class = ${row}.resource_class;`;
  const updates = { insert: add('new'), delete: add('old'), update: `${add('old')} ${add('new')}` };
  for (const [event, update] of Object.entries(updates)) {
    await createRowTrigger(db, dialect, `allocation_used_${event}`, `after ${event} on allocation`, update);
  }
}

async function createHostGroupTables(db: Kysely<unknown>, dialect: 'sqlite' | 'postgres'): Promise<void> {
  await numbered(db.schema.createTable('aggregate'), 'id', dialect)
    .addColumn('uuid', 'text', (c) => c.notNull())
    .addColumn('name', 'text', (c) => c.notNull().unique())
    .addColumn('availability_zone', 'text')
    .addColumn('metadata', 'text', (c) => c.notNull())
    .addColumn('created_at', 'text', (c) => c.notNull())
    .addColumn('updated_at', 'text')
    .execute();
  await db.schema
    .createTable('aggregate_host')
    .addColumn('aggregate_id', 'integer', (c) => c.notNull())
    .addColumn('host_id', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('aggregate_host_pk', ['aggregate_id', 'host_id'])
    .execute();
  await db.schema
    .createTable('server_group')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('project_id', 'text', (c) => c.notNull())
    .addColumn('user_id', 'text', (c) => c.notNull())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('policy', 'text', (c) => c.notNull())
    .addColumn('rules', 'text', (c) => c.notNull())
    .addColumn('created_at', 'text', (c) => c.notNull())
    .execute();
  await db.schema
    .createTable('server_group_member')
    .addColumn('group_id', 'text', (c) => c.notNull())
    .addColumn('server_id', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('server_group_member_pk', ['group_id', 'server_id'])
    .execute();
  await numbered(db.schema.createTable('host_number'), 'number', dialect)
    .addColumn('host_id', 'text', (c) => c.notNull().unique())
    .addColumn('service_id', 'text', (c) => c.notNull())
    .addColumn('forced_down', 'integer', (c) => c.notNull())
    .execute();
}

/** Adds a primary key that the database counts up by itself. */
function numbered<T extends string, C extends string>(
  table: CreateTableBuilder<T, C>,
  column: string,
  dialect: 'sqlite' | 'postgres',
): CreateTableBuilder<T, C> {
  const withKey =
    dialect === 'sqlite'
      ? table.addColumn(column, 'integer', (c) => c.primaryKey().autoIncrement())
      : table.addColumn(column, 'bigserial', (c) => c.primaryKey());
  return withKey as CreateTableBuilder<T, C>;
}
