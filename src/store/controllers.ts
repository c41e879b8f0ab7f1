import { type Expression, type SqlBool, SqliteAdapter, sql } from 'kysely';
import { databaseNow } from './clock.js';
import { oneOf } from './one-of.js';
import type { Reader, Tx } from './store.js';

/** A host that a controller delivers to, and the number that fences off those who did before. */
export interface HostLease {
  readonly controllerId: string;
  readonly epoch: number;
}

export interface ControllerRow {
  readonly id: string;
  readonly name: string;
  readonly address: string;
  readonly alive: boolean;
  /** It reaches the database, but no host. */
  readonly isolated: boolean;
  /** Milliseconds since it was last heard of. */
  readonly silence: number;
  /** Hosts that it delivers to. */
  readonly hosts: number;
}

const DAY_MS = 24 * 3600 * 1000;

/** Registers a controller, with a lease from now on; what it was under an earlier id, whose lease has run out, is forgotten. */
export async function registerController(
  tx: Tx,
  controller: { readonly id: string; readonly name: string; readonly address: string },
  leaseMs: number,
): Promise<void> {
  const now = databaseNow(tx);
  const earlier = await tx
    .selectFrom('controller')
    .select('id')
    .where('name', '=', controller.name)
    .where('lease_until', '<=', now)
    .execute();
  for (const { id } of earlier) await deregisterController(tx, id);
  await tx
    .insertInto('controller')
    .values({ ...controller, started_at: now, heard_at: now, lease_until: sql`${now} + ${sql.lit(leaseMs)}` })
    .execute();
}

/** Says whether a controller can reach no host; the others then share what it had. */
export async function setIsolated(tx: Tx, id: string, isolated: boolean): Promise<void> {
  const value = isolated ? 1 : 0;
  await tx
    .updateTable('controller')
    .set({ isolated: value })
    .where('id', '=', id)
    .where('isolated', '!=', value)
    .execute();
}

/** Prolongs a lease; false when it has run out: then whatever the controller had may be another's. */
export async function renewController(tx: Tx, id: string, leaseMs: number): Promise<boolean> {
  const now = databaseNow(tx);
  const { numUpdatedRows } = await tx
    .updateTable('controller')
    .set({ heard_at: now, lease_until: sql`${now} + ${sql.lit(leaseMs)}` })
    .where('id', '=', id)
    .where(leased(tx))
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

/**
 * Frees the hosts of controllers whose lease has run out, and forgets those that run again under another id. Their rows are locked
 * meanwhile: a renewal that comes at the same moment either is seen here or finds that it came too late.
 */
export async function expireControllers(tx: Tx): Promise<void> {
  const expired = await tx
    .selectFrom('controller')
    .select('id')
    .where('lease_until', '>', 0)
    .where('lease_until', '<=', databaseNow(tx))
    .$if(!onSqlite(tx), (query) => query.forUpdate().skipLocked())
    .execute();
  const ids = expired.map((row) => row.id);
  if (ids.length > 0) {
    await tx
      .updateTable('controller')
      .set({ lease_until: 0 })
      .where(oneOf(tx, 'id', ids))
      .execute();
    await tx
      .updateTable('host_delivery')
      .set({ controller_id: null })
      .where(oneOf(tx, 'controller_id', ids))
      .execute();
  }
  // one that was removed while somebody claimed it
  await tx
    .deleteFrom('host_delivery')
    .where(({ not, exists, selectFrom }) =>
      not(exists(selectFrom('host').select('host.id').whereRef('host.id', '=', 'host_delivery.host_id'))),
    )
    .execute();
  await tx
    .deleteFrom('controller')
    .where('lease_until', '=', 0)
    .where(({ or, eb, exists, selectFrom }) =>
      or([
        eb('heard_at', '<', sql<number>`${databaseNow(tx)} - ${sql.lit(DAY_MS)}`),
        exists(
          selectFrom('controller as running')
            .select('running.id')
            .whereRef('running.name', '=', 'controller.name')
            .where('running.lease_until', '>', 0),
        ),
      ]),
    )
    .execute();
}

/** Takes hosts that nobody delivers to, at most so many. */
export async function claimHosts(tx: Tx, controllerId: string, most: number): Promise<void> {
  await tx
    .insertInto('host_delivery')
    .columns(['host_id'])
    .expression(
      tx
        .selectFrom('host')
        .select('id')
        .where(({ not, exists, selectFrom }) =>
          not(
            exists(
              selectFrom('host_delivery as d').select('d.host_id').whereRef('d.host_id', '=', 'host.id'),
            ),
          ),
        ),
    )
    .onConflict((conflict) => conflict.column('host_id').doNothing())
    .execute();
  if (most <= 0) return;
  await tx
    .updateTable('host_delivery')
    .set((eb) => ({ controller_id: controllerId, epoch: eb('epoch', '+', 1) }))
    .where('host_id', 'in', (eb) =>
      eb
        .selectFrom('host_delivery')
        .select('host_id')
        .where('controller_id', 'is', null)
        .orderBy('host_id')
        .limit(most)
        .$if(!onSqlite(tx), (query) => query.forUpdate().skipLocked()),
    )
    .execute();
}

/** Hosts that a controller delivers to, with the epoch of each. */
export async function hostsOfController(
  db: Reader,
  controllerId: string,
): Promise<{ host_id: string; epoch: number }[]> {
  return await db
    .selectFrom('host_delivery')
    .select(['host_id', 'epoch'])
    .where('controller_id', '=', controllerId)
    .orderBy('host_id')
    .execute();
}

/** Gives hosts up for others to take. */
export async function releaseHosts(tx: Tx, controllerId: string, hostIds: readonly string[]): Promise<void> {
  await tx
    .updateTable('host_delivery')
    .set({ controller_id: null })
    .where('controller_id', '=', controllerId)
    .where(oneOf(tx, 'host_id', hostIds))
    .execute();
}

/** A controller ends: it is forgotten, and others may take its hosts at once. */
export async function deregisterController(tx: Tx, controllerId: string): Promise<void> {
  await tx
    .updateTable('host_delivery')
    .set({ controller_id: null })
    .where('controller_id', '=', controllerId)
    .execute();
  await tx.deleteFrom('controller').where('id', '=', controllerId).execute();
}

/** True while the lease holds; on PostgreSQL nobody can take the host until the transaction ends. */
export async function holdsHost(tx: Tx, hostId: string, lease: HostLease): Promise<boolean> {
  const row = await tx
    .selectFrom('host_delivery')
    .select('host_id')
    .where('host_id', '=', hostId)
    .where('controller_id', '=', lease.controllerId)
    .where('epoch', '=', lease.epoch)
    .where(({ exists, selectFrom }) =>
      exists(
        selectFrom('controller')
          .select('controller.id')
          .where('controller.id', '=', lease.controllerId)
          .where(leased(tx)),
      ),
    )
    .$if(!onSqlite(tx), (query) => query.forUpdate())
    .executeTakeFirst();
  return row !== undefined;
}

/** Every controller that was heard of within a day, by name. */
export async function listControllers(db: Reader): Promise<ControllerRow[]> {
  const rows = await db
    .selectFrom('controller')
    .select((eb) => [
      'id',
      'name',
      'address',
      'isolated',
      eb.case().when(leased(db)).then(1).else(0).end().as('alive'),
      sql<number>`${databaseNow(db)} - heard_at`.as('silence'),
      eb
        .selectFrom('host_delivery as d')
        .select(eb.fn.countAll<number>().as('n'))
        .whereRef('d.controller_id', '=', 'controller.id')
        .as('hosts'),
    ])
    .orderBy('name')
    .orderBy('started_at')
    .execute();
  return rows.map((row) => ({
    ...row,
    alive: row.alive === 1,
    isolated: row.isolated === 1,
    silence: Math.max(0, Number(row.silence)),
    hosts: Number(row.hosts ?? 0),
  }));
}

/** How many hosts there are to share, and how many controllers that can reach them. */
export async function deliveryShares(db: Reader): Promise<{ hosts: number; controllers: number }> {
  const row = await db
    .selectNoFrom((eb) => [
      eb.selectFrom('host').select(eb.fn.countAll<number>().as('n')).as('hosts'),
      eb
        .selectFrom('controller')
        .select(eb.fn.countAll<number>().as('n'))
        .where(leased(db))
        .where('isolated', '=', 0)
        .as('controllers'),
    ])
    .executeTakeFirstOrThrow();
  return { hosts: Number(row.hosts), controllers: Number(row.controllers) };
}

function leased(db: Reader): Expression<SqlBool> {
  return sql<SqlBool>`controller.lease_until > ${databaseNow(db)}`;
}

function onSqlite(db: Reader): boolean {
  return db.getExecutor().adapter instanceof SqliteAdapter;
}
