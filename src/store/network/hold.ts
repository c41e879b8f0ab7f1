import { nowText, type Reader, type Tx } from '../store.js';
import { freeUnheld } from './address.js';

/** A host whose object may still use what is given back. */
export interface Holder {
  readonly hostId: string;
  /** `port/<id>`, `router/<id>`, `dhcp/<network>`, `group-members/<group>:<network>`. */
  readonly objectKey: string;
}

/** Hosts that have any of the objects, as far as they have told. */
export async function hostsReporting(db: Reader, objectKeys: readonly string[]): Promise<Holder[]> {
  if (objectKeys.length === 0) return [];
  const rows = await db
    .selectFrom('object_report')
    .select(['host_id', 'object_key'])
    .where('object_key', 'in', [...objectKeys])
    .execute();
  return rows.map((row) => ({ hostId: row.host_id, objectKey: row.object_key }));
}

/**
 * Notes that hosts may use a port's MAC and the addresses until each has reported its object's change. Whoever has the
 * addresses keeps them; once nobody has them they stay taken as long as a hold is there.
 */
export async function insertHolds(
  tx: Tx,
  port: { readonly network_id: string; readonly mac_address: string },
  addresses: readonly string[],
  holders: readonly Holder[],
): Promise<void> {
  const created_at = nowText();
  // without an address there is still the MAC
  const held = addresses.length ? addresses : [''];
  // one statement cannot write a row twice
  const distinct = new Map(holders.map((holder) => [`${holder.hostId} ${holder.objectKey}`, holder]));
  const rows = [...distinct.values()].flatMap(({ hostId, objectKey }) =>
    held.map((ip_address) => ({
      network_id: port.network_id,
      host_id: hostId,
      object_key: objectKey,
      ip_address,
      mac_address: port.mac_address,
      created_at,
    })),
  );
  for (let at = 0; at < rows.length; at += 100) {
    await tx
      .insertInto('address_hold')
      .values(rows.slice(at, at + 100))
      .onConflict((c) =>
        c
          .columns(['host_id', 'object_key', 'network_id', 'ip_address', 'mac_address'])
          .doUpdateSet({ created_at }),
      )
      .execute();
  }
}

/** Keeps a VXLAN network identifier of a deleted network from others until each host has reported that the network is gone. */
export async function insertVniHolds(
  tx: Tx,
  network: { readonly id: string; readonly segmentation_id: number },
  hostIds: readonly string[],
): Promise<void> {
  if (hostIds.length === 0) return;
  const created_at = nowText();
  await tx
    .insertInto('vni_hold')
    .values(
      hostIds.map((host_id) => ({
        vni: network.segmentation_id,
        host_id,
        network_id: network.id,
        created_at,
      })),
    )
    .onConflict((c) => c.doNothing())
    .execute();
}

/** VXLAN network identifiers that hosts may still use for networks that are gone. */
export async function heldVnis(db: Reader): Promise<Set<number>> {
  const rows = await db.selectFrom('vni_hold').select('vni').distinct().execute();
  return new Set(rows.map((row) => row.vni));
}

/** Hosts that may still use any address of a network. */
export async function hostsHoldingNetwork(db: Reader, networkId: string): Promise<string[]> {
  const rows = await db
    .selectFrom('address_hold')
    .select('host_id')
    .distinct()
    .where('network_id', '=', networkId)
    .execute();
  return rows.map((row) => row.host_id);
}

/** True while a host may still have a device with this MAC from a port that was deleted or moved away. */
export async function macIsHeld(db: Reader, networkId: string, mac: string): Promise<boolean> {
  const row = await db
    .selectFrom('address_hold')
    .select('host_id')
    .where('network_id', '=', networkId)
    .where('mac_address', '=', mac)
    .executeTakeFirst();
  return row !== undefined;
}

/** Objects of a host whose removal or change somebody waits for. */
export async function heldObjects(db: Reader, hostId: string): Promise<Set<string>> {
  const addresses = await db
    .selectFrom('address_hold')
    .select('object_key')
    .distinct()
    .where('host_id', '=', hostId)
    .execute();
  const networks = await db
    .selectFrom('vni_hold')
    .select('network_id')
    .distinct()
    .where('host_id', '=', hostId)
    .execute();
  return new Set([
    ...addresses.map((row) => row.object_key),
    ...networks.map((row) => `network/${row.network_id}`),
  ]);
}

/** Ends a host's holds of objects; what nobody has or holds any more is free. */
export async function releaseHolds(tx: Tx, hostId: string, objectKeys: readonly string[]): Promise<void> {
  if (objectKeys.length === 0) return;
  for (let at = 0; at < objectKeys.length; at += 500) {
    const released = await tx
      .deleteFrom('address_hold')
      .where('host_id', '=', hostId)
      .where('object_key', 'in', objectKeys.slice(at, at + 500))
      .returning(['network_id', 'ip_address'])
      .execute();
    await freeUnheld(tx, released);
  }
  const networks = objectKeys.flatMap((key) => (key.startsWith('network/') ? key.slice(8) : []));
  if (networks.length === 0) return;
  await tx.deleteFrom('vni_hold').where('host_id', '=', hostId).where('network_id', 'in', networks).execute();
}

/** Ends every hold of a host that is gone for good. */
export async function releaseHost(tx: Tx, hostId: string): Promise<void> {
  await tx.deleteFrom('vni_hold').where('host_id', '=', hostId).execute();
  const released = await tx
    .deleteFrom('address_hold')
    .where('host_id', '=', hostId)
    .returning(['network_id', 'ip_address'])
    .execute();
  await freeUnheld(tx, released);
}

/** What hosts have been holding since before a time, and whether the host is still one of ours. */
export async function oldHolds(db: Reader, before: string) {
  const addresses = await db
    .selectFrom('address_hold as a')
    .leftJoin('host as h', 'h.id', 'a.host_id')
    .select(['a.host_id', 'a.object_key', 'h.id as known_host_id'])
    .distinct()
    .where('a.created_at', '<', before)
    .execute();
  const networks = await db
    .selectFrom('vni_hold as v')
    .leftJoin('host as h', 'h.id', 'v.host_id')
    .select(['v.host_id', 'v.network_id', 'h.id as known_host_id'])
    .where('v.created_at', '<', before)
    .execute();
  return [
    ...addresses,
    ...networks.map(({ network_id, ...row }) => ({ ...row, object_key: `network/${network_id}` })),
  ];
}

/** Holds because of these objects, on whatever host. */
export async function holdsOfObjects(db: Reader, objectKeys: readonly string[]) {
  if (objectKeys.length === 0) return [];
  return await db
    .selectFrom('address_hold')
    .selectAll()
    .where('object_key', 'in', [...objectKeys])
    .orderBy('created_at')
    .execute();
}

/** How many addresses and VNIs wait for each host. */
export async function holdsByHost(db: Reader): Promise<Map<string, { addresses: number; vnis: number }>> {
  const counts = new Map<string, { addresses: number; vnis: number }>();
  const addresses = await db
    .selectFrom('address_hold as h')
    .innerJoin('ip_allocation as a', (join) =>
      join.onRef('a.network_id', '=', 'h.network_id').onRef('a.ip_address', '=', 'h.ip_address'),
    )
    .select(['h.host_id', 'h.network_id', 'h.ip_address'])
    .distinct()
    .where('a.port_id', 'is', null)
    .execute();
  const of = (id: string) => {
    const count = counts.get(id) ?? { addresses: 0, vnis: 0 };
    counts.set(id, count);
    return count;
  };
  for (const row of addresses) of(row.host_id).addresses++;
  const vnis = await db.selectFrom('vni_hold').select(['host_id', 'vni']).execute();
  for (const row of vnis) of(row.host_id).vnis++;
  return counts;
}
