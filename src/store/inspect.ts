import { existsSync, openSync, readFileSync, readSync, statSync } from 'node:fs';
import SqliteDatabase from 'better-sqlite3';
import pg from 'pg';
import { knownMigrations } from './migrate.js';

/** What can be said of a database without using it. */
export interface DatabaseState {
  readonly kind: 'sqlite' | 'postgres';
  /** File, or URL without its password. */
  readonly where: string;
  /** Why it cannot be used; null: nothing stands in the way. */
  readonly problem: string | null;
  /** Migrations that this release does not know. */
  readonly newer: readonly string[];
  readonly bytes: number | null;
}

const CONNECT_MS = 4_000;
/** A larger file of a controller that does not run is not read into memory. */
const MOST_READ = 1024 ** 3;

/** Looks at a database, also at one whose controller does not run: nothing is written, made or locked. */
export async function inspectDatabase(url: string): Promise<DatabaseState> {
  if (url.startsWith('sqlite:')) return inspectSqlite(url.slice('sqlite:'.length));
  return await inspectPostgres(url);
}

/** A database's URL as it may be shown. */
export function withoutPassword(url: string): string {
  return url.replace(/(:\/\/[^/@:]*):[^@]*@/, '$1:***@').replace(/([?&]password=)[^&]*/, '$1***');
}

function inspectSqlite(file: string): DatabaseState {
  const state = { kind: 'sqlite', where: file } as const;
  if (!existsSync(file)) return { ...state, problem: null, newer: [], bytes: null };
  const bytes = statSync(file).size;
  try {
    if (bytes === 0) return { ...state, problem: 'the file is empty', newer: [], bytes };
    const db = openUntouched(file, bytes);
    if (!db) return { ...state, problem: null, newer: [], bytes };
    try {
      const rows = db.prepare('select name from kysely_migration').all() as { name: string }[];
      const newer = unknownOf(rows.map(({ name }) => name));
      return { ...state, problem: null, newer, bytes };
    } finally {
      db.close();
    }
  } catch (error) {
    return { ...state, problem: (error as Error).message, newer: [], bytes };
  }
}

/**
 * With its controller running, a second reader. Without, opening the file would make files beside it that belong to whoever looks:
 * so it is read into memory. Null: too large for that.
 */
function openUntouched(file: string, bytes: number): SqliteDatabase.Database | null {
  if (existsSync(`${file}-shm`)) return new SqliteDatabase(file, { readonly: true, fileMustExist: true });
  if (bytes > MOST_READ) {
    const head = Buffer.alloc(16);
    readSync(openSync(file, 'r'), head, 0, 16, 0);
    if (head.toString('latin1') !== 'SQLite format 3\0') throw new Error('file is not a database');
    return null;
  }
  const image = readFileSync(file);
  // a database in memory has no write-ahead log
  if (image.length > 20 && image[18] === 2) image.fill(1, 18, 20);
  return new SqliteDatabase(image);
}

async function inspectPostgres(url: string): Promise<DatabaseState> {
  const state = { kind: 'postgres', where: withoutPassword(url) } as const;
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: CONNECT_MS });
  client.on('error', () => {});
  try {
    await client.connect();
    await client.query(`set statement_timeout = ${CONNECT_MS}`);
    const standby = await client.query('select pg_is_in_recovery() as standby');
    const { rows: sizes } = await client.query(
      'select pg_database_size(current_database())::float8 as bytes',
    );
    const bytes = (sizes[0] as { bytes: number }).bytes;
    if ((standby.rows[0] as { standby: boolean }).standby) {
      const problem = 'the server is a standby: it takes no changes';
      return { ...state, problem, newer: [], bytes };
    }
    const there = await client.query(`select to_regclass('kysely_migration') is not null as there`);
    if (!(there.rows[0] as { there: boolean }).there) return { ...state, problem: null, newer: [], bytes };
    const { rows } = await client.query('select name from kysely_migration');
    const newer = unknownOf((rows as { name: string }[]).map(({ name }) => name));
    return { ...state, problem: null, newer, bytes };
  } catch (error) {
    const reason = (error as Error).message || (error as NodeJS.ErrnoException).code || String(error);
    return { ...state, problem: reason, newer: [], bytes: null };
  } finally {
    await client.end().catch(() => {});
  }
}

function unknownOf(applied: readonly string[]): string[] {
  const known = new Set(knownMigrations());
  return applied.filter((name) => !known.has(name)).sort();
}
