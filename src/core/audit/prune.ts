import { auditBeyond, removeAudits } from '../../store/audit.js';
import type { App } from '../app.js';
import { lowestAuditId } from './id.js';

const PRUNED_AT_ONCE = 2_000;
/** So that a first run after a long time does not hold others up: the next one goes on. */
const MOST_RUNS = 500;
/** Share of all records that those may take which changed nothing: whoever floods them must not push the others out. */
const REFUSED_SHARE = 4;

/** Forgets records that are older, or more, than the configuration says; gives how many. */
export async function pruneAuditRecords(app: App): Promise<number> {
  const { audit_retention, audit_entries } = app.config;
  const db = app.store.read;
  const all = { unchanged: false };
  const unchanged = { unchanged: true };
  return (
    (await remove(app, lowestAuditId(Date.now() - audit_retention * 86_400_000), all)) +
    (await remove(
      app,
      await auditBeyond(db, Math.floor(audit_entries / REFUSED_SHARE), unchanged),
      unchanged,
    )) +
    (await remove(app, await auditBeyond(db, audit_entries, all), all))
  );
}

async function remove(
  { store }: App,
  upTo: string | undefined,
  which: { readonly unchanged: boolean },
): Promise<number> {
  let gone = 0;
  for (let run = 0; upTo !== undefined && run < MOST_RUNS; run++) {
    const some = await store.tx((tx) => removeAudits(tx, upTo, PRUNED_AT_ONCE, which), { unseen: true });
    gone += some;
    if (some < PRUNED_AT_ONCE) break;
  }
  return gone;
}
