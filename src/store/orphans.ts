import { nowText, type Reader, type Tx } from './store.js';

/** What identifies an orphan on its host. */
export interface OrphanName {
  readonly kind: string;
  readonly name: string;
}

/** Notes since when a host has its orphans: those named are kept or begun, all others forgotten. */
export async function noteOrphans(tx: Tx, hostId: string, present: readonly OrphanName[]): Promise<void> {
  const known = await tx
    .selectFrom('orphan')
    .select(['kind', 'name'])
    .where('host_id', '=', hostId)
    .execute();
  const wanted = new Map(present.map((one) => [keyOf(one), one]));
  for (const one of known) {
    if (wanted.delete(keyOf(one))) continue;
    await tx
      .deleteFrom('orphan')
      .where('host_id', '=', hostId)
      .where('kind', '=', one.kind)
      .where('name', '=', one.name)
      .execute();
  }
  const first_seen = nowText();
  const fresh = [...wanted.values()].map(({ kind, name }) => ({ host_id: hostId, kind, name, first_seen }));
  for (let at = 0; at < fresh.length; at += 200) {
    await tx
      .insertInto('orphan')
      .values(fresh.slice(at, at + 200))
      .onConflict((c) => c.columns(['host_id', 'kind', 'name']).doNothing())
      .execute();
  }
}

/** Since when each orphan of a host is known, by `kind/name`. */
export async function orphanTimes(db: Reader, hostId: string): Promise<Map<string, string>> {
  const rows = await db.selectFrom('orphan').selectAll().where('host_id', '=', hostId).execute();
  return new Map(rows.map((row) => [keyOf(row), row.first_seen]));
}

function keyOf({ kind, name }: OrphanName): string {
  return `${kind}/${name}`;
}
