import type { MessageOrder, ObjectError, ObjectReport } from '../protocol/messages.js';
import type { ObjectKey } from '../protocol/objects.js';
import { oneOf } from './one-of.js';
import { nowText, type Reader, type Tx } from './store.js';
import type { ObjectReportTable } from './tables/host.js';

/** What a host last reported about an object. */
export interface StoredReport extends ObjectReport {
  readonly host_id: string;
  readonly reported_at: string;
}

/** The last reports of these objects of a host. */
export async function findReports(
  db: Reader,
  hostId: string,
  keys: readonly ObjectKey[],
): Promise<StoredReport[]> {
  if (keys.length === 0) return [];
  const rows = await db
    .selectFrom('object_report')
    .selectAll()
    .where('host_id', '=', hostId)
    .where(oneOf(db, 'object_key', keys))
    .execute();
  return rows.map(toReport);
}

/** Every host's last report of one object. */
export async function findReportsOf(db: Reader, key: ObjectKey): Promise<StoredReport[]> {
  const rows = await db.selectFrom('object_report').selectAll().where('object_key', '=', key).execute();
  return rows.map(toReport);
}

/** Objects of a host that are in error. */
export async function findFaults(db: Reader, hostId: string): Promise<StoredReport[]> {
  const rows = await db
    .selectFrom('object_report')
    .selectAll()
    .where('host_id', '=', hostId)
    .where('state', '=', 'error')
    .orderBy('object_key')
    .execute();
  return rows.map(toReport);
}

/**
 * Notes that a message of a host is being stored; false when a newer one of the same agent's process was, by whichever controller: then
 * nothing it says counts any more. A controller that was stopped for a while may still hold old ones.
 */
export async function takeMessage(tx: Tx, hostId: string, { run, number }: MessageOrder): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable('host')
    .set({ report_run: run, report_number: number })
    .where('id', '=', hostId)
    .where((eb) =>
      eb.or([
        eb('report_run', 'is', null),
        eb('report_run', '!=', run),
        // the same one may come twice
        eb('report_number', '<=', number),
      ]),
    )
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

/** Stores reports; `gone` objects have no row. */
export async function storeReports(tx: Tx, hostId: string, reports: readonly ObjectReport[]): Promise<void> {
  const reported_at = nowText();
  const kept = reports.filter((r) => r.state !== 'gone');
  const gone = reports.filter((r) => r.state === 'gone').map((r) => r.key);
  for (let at = 0; at < kept.length; at += 100) {
    const values = kept.slice(at, at + 100).map((r) => ({
      host_id: hostId,
      object_key: r.key as string,
      revision: r.revision,
      state: r.state as string,
      error: r.error ? JSON.stringify(r.error) : null,
      observed: r.observed ? JSON.stringify(r.observed) : null,
      reported_at,
    }));
    await tx
      .insertInto('object_report')
      .values(values)
      .onConflict((conflict) =>
        conflict.columns(['host_id', 'object_key']).doUpdateSet((eb) => ({
          revision: eb.ref('excluded.revision'),
          state: eb.ref('excluded.state'),
          error: eb.ref('excluded.error'),
          observed: eb.ref('excluded.observed'),
          reported_at: eb.ref('excluded.reported_at'),
        })),
      )
      .execute();
  }
  for (let at = 0; at < gone.length; at += 500) {
    await tx
      .deleteFrom('object_report')
      .where('host_id', '=', hostId)
      .where('object_key', 'in', gone.slice(at, at + 500))
      .execute();
  }
}

function toReport(row: ObjectReportTable): StoredReport {
  return {
    host_id: row.host_id,
    reported_at: row.reported_at,
    key: row.object_key as ObjectKey,
    revision: row.revision,
    state: row.state as ObjectReport['state'],
    ...(row.error ? { error: JSON.parse(row.error) as ObjectError } : {}),
    ...(row.observed ? { observed: JSON.parse(row.observed) as ObjectReport['observed'] } : {}),
  };
}
