import type { DriftEvent } from '../protocol/messages.js';
import type { ObjectKey } from '../protocol/objects.js';
import type { Reader, Tx } from './store.js';
import { withoutNul } from './without-nul.js';

/** Healed drift that is remembered of each host; the oldest goes first. */
const HEALED_PER_HOST = 500;

/** Drift as a host has told it, with when it was healed. */
export interface StoredDrift extends DriftEvent {
  readonly host_id: string;
}

/**
 * Stores what a host says: `events` are all that stands, and what was healed lately. What stood and is in neither is gone: somebody
 * has put it right, or wants the object otherwise now.
 */
export async function storeDrift(tx: Tx, hostId: string, events: readonly DriftEvent[]): Promise<void> {
  await tx.deleteFrom('drift').where('host_id', '=', hostId).where('state', '=', 'reported').execute();
  for (let at = 0; at < events.length; at += 100) {
    const values = events.slice(at, at + 100).map((event) => ({
      host_id: hostId,
      object_key: event.object as string,
      first_seen: event.first_seen,
      action: withoutNul(event.action),
      detail: withoutNul(event.detail),
      state: event.state as string,
      healed_at: event.healed_at,
    }));
    await tx
      .insertInto('drift')
      .values(values)
      .onConflict((conflict) =>
        conflict.columns(['host_id', 'object_key', 'first_seen', 'action']).doUpdateSet((eb) => ({
          detail: eb.ref('excluded.detail'),
          state: eb.ref('excluded.state'),
          healed_at: eb.ref('excluded.healed_at'),
        })),
      )
      .execute();
  }
  if (events.some(({ state }) => state === 'healed')) await forgetOldest(tx, hostId);
}

/** Drift of a host, or of all: what stands first, then what was healed, the latest first. */
export async function listDrift(db: Reader, hostId: string | null, limit: number): Promise<StoredDrift[]> {
  let query = db.selectFrom('drift').selectAll();
  if (hostId !== null) query = query.where('host_id', '=', hostId);
  const rows = await query
    // descending: 'reported' comes before 'healed'
    .orderBy('state', 'desc')
    .orderBy('healed_at', 'desc')
    .orderBy('first_seen', 'desc')
    .orderBy('host_id')
    .orderBy('object_key')
    .limit(limit)
    .execute();
  return rows.map(({ object_key, state, ...row }) => ({
    ...row,
    object: object_key as ObjectKey,
    state: state as DriftEvent['state'],
  }));
}

/** How many objects of each host are changed and were not put right. */
export async function standingDrift(db: Reader): Promise<Map<string, number>> {
  const rows = await db
    .selectFrom('drift')
    .select((eb) => ['host_id', eb.fn.countAll<number>().as('count')])
    .where('state', '=', 'reported')
    .groupBy('host_id')
    .execute();
  return new Map(rows.map(({ host_id, count }) => [host_id, Number(count)]));
}

async function forgetOldest(tx: Tx, hostId: string): Promise<void> {
  const last = await tx
    .selectFrom('drift')
    .select('healed_at')
    .where('host_id', '=', hostId)
    .where('state', '=', 'healed')
    .orderBy('healed_at', 'desc')
    .offset(HEALED_PER_HOST)
    .limit(1)
    .executeTakeFirst();
  if (!last?.healed_at) return;
  await tx
    .deleteFrom('drift')
    .where('host_id', '=', hostId)
    .where('state', '=', 'healed')
    .where('healed_at', '<=', last.healed_at)
    .execute();
}
