import type { Kysely } from 'kysely';

/** Creates the tables about how users log in, and the configuration of domains. */
export async function createUserTables(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('user_login')
    .addColumn('user_id', 'text', (c) => c.primaryKey())
    .addColumn('failed_auth_count', 'integer', (c) => c.notNull().defaultTo(0))
    .addColumn('failed_auth_at', 'text')
    .addColumn('last_active_on', 'text')
    .execute();
  await db.schema
    .createTable('password_history')
    .addColumn('user_id', 'text', (c) => c.notNull())
    .addColumn('password_hash', 'text', (c) => c.notNull())
    .addColumn('replaced_at', 'text', (c) => c.notNull())
    .execute();
  await db.schema
    .createIndex('password_history_user')
    .on('password_history')
    .columns(['user_id', 'replaced_at'])
    .execute();
  await db.schema
    .createTable('totp_use')
    .addColumn('credential_id', 'text', (c) => c.primaryKey())
    .addColumn('user_id', 'text', (c) => c.notNull())
    .addColumn('step', 'bigint', (c) => c.notNull())
    .execute();
  await db.schema.createIndex('totp_use_user').on('totp_use').column('user_id').execute();
  await db.schema
    .createTable('domain_config')
    .addColumn('domain_id', 'text', (c) => c.notNull())
    .addColumn('group_name', 'text', (c) => c.notNull())
    .addColumn('option_name', 'text', (c) => c.notNull())
    .addColumn('value', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('domain_config_pk', ['domain_id', 'group_name', 'option_name'])
    .execute();
  await db.schema
    .createTable('domain_config_secret')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('domain_id', 'text', (c) => c.notNull())
    .addColumn('group_name', 'text', (c) => c.notNull())
    .addColumn('option_name', 'text', (c) => c.notNull())
    .addColumn('secret', 'text', (c) => c.notNull())
    .execute();
  await db.schema
    .createIndex('domain_config_secret_domain')
    .on('domain_config_secret')
    .column('domain_id')
    .execute();
}
