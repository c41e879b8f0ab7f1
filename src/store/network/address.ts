import { nowText, type Reader, type Tx } from '../store.js';
import type { IpAllocationTable } from '../tables/network.js';

/** Takes an address; false when somebody has it or it is still quarantined. */
export async function claimAddress(tx: Tx, row: IpAllocationTable): Promise<boolean> {
  const claimed = await tx
    .insertInto('ip_allocation')
    .values(row)
    .onConflict((c) => c.doNothing())
    .returning('ip_address')
    .executeTakeFirst();
  return claimed !== undefined;
}

/** Addresses of ports, each port's in its order. */
export async function addressesOfPorts(db: Reader, portIds: readonly string[]): Promise<IpAllocationTable[]> {
  if (portIds.length === 0) return [];
  return await db
    .selectFrom('ip_allocation')
    .selectAll()
    .where('port_id', 'in', [...portIds])
    .orderBy('position')
    .orderBy('ip_address')
    .execute();
}

/** Every address of a network that cannot be given out, quarantined ones included. */
export async function takenAddresses(db: Reader, networkId: string): Promise<Set<string>> {
  const rows = await db
    .selectFrom('ip_allocation')
    .select('ip_address')
    .where('network_id', '=', networkId)
    .execute();
  return new Set(rows.map((row) => row.ip_address));
}

/** Allocations of a subnet with the owner of each one's port; the port is null for quarantined ones. */
export async function allocationsOfSubnet(db: Reader, subnetId: string) {
  return await db
    .selectFrom('ip_allocation as a')
    .leftJoin('port as p', 'p.id', 'a.port_id')
    .select(['a.ip_address', 'a.port_id', 'a.network_id', 'p.device_owner', 'p.device_id'])
    .where('a.subnet_id', '=', subnetId)
    .execute();
}

/** Gives addresses of a port back at once. */
export async function freeAddresses(tx: Tx, portId: string, addresses: readonly string[]): Promise<void> {
  if (addresses.length === 0) return;
  await tx
    .deleteFrom('ip_allocation')
    .where('port_id', '=', portId)
    .where('ip_address', 'in', [...addresses])
    .execute();
}

/** A host whose object may still use what is given back. */
export interface Holder {
  readonly hostId: string;
  readonly objectKey: string;
}

/** Hosts that have an object, as far as they have told. */
export async function hostsReporting(db: Reader, objectKey: string): Promise<string[]> {
  const rows = await db
    .selectFrom('object_report')
    .select('host_id')
    .where('object_key', '=', objectKey)
    .execute();
  return rows.map((row) => row.host_id);
}

/** Takes addresses from a port but keeps them from others until each holder has reported its object's change. */
export async function quarantineAddresses(
  tx: Tx,
  port: { readonly id: string; readonly network_id: string; readonly mac_address: string },
  addresses: readonly string[],
  holders: readonly Holder[],
): Promise<void> {
  if (addresses.length === 0) return;
  for (const { hostId, objectKey } of holders) {
    const report = await tx
      .selectFrom('object_report')
      .select('revision')
      .where('host_id', '=', hostId)
      .where('object_key', '=', objectKey)
      .executeTakeFirst();
    await tx
      .insertInto('address_hold')
      .values(
        addresses.map((ip_address) => ({
          network_id: port.network_id,
          host_id: hostId,
          object_key: objectKey,
          ip_address,
          mac_address: port.mac_address,
          revision: report?.revision ?? null,
          created_at: nowText(),
        })),
      )
      .execute();
  }
  await tx
    .updateTable('ip_allocation')
    .set({ port_id: null })
    .where('port_id', '=', port.id)
    .where('ip_address', 'in', [...addresses])
    .execute();
}

/** True while a host may still have a device with this MAC from a port that was deleted. */
export async function macIsHeld(db: Reader, networkId: string, mac: string): Promise<boolean> {
  const row = await db
    .selectFrom('address_hold')
    .select('host_id')
    .where('network_id', '=', networkId)
    .where('mac_address', '=', mac)
    .executeTakeFirst();
  return row !== undefined;
}

/** Ends a host's hold of an object: with `revision`, only holds from before it; addresses nobody holds become free. */
export async function releaseHolds(
  tx: Tx,
  hostId: string,
  objectKeys: readonly string[],
  revision?: string,
): Promise<void> {
  if (objectKeys.length === 0) return;
  let query = tx
    .deleteFrom('address_hold')
    .where('host_id', '=', hostId)
    .where('object_key', 'in', [...objectKeys]);
  if (revision !== undefined) {
    query = query.where((eb) => eb.or([eb('revision', 'is', null), eb('revision', '!=', revision)]));
  }
  const released = await query.returning(['network_id', 'ip_address']).execute();
  await freeUnheld(tx, released);
}

/** Holds from before a time, with what their hosts last reported about the object. */
export async function oldHolds(db: Reader, before: string) {
  return await db
    .selectFrom('address_hold as a')
    .leftJoin('host as h', 'h.id', 'a.host_id')
    .leftJoin('object_report as r', (join) =>
      join.onRef('r.host_id', '=', 'a.host_id').onRef('r.object_key', '=', 'a.object_key'),
    )
    .select([
      'a.host_id',
      'a.object_key',
      'h.id as known_host_id',
      'r.revision as reported_revision',
      'r.state as reported_state',
    ])
    .distinct()
    .where('a.created_at', '<', before)
    .execute();
}

/** Ends every hold of a host that is gone for good. */
export async function releaseHost(tx: Tx, hostId: string): Promise<void> {
  const released = await tx
    .deleteFrom('address_hold')
    .where('host_id', '=', hostId)
    .returning(['network_id', 'ip_address'])
    .execute();
  await freeUnheld(tx, released);
}

async function freeUnheld(
  tx: Tx,
  released: readonly { network_id: string; ip_address: string }[],
): Promise<void> {
  for (const { network_id, ip_address } of released) {
    await tx
      .deleteFrom('ip_allocation')
      .where('network_id', '=', network_id)
      .where('ip_address', '=', ip_address)
      .where('port_id', 'is', null)
      .where((eb) =>
        eb.not(
          eb.exists(
            eb
              .selectFrom('address_hold')
              .select('host_id')
              .where('network_id', '=', network_id)
              .where('ip_address', '=', ip_address),
          ),
        ),
      )
      .execute();
  }
}

/** How many addresses of each subnet are taken. */
export async function addressUse(db: Reader, subnetIds: readonly string[]): Promise<Map<string, number>> {
  if (subnetIds.length === 0) return new Map();
  const rows = await db
    .selectFrom('ip_allocation')
    .select((eb) => ['subnet_id', eb.fn.countAll<number>().as('n')])
    .where('subnet_id', 'in', [...subnetIds])
    .groupBy('subnet_id')
    .execute();
  return new Map(rows.map((row) => [row.subnet_id, Number(row.n)]));
}
