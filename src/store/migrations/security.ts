import { type Kysely, sql } from 'kysely';

/**
 * Adds to revocations the number of identity's write that they came with, by which they are compared with tokens whatever clocks say (0:
 * by time, for those from before), and to audit records the id that a client gave to its request.
 */
export async function addSecurityColumns(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .alterTable('revocation')
    .addColumn('epoch', 'integer', (c) => c.notNull().defaultTo(0))
    .execute();
  await db.schema.alterTable('audit').addColumn('global_request_id', 'text').execute();
  await db.schema
    .createIndex('audit_global_request_id')
    .on('audit')
    .columns(['global_request_id', 'id'])
    .where(sql.ref('global_request_id'), 'is not', null)
    .execute();
}
