import { EventEmitter } from 'node:events';
import { type Kysely, sql, type Transaction } from 'kysely';
import pg from 'pg';
import { writeAudit } from './audit.js';
import type { Database } from './database.js';
import { migrate } from './migrate.js';
import { Notifications } from './notifications.js';
import { openPostgres } from './postgres.js';
import { openSqlite } from './sqlite.js';
import { noteChange, writeNotes } from './trail.js';

declare const inTransaction: unique symbol;

/** An open transaction: what writers take. Branded, so the outer connection cannot be passed by mistake. */
export type Tx = Transaction<Database> & { readonly [inTransaction]: true };

/** What readers take: the read connection or an open transaction. */
export type Reader = Kysely<Database> | Tx;

/** What controllers tell each other: rows changed that hosts depend on; there are hosts to share. */
const SIGNALS = ['change', 'hosts'] as const;
export type Signal = (typeof SIGNALS)[number];

/** SQLSTATEs after which PostgreSQL wants the whole transaction repeated: serialization failure, deadlock. */
const RETRIED_STATES = new Set(['40001', '40P01']);

/**
 * The database. `read` is for queries outside transactions (on SQLite a second, read-only connection); `tx` runs a body in
 * one write transaction. Bodies have no side effects but the database's, since they may be repeated.
 */
export class Store {
  readonly dialect: 'sqlite' | 'postgres';
  readonly read: Kysely<Database>;
  readonly #write: Kysely<Database>;
  /** For reads that must agree with each other; on SQLite a connection of its own, since others wait for one that they hold. */
  readonly #snapshots: Kysely<Database>;
  /** Emits `commit` with the kinds that changed, after each transaction that recorded changes. */
  readonly events = new EventEmitter();
  /** Rises with every write transaction of this process; caches compare it. */
  commits = 0;

  readonly #url: string | null;
  #notifications: Notifications | null = null;

  private constructor(
    dialect: 'sqlite' | 'postgres',
    write: Kysely<Database>,
    read: Kysely<Database>,
    snapshots: Kysely<Database>,
    url: string | null = null,
  ) {
    this.dialect = dialect;
    this.#url = url;
    this.#write = write;
    this.read = read;
    this.#snapshots = snapshots;
    this.events.setMaxListeners(100);
  }

  /**
   * Opens and migrates. The url is `sqlite:/path/file.db` or `postgres://user@host/database`.
   * Throws when the database cannot be reached or a migration fails.
   */
  static async open(url: string): Promise<Store> {
    if (url.startsWith('sqlite:')) {
      const file = url.slice('sqlite:'.length);
      const write = openSqlite(file, { readonly: false });
      await migrate(write, 'sqlite');
      const [read, snapshots] = [openSqlite(file, { readonly: true }), openSqlite(file, { readonly: true })];
      return new Store('sqlite', write, read, snapshots);
    }
    if (!/^postgres(ql)?:/.test(url)) {
      throw new Error(`database url ${url.split(':')[0]}:… is neither sqlite:FILE nor postgres://…`);
    }
    const patient = openPostgres(url, { patient: true });
    try {
      await migrate(patient, 'postgres');
    } finally {
      await patient.destroy();
    }
    const db = openPostgres(url);
    return new Store('postgres', db, db, db, url);
  }

  /** Begins to send signals to, and take them from, other controllers of the same database; a no-op on SQLite. */
  listen(): void {
    if (this.#url === null || this.#notifications) return;
    this.#notifications = new Notifications(this.#url, SIGNALS, (signal) => this.events.emit(signal));
    this.#notifications.start();
  }

  /** Gives a signal (`hosts`: there are hosts to share) to the other controllers, once it is sent. */
  async notify(signal: Signal): Promise<void> {
    this.#notifications?.send(signal);
    await this.#notifications?.flush();
  }

  /** Runs a body that no other process on the same database runs at the same time. On SQLite there is no other. */
  async exclusively<T>(name: string, body: () => Promise<T>): Promise<T> {
    if (this.#url === null) return await body();
    const client = new pg.Client({ connectionString: this.#url });
    client.on('error', () => {});
    await client.connect();
    try {
      await client.query('select pg_advisory_lock(hashtextextended($1, 0))', [name]);
      return await body();
    } finally {
      await client.end();
    }
  }

  /**
   * Runs the body in one transaction; commits when it resolves, rolls back when it throws. `unseen`: what it writes is in nothing that is
   * cached.
   */
  async tx<T>(body: (tx: Tx) => Promise<T>, options: { readonly unseen?: boolean } = {}): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      const pending: PendingWork = { changed: false, afterCommit: [], auditEnded: null };
      let result: T;
      try {
        result = await this.#write.transaction().execute(async (trx) => {
          const tx = trx as unknown as Tx;
          pendingWork.set(tx, pending);
          const value = await body(tx);
          await writeNotes(tx, nowText());
          pending.auditEnded = await writeAudit(tx);
          return value;
        });
      } catch (error) {
        pending.auditEnded?.(false);
        if (attempt >= 8 || !isRetriedState(error)) throw error;
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 20 * attempt));
        continue;
      }
      pending.auditEnded?.(true);
      if (!options.unseen) this.commits++;
      if (pending.changed) {
        this.events.emit('change');
        this.#notifications?.send('change');
      }
      for (const run of pending.afterCommit) run();
      return result;
    }
  }

  /** Runs reads that must agree with each other, however many they are. */
  async snapshot<T>(body: (db: Reader) => Promise<T>): Promise<T> {
    return await this.#snapshots.transaction().setIsolationLevel('repeatable read').execute(body);
  }

  /**
   * Serialises claims of one project in one resource family (`compute`, `network` …): on PostgreSQL by a transaction-level
   * advisory lock, on SQLite by the write lock that the transaction already holds. Call it before counting a quota.
   */
  async lockFamily(tx: Tx, projectId: string, family: string): Promise<void> {
    if (this.dialect === 'sqlite') return;
    await sql`select pg_advisory_xact_lock(hashtextextended(${`${family}/${projectId}`}, 0))`.execute(tx);
  }

  async close(): Promise<void> {
    await this.#notifications?.close();
    await this.#write.destroy();
    if (this.dialect === 'sqlite') await Promise.all([this.read.destroy(), this.#snapshots.destroy()]);
  }
}

interface PendingWork {
  changed: boolean;
  readonly afterCommit: (() => void)[];
  /** Tells the request that is served whether its record was committed. */
  auditEnded: ((committed: boolean) => void) | null;
}

const pendingWork = new WeakMap<Tx, PendingWork>();

/** Runs something in this process once the transaction has committed; never when it is rolled back. */
export function afterCommit(tx: Tx, run: () => void): void {
  pendingWork.get(tx)?.afterCommit.push(run);
}

/** True for errors after which the whole transaction has to be run again. */
export function isRetriedState(error: unknown): boolean {
  const state = (error as { code?: unknown } | null)?.code;
  return typeof state === 'string' && RETRIED_STATES.has(state);
}

/** Rows that hosts may depend on. Each writer records them; `hosts` maps them to hosts, core never names hosts. */
export type ChangeKind =
  | 'network'
  | 'subnet'
  | 'port'
  | 'router'
  | 'floating-ip'
  | 'security-group'
  /** Who is in a security group, or under which addresses; the id is the group's. */
  | 'group-members'
  /** Which MACs are on which hosts of a network; the id is the network's. */
  | 'network-ports'
  | 'server'
  | 'volume'
  | 'image'
  | 'host'
  /** What a host is to destroy; the id is the host's. */
  | 'tombstone';

/** Records, in the transaction that changes a row, that hosts may have to change because of it. */
export async function recordChange(
  tx: Tx,
  kind: ChangeKind,
  id: string,
  requestId: string | null = null,
): Promise<void> {
  await tx.insertInto('change').values({ kind, id, request_id: requestId }).execute();
  noteChange(tx, kind, id, requestId);
  const pending = pendingWork.get(tx);
  if (pending) pending.changed = true;
}

/** True for a violated unique constraint or index, on either database. */
export function isUniqueViolation(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  return code === '23505' || code === 'SQLITE_CONSTRAINT_UNIQUE' || code === 'SQLITE_CONSTRAINT_PRIMARYKEY';
}

/** The current time as stored: ISO 8601 with milliseconds, UTC. */
export function nowText(): string {
  return new Date().toISOString();
}
