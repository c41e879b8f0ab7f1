import type { Kysely } from 'kysely';

/** Creates the tables of the compute service. */
export async function createComputeTables(_db: Kysely<unknown>): Promise<void> {}
