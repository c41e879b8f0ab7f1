import { type AuditShare, auditBeyond, countAudits, removeAudits } from '../../store/audit.js';
import type { App } from '../app.js';
import { lowestAuditId } from './id.js';

/** SQLite works in the thread that answers requests: some 20 ms of it. */
const PRUNED_AT_ONCE = 500;
/** So that a first run after a long time does not hold others up: the next one goes on. */
const MOST_RUNS = 2_000;
/** Share of all records that those may take which changed nothing: whoever floods them must not push the others out. */
const REFUSED_SHARE = 4;

/** Forgets records that are older, or more, than the configuration says; gives how many. */
export async function pruneAuditRecords(app: App): Promise<number> {
  const { audit_retention, audit_entries } = app.config;
  const old = await remove(app, lowestAuditId(Date.now() - audit_retention * 86_400_000), {});
  // the index of these is read once: that of a million records takes as long as some requests
  const counts = await countAudits(app.store.read);
  const [did, didNot] = [counts.filter((one) => one.changed), counts.filter((one) => !one.changed)];
  const idle = await pruneShares(app, Math.floor(audit_entries / REFUSED_SHARE), didNot);
  const changed = await pruneShares(app, audit_entries - idle.left, did);
  return old + idle.gone + changed.gone;
}

/** The most that each may keep so that all together keep no more than `total`: who has less keeps all. */
export function fairShare(counts: readonly number[], total: number): number {
  let left = total;
  const rising = [...counts].sort((a, b) => a - b);
  for (const [n, count] of rising.entries()) {
    const share = Math.floor(left / (rising.length - n));
    if (count > share) return share;
    left -= count;
  }
  return Number.POSITIVE_INFINITY;
}

/** Takes from those users who have the most: what one does without end pushes out nobody else's records. */
async function pruneShares(
  app: App,
  total: number,
  users: Awaited<ReturnType<typeof countAudits>>,
): Promise<{ readonly gone: number; readonly left: number }> {
  const counts = users.map(({ count }) => count);
  const share = fairShare(counts, total);
  let gone = 0;
  for (const { user, changed, count } of users) {
    if (count <= share) continue;
    const which = { user, changed };
    gone += await remove(app, await auditBeyond(app.store.read, share, which), which);
  }
  return { gone, left: counts.reduce((sum, count) => sum + count, 0) - gone };
}

async function remove({ store }: App, upTo: string | undefined, which: AuditShare): Promise<number> {
  let gone = 0;
  for (let run = 0; upTo !== undefined && run < MOST_RUNS; run++) {
    const some = await store.tx((tx) => removeAudits(tx, upTo, PRUNED_AT_ONCE, which), { unseen: true });
    gone += some;
    if (some < PRUNED_AT_ONCE) break;
    // requests first
    await new Promise((resolve) => setImmediate(resolve));
  }
  return gone;
}
