import { oneOf } from '../one-of.js';
import type { Reader, Tx } from '../store.js';
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
    .where(oneOf(db, 'port_id', portIds))
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

/** Takes addresses from a port: those that a hold names stay quarantined, the others are free at once. */
export async function takeFromPort(tx: Tx, portId: string, addresses: readonly string[]): Promise<void> {
  if (addresses.length === 0) return;
  const own = tx
    .updateTable('ip_allocation')
    .set({ port_id: null })
    .where('port_id', '=', portId)
    .where('ip_address', 'in', [...addresses]);
  const taken = await own.returning(['network_id', 'ip_address']).execute();
  await freeUnheld(tx, taken);
}

/** Gives addresses that no port has and no host may use any more back to their networks. */
export async function freeUnheld(
  tx: Tx,
  addresses: readonly { readonly network_id: string; readonly ip_address: string }[],
): Promise<void> {
  for (const { network_id, ip_address } of addresses) {
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

/** Addresses that nobody has or holds: what two hosts left that released the last two holds at once. */
export async function forgottenAddresses(db: Reader) {
  return await db
    .selectFrom('ip_allocation as a')
    .leftJoin('address_hold as h', (join) =>
      join.onRef('h.network_id', '=', 'a.network_id').onRef('h.ip_address', '=', 'a.ip_address'),
    )
    .select(['a.network_id', 'a.ip_address'])
    .where('a.port_id', 'is', null)
    .where('h.host_id', 'is', null)
    .execute();
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
