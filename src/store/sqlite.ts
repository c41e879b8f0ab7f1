import { closeSync, openSync } from 'node:fs';
import SqliteDatabase from 'better-sqlite3';
import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  Kysely,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely';
import type { Database } from './database.js';
import { LoopTurns } from './turns.js';

/**
 * A kysely database on one better-sqlite3 connection. Transactions begin IMMEDIATE: the write lock is taken at the
 * start, so a transaction never fails at its first write after having read (https://sqlite.org/lang_transaction.html).
 */
export function openSqlite(file: string, options: { readonly: boolean }): Kysely<Database> {
  const dialect: Dialect = {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => new ImmediateDriver(file, options.readonly),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  };
  return new Kysely<Database>({ dialect });
}

/** Shared by all connections: they share the loop. */
const turns = new LoopTurns();

class ImmediateDriver implements Driver {
  readonly #file: string;
  readonly #readonly: boolean;
  #connection: SqliteConnection | undefined;
  /** Resolves when the one connection is free; users queue up behind it. */
  #free: Promise<void> = Promise.resolve();
  #release: (() => void) | undefined;

  constructor(file: string, readonly: boolean) {
    this.#file = file;
    this.#readonly = readonly;
  }

  async init(): Promise<void> {
    // it holds password hashes; the files beside it get its mode
    if (!this.#readonly) closeSync(openSync(this.#file, 'a', 0o600));
    const raw = new SqliteDatabase(this.#file, { readonly: this.#readonly });
    raw.pragma('busy_timeout = 5000');
    if (!this.#readonly) {
      raw.pragma('journal_mode = WAL');
      raw.pragma('synchronous = FULL');
      raw.pragma('foreign_keys = ON');
    }
    this.#connection = new SqliteConnection(raw, this.#readonly);
  }

  async acquireConnection(): Promise<DatabaseConnection> {
    const before = this.#free;
    let release: () => void = () => {};
    this.#free = new Promise((resolve) => {
      release = resolve;
    });
    await before;
    this.#release = release;
    // writers let others have a turn between transactions, and hold the lock no longer for it
    if (!this.#readonly && turns.due()) await turns.next();
    return this.#connection!;
  }

  async releaseConnection(): Promise<void> {
    this.#release?.();
  }

  async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw(this.#readonly ? 'begin' : 'begin immediate'));
    (connection as SqliteConnection).began = true;
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('commit'));
    (connection as SqliteConnection).began = false;
  }

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    const sqlite = connection as SqliteConnection;
    sqlite.began = false;
    // a full disk and some other errors have rolled it back already: then this must not hide why
    if (sqlite.inTransaction) await connection.executeQuery(CompiledQuery.raw('rollback'));
  }

  async destroy(): Promise<void> {
    this.#connection?.close();
  }
}

/** Runs compiled queries; prepared statements are kept, since most requests run the same few. */
class SqliteConnection implements DatabaseConnection {
  readonly #db: SqliteDatabase.Database;
  readonly #statements = new Map<string, SqliteDatabase.Statement>();

  /** A transaction was begun and not ended by us. */
  began = false;

  readonly #yields: boolean;

  /** `yields`: long chains of queries let others have a turn of the loop in between. */
  constructor(db: SqliteDatabase.Database, yields: boolean) {
    this.#db = db;
    this.#yields = yields;
  }

  get inTransaction(): boolean {
    return this.#db.inTransaction;
  }

  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    if (this.#yields && turns.due()) await turns.next();
    // whoever goes on after such an error would write outside any transaction
    if (this.began && !this.#db.inTransaction)
      throw new Error('SQLite has rolled the transaction back after an earlier error in it');
    const statement = this.#prepare(sql);
    if (statement.reader) return { rows: statement.all(parameters as unknown[]) as R[] };
    const { changes, lastInsertRowid } = statement.run(parameters as unknown[]);
    return { numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid), rows: [] };
  }

  // biome-ignore lint/correctness/useYield: better-sqlite3 iterators would block the only connection
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error('streaming queries are not used: lists are paged');
  }

  close(): void {
    this.#db.close();
  }

  #prepare(sql: string): SqliteDatabase.Statement {
    let statement = this.#statements.get(sql);
    if (!statement) {
      statement = this.#db.prepare(sql);
      if (this.#statements.size >= 500) this.#statements.clear();
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}
