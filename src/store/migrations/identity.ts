import { type Kysely, sql } from 'kysely';

/** Creates the tables of the identity service. */
export async function createIdentityTables(
  db: Kysely<unknown>,
  dialect: 'sqlite' | 'postgres',
): Promise<void> {
  await createSubjects(db);
  await createRoles(db);
  await createCatalog(db);
  await createTokenTables(db, dialect);
  await createDelegations(db);
}

async function createSubjects(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('project')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('domain_id', 'text', (c) => c.notNull())
    .addColumn('parent_id', 'text')
    .addColumn('is_domain', 'integer', (c) => c.notNull())
    .addColumn('enabled', 'integer', (c) => c.notNull())
    .addColumn('description', 'text', (c) => c.notNull())
    .addColumn('options', 'text', (c) => c.notNull())
    .addColumn('extra', 'text', (c) => c.notNull())
    .execute();
  await db.schema.createIndex('project_name').unique().on('project').columns(['domain_id', 'name']).execute();
  await db.schema.createIndex('project_parent').on('project').column('parent_id').execute();
  await db.schema
    .createTable('project_tag')
    .addColumn('project_id', 'text', (c) => c.notNull())
    .addColumn('name', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('project_tag_pk', ['project_id', 'name'])
    .execute();
  await db.schema
    .createTable('user')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('domain_id', 'text', (c) => c.notNull())
    .addColumn('enabled', 'integer', (c) => c.notNull())
    .addColumn('default_project_id', 'text')
    .addColumn('options', 'text', (c) => c.notNull())
    .addColumn('extra', 'text', (c) => c.notNull())
    .addColumn('password_hash', 'text')
    .addColumn('password_changed_at', 'text')
    .addColumn('password_expires_at', 'text')
    .addColumn('password_self_service', 'integer', (c) => c.notNull().defaultTo(0))
    .addColumn('created_at', 'text')
    .execute();
  await db.schema.createIndex('user_name').unique().on('user').columns(['domain_id', 'name']).execute();
  await db.schema
    .createTable('group')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('domain_id', 'text', (c) => c.notNull())
    .addColumn('description', 'text', (c) => c.notNull())
    .addColumn('extra', 'text', (c) => c.notNull())
    .execute();
  await db.schema.createIndex('group_name').unique().on('group').columns(['domain_id', 'name']).execute();
  await db.schema
    .createTable('group_member')
    .addColumn('group_id', 'text', (c) => c.notNull())
    .addColumn('user_id', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('group_member_pk', ['group_id', 'user_id'])
    .execute();
  await db.schema.createIndex('group_member_user').on('group_member').column('user_id').execute();
}

async function createRoles(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('role')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('domain_id', 'text', (c) => c.notNull())
    .addColumn('description', 'text')
    .addColumn('options', 'text', (c) => c.notNull())
    .addColumn('extra', 'text', (c) => c.notNull())
    .execute();
  await db.schema.createIndex('role_name').unique().on('role').columns(['domain_id', 'name']).execute();
  await db.schema
    .createTable('implied_role')
    .addColumn('prior_role_id', 'text', (c) => c.notNull())
    .addColumn('implied_role_id', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('implied_role_pk', ['prior_role_id', 'implied_role_id'])
    .execute();
  await db.schema
    .createTable('role_assignment')
    .addColumn('actor_type', 'text', (c) => c.notNull())
    .addColumn('actor_id', 'text', (c) => c.notNull())
    .addColumn('target_type', 'text', (c) => c.notNull())
    .addColumn('target_id', 'text', (c) => c.notNull())
    .addColumn('role_id', 'text', (c) => c.notNull())
    .addColumn('inherited', 'integer', (c) => c.notNull())
    .addPrimaryKeyConstraint('role_assignment_pk', [
      'actor_type',
      'actor_id',
      'target_type',
      'target_id',
      'role_id',
      'inherited',
    ])
    .execute();
  await db.schema
    .createIndex('role_assignment_target')
    .on('role_assignment')
    .columns(['target_type', 'target_id'])
    .execute();
  await db.schema.createIndex('role_assignment_role').on('role_assignment').column('role_id').execute();
}

async function createCatalog(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('region')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('description', 'text', (c) => c.notNull())
    .addColumn('parent_region_id', 'text')
    .addColumn('extra', 'text', (c) => c.notNull())
    .execute();
  await db.schema
    .createTable('service')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('type', 'text', (c) => c.notNull())
    .addColumn('name', 'text')
    .addColumn('description', 'text')
    .addColumn('enabled', 'integer', (c) => c.notNull())
    .addColumn('extra', 'text', (c) => c.notNull())
    .execute();
  await db.schema
    .createTable('endpoint')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('service_id', 'text', (c) => c.notNull())
    .addColumn('region_id', 'text')
    .addColumn('interface', 'text', (c) => c.notNull())
    .addColumn('url', 'text', (c) => c.notNull())
    .addColumn('enabled', 'integer', (c) => c.notNull())
    .addColumn('extra', 'text', (c) => c.notNull())
    .execute();
  await db.schema.createIndex('endpoint_service').on('endpoint').column('service_id').execute();
  await db.schema
    .createTable('endpoint_group')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('description', 'text')
    .addColumn('filters', 'text', (c) => c.notNull())
    .execute();
  await db.schema
    .createTable('project_endpoint')
    .addColumn('project_id', 'text', (c) => c.notNull())
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('target_id', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('project_endpoint_pk', ['project_id', 'kind', 'target_id'])
    .execute();
  await db.schema
    .createTable('policy')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('type', 'text', (c) => c.notNull())
    .addColumn('blob', 'text', (c) => c.notNull())
    .addColumn('extra', 'text', (c) => c.notNull())
    .execute();
}

async function createTokenTables(db: Kysely<unknown>, dialect: 'sqlite' | 'postgres'): Promise<void> {
  const revocation = db.schema.createTable('revocation');
  await (dialect === 'sqlite'
    ? revocation.addColumn('seq', 'integer', (c) => c.primaryKey().autoIncrement())
    : revocation.addColumn('seq', 'bigserial', (c) => c.primaryKey())
  )
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('subject', 'text', (c) => c.notNull())
    .addColumn('issued_until', 'text', (c) => c.notNull())
    .addColumn('expires_at', 'text', (c) => c.notNull())
    .execute();
  await db.schema.createIndex('revocation_subject').on('revocation').column('subject').execute();
  await db.schema
    .createTable('identity_epoch')
    .addColumn('id', 'integer', (c) => c.primaryKey())
    .addColumn('value', 'integer', (c) => c.notNull())
    .execute();
  await sql`insert into identity_epoch (id, value) values (1, 1)`.execute(db);
}

async function createDelegations(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('application_credential')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('user_id', 'text', (c) => c.notNull())
    .addColumn('project_id', 'text', (c) => c.notNull())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('description', 'text')
    .addColumn('secret_hash', 'text', (c) => c.notNull())
    .addColumn('roles', 'text', (c) => c.notNull())
    .addColumn('access_rules', 'text')
    .addColumn('unrestricted', 'integer', (c) => c.notNull())
    .addColumn('expires_at', 'text')
    .addColumn('created_at', 'text', (c) => c.notNull())
    .execute();
  await db.schema
    .createIndex('application_credential_name')
    .unique()
    .on('application_credential')
    .columns(['user_id', 'name'])
    .execute();
  await db.schema
    .createTable('access_rule')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('user_id', 'text', (c) => c.notNull())
    .addColumn('service', 'text', (c) => c.notNull())
    .addColumn('method', 'text', (c) => c.notNull())
    .addColumn('path', 'text', (c) => c.notNull())
    .execute();
  await db.schema
    .createIndex('access_rule_request')
    .unique()
    .on('access_rule')
    .columns(['user_id', 'service', 'method', 'path'])
    .execute();
  await db.schema
    .createTable('credential')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('user_id', 'text', (c) => c.notNull())
    .addColumn('project_id', 'text')
    .addColumn('type', 'text', (c) => c.notNull())
    .addColumn('blob', 'text', (c) => c.notNull())
    .execute();
  await db.schema.createIndex('credential_user').on('credential').column('user_id').execute();
  await db.schema
    .createTable('trust')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('trustor_user_id', 'text', (c) => c.notNull())
    .addColumn('trustee_user_id', 'text', (c) => c.notNull())
    .addColumn('project_id', 'text')
    .addColumn('impersonation', 'integer', (c) => c.notNull())
    .addColumn('roles', 'text', (c) => c.notNull())
    .addColumn('expires_at', 'text')
    .addColumn('remaining_uses', 'integer')
    .addColumn('redelegated_trust_id', 'text')
    .addColumn('redelegation_count', 'integer', (c) => c.notNull())
    .addColumn('deleted_at', 'text')
    .execute();
  await db.schema.createIndex('trust_trustor').on('trust').column('trustor_user_id').execute();
  await db.schema.createIndex('trust_trustee').on('trust').column('trustee_user_id').execute();
}
