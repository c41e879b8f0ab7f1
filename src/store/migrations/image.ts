import type { Kysely } from 'kysely';

/** Creates the tables of the image service. */
export async function createImageTables(_db: Kysely<unknown>): Promise<void> {}
