import type { ChangeKind, Reader, Tx } from './store.js';

export interface ChangeRow {
  readonly seq: number;
  readonly kind: ChangeKind;
  readonly id: string;
  readonly request_id: string | null;
}

/** The oldest changes whose effect on hosts has not been worked out. */
export async function listChanges(db: Reader, limit: number): Promise<ChangeRow[]> {
  const rows = await db.selectFrom('change').selectAll().orderBy('seq').limit(limit).execute();
  return rows as ChangeRow[];
}

/**
 * Deletes exactly these rows: a range would lose those of transactions that took their number earlier and commit later
 * (PostgreSQL).
 */
export async function deleteChanges(tx: Tx, seqs: readonly number[]): Promise<void> {
  for (let at = 0; at < seqs.length; at += 500) {
    await tx
      .deleteFrom('change')
      .where('seq', 'in', seqs.slice(at, at + 500))
      .execute();
  }
}
