import { Kysely, PostgresDialect, type PostgresPool, type PostgresPoolClient } from 'kysely';
import pg from 'pg';
import type { Database } from './database.js';
import { DatabaseUnavailable, isConnectionError } from './unavailable.js';

const CONNECT_TIMEOUT_MS = 5_000;
/** The server gives up first, so that what it says is known; ours is for a network that swallows everything. */
const STATEMENT_TIMEOUT_MS = 12_000;
const QUERY_TIMEOUT_MS = 15_000;
/** A process that was stopped in the middle of a transaction must not keep its locks. */
const IDLE_IN_TRANSACTION_MS = 10_000;
const MOST_CONNECTIONS = 20;

/**
 * A kysely database on a pool of connections. Whatever is wrong with a connection ends as DatabaseUnavailable within seconds, and
 * the next query makes a new one. `patient`: without limits on the time that a statement takes, for migrations.
 */
export function openPostgres(url: string, options: { readonly patient?: boolean } = {}): Kysely<Database> {
  // count() and bigserial are int8, which pg gives as text; ours stay far below 2^53
  const types = new pg.TypeOverrides();
  types.setTypeParser(20, Number);
  types.setTypeParser(1700, Number);
  const pool = new pg.Pool({
    connectionString: url,
    max: options.patient ? 2 : MOST_CONNECTIONS,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    types,
    ...(options.patient
      ? {}
      : {
          statement_timeout: STATEMENT_TIMEOUT_MS,
          query_timeout: QUERY_TIMEOUT_MS,
          idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
        }),
  });
  // a connection that breaks while nobody waits for an answer must not end the process
  pool.on('error', () => {});
  pool.on('connect', (client) => void client.on('error', () => {}));
  return new Kysely<Database>({ dialect: new PostgresDialect({ pool: guarded(pool) }) });
}

function guarded(pool: pg.Pool): PostgresPool {
  return {
    connect: async () => {
      try {
        return guardedClient(await pool.connect());
      } catch (error) {
        throw isConnectionError(error) ? new DatabaseUnavailable(error) : error;
      }
    },
    end: () => pool.end(),
  };
}

function guardedClient(client: pg.PoolClient): PostgresPoolClient {
  let broken = false;
  const query = async (text: string, values: readonly unknown[]) => {
    try {
      return await client.query(text, [...values]);
    } catch (error) {
      if (!isConnectionError(error)) throw error;
      broken = true;
      throw new DatabaseUnavailable(error);
    }
  };
  return {
    // cursors are not used
    query: query as unknown as PostgresPoolClient['query'],
    release: () => {
      // a farewell on a connection that hangs would wait for ever
      if (broken) (client as unknown as { connection: pg.Connection }).connection.stream.destroy();
      client.release(broken);
    },
  };
}
