import type { Kysely } from 'kysely';

/** Creates the tables of OAuth 1.0a, policy associations and the identity service's keys. */
export async function createDelegationTables(db: Kysely<unknown>): Promise<void> {
  await createOauth(db);
  await db.schema
    .createTable('policy_association')
    .addColumn('policy_id', 'text', (c) => c.notNull())
    .addColumn('endpoint_id', 'text', (c) => c.notNull())
    .addColumn('service_id', 'text', (c) => c.notNull())
    .addColumn('region_id', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('policy_association_pk', ['endpoint_id', 'service_id', 'region_id'])
    .execute();
  await db.schema
    .createIndex('policy_association_policy')
    .on('policy_association')
    .column('policy_id')
    .execute();
  await db.schema
    .createTable('identity_key')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('purpose', 'text', (c) => c.notNull())
    .addColumn('secret', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .execute();
}

async function createOauth(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('oauth_consumer')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('description', 'text')
    .addColumn('secret', 'text', (c) => c.notNull())
    .addColumn('extra', 'text', (c) => c.notNull())
    .execute();
  await db.schema
    .createTable('oauth_request_token')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('consumer_id', 'text', (c) => c.notNull())
    .addColumn('project_id', 'text', (c) => c.notNull())
    .addColumn('secret', 'text', (c) => c.notNull())
    .addColumn('user_id', 'text')
    .addColumn('verifier', 'text')
    .addColumn('roles', 'text')
    .addColumn('expires_at', 'text')
    .execute();
  await db.schema
    .createTable('oauth_access_token')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('consumer_id', 'text', (c) => c.notNull())
    .addColumn('project_id', 'text', (c) => c.notNull())
    .addColumn('secret', 'text', (c) => c.notNull())
    .addColumn('user_id', 'text', (c) => c.notNull())
    .addColumn('roles', 'text', (c) => c.notNull())
    .addColumn('expires_at', 'text')
    .execute();
  await db.schema.createIndex('oauth_access_token_user').on('oauth_access_token').column('user_id').execute();
  await db.schema
    .createTable('oauth_nonce')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('expires_at', 'text', (c) => c.notNull())
    .execute();
}
