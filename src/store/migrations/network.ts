import type { Kysely } from 'kysely';

/** Creates the tables of the network service. */
export async function createNetworkTables(_db: Kysely<unknown>): Promise<void> {}
