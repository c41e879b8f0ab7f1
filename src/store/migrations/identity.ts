import type { Kysely } from 'kysely';

/** Creates the tables of the identity service. */
export async function createIdentityTables(_db: Kysely<unknown>): Promise<void> {}
