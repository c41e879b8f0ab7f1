import { sql } from 'kysely';
import { databaseNow } from './clock.js';
import { oneOf } from './one-of.js';
import type { Reader, Tx } from './store.js';

/** A host was heard of. */
export interface Contact {
  readonly hostId: string;
  /** How long ago, in milliseconds. */
  readonly age: number;
  /** What the host said it holds; null when it did not say. */
  readonly incarnation: string | null;
  readonly digest: string | null;
}

const CHUNK = 500;

/** Stores contacts for the other controllers, unless they know of later ones. */
export async function saveContacts(
  tx: Tx,
  controllerId: string,
  contacts: readonly Contact[],
): Promise<void> {
  const now = databaseNow(tx);
  for (let at = 0; at < contacts.length; at += CHUNK) {
    await tx
      .insertInto('host_contact')
      .values(
        contacts.slice(at, at + CHUNK).map(({ hostId, age, incarnation, digest }) => ({
          host_id: hostId,
          controller_id: controllerId,
          contact_at: sql<number>`${now} - ${Math.round(age)}`,
          incarnation,
          digest,
        })),
      )
      .onConflict((conflict) =>
        conflict
          .column('host_id')
          .doUpdateSet((eb) => ({
            controller_id: eb.ref('excluded.controller_id'),
            contact_at: eb.ref('excluded.contact_at'),
            incarnation: eb.ref('excluded.incarnation'),
            digest: eb.ref('excluded.digest'),
          }))
          .whereRef('excluded.contact_at', '>', 'host_contact.contact_at'),
      )
      .execute();
  }
}

/** What other controllers stored since (the database's clock; null: ever), and that clock now. */
export async function readContacts(
  db: Reader,
  controllerId: string,
  since: number | null,
): Promise<{ readonly now: number; readonly contacts: readonly Contact[] }> {
  const { now } = await db.selectNoFrom(databaseNow(db).as('now')).executeTakeFirstOrThrow();
  const rows = await db
    .selectFrom('host_contact')
    .select(['host_id', 'contact_at', 'incarnation', 'digest'])
    .where('controller_id', '!=', controllerId)
    .$if(since !== null, (query) => query.where('contact_at', '>=', since!))
    .execute();
  const contacts = rows.map((row) => ({
    hostId: row.host_id,
    age: Math.max(0, now - row.contact_at),
    incarnation: row.incarnation,
    digest: row.digest,
  }));
  return { now, contacts };
}

/** Why a host's spec could not be delivered (null: it was), and for how many milliseconds that has been tried (null: not yet). */
export interface DeliveryFault {
  readonly fault: string | null;
  readonly failing: number | null;
}

/** Stores faults of hosts that the controller delivers to. */
export async function saveFaults(
  tx: Tx,
  controllerId: string,
  faults: ReadonlyMap<string, DeliveryFault>,
): Promise<void> {
  const now = databaseNow(tx);
  for (const [hostId, { fault, failing }] of faults) {
    const failing_since = failing === null ? null : sql<number>`${now} - ${Math.round(failing)}`;
    await tx
      .updateTable('host_delivery')
      .set({ fault, failing_since })
      .where('host_id', '=', hostId)
      .where('controller_id', '=', controllerId)
      .execute();
  }
}

/** Hosts that other controllers cannot deliver to, and those that nobody delivers to (null). */
export async function readFaults(
  db: Reader,
  controllerId: string,
): Promise<Map<string, DeliveryFault | null>> {
  const rows = await db
    .selectFrom('host_delivery')
    .select([
      'host_id',
      'controller_id',
      'fault',
      sql<number | null>`${databaseNow(db)} - failing_since`.as('failing'),
    ])
    .where((eb) =>
      eb.or([
        eb('controller_id', 'is', null),
        eb.and([eb('controller_id', '!=', controllerId), eb('fault', 'is not', null)]),
      ]),
    )
    .execute();
  return new Map(
    rows.map(({ host_id, controller_id, fault, failing }) => [
      host_id,
      controller_id === null ? null : { fault, failing },
    ]),
  );
}

/** An operator agreed that the host's next push destroys many guests; whoever delivers to it will see. */
export async function confirmRemoval(tx: Tx, hostId: string): Promise<void> {
  await tx
    .insertInto('host_delivery')
    .values({ host_id: hostId, controller_id: null, fault: null, failing_since: null, removal_confirmed: 1 })
    .onConflict((conflict) => conflict.column('host_id').doUpdateSet({ removal_confirmed: 1 }))
    .execute();
}

/** Takes what operators agreed to for a controller's hosts. */
export async function takeConfirmations(tx: Tx, controllerId: string): Promise<string[]> {
  const found = await tx
    .selectFrom('host_delivery')
    .select('host_id')
    .where('controller_id', '=', controllerId)
    .where('removal_confirmed', '=', 1)
    .execute();
  const ids = found.map((row) => row.host_id);
  if (ids.length > 0) {
    await tx
      .updateTable('host_delivery')
      .set({ removal_confirmed: 0 })
      .where(oneOf(tx, 'host_id', ids))
      .execute();
  }
  return ids;
}
