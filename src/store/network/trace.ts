import { oneOf } from '../one-of.js';
import type { Reader } from '../store.js';
import type { NetworkTables } from '../tables/network.js';

/** Floating IPs with this id or address; an address may be of several external networks. */
export async function findFloatingIps(
  db: Reader,
  idOrAddress: string,
): Promise<NetworkTables['floating_ip'][]> {
  return await db
    .selectFrom('floating_ip')
    .selectAll()
    .where((eb) => eb.or([eb('id', '=', idOrAddress), eb('floating_ip_address', '=', idOrAddress)]))
    .limit(10)
    .execute();
}

/** Networks with this id or name, whosever they are. */
export async function findNetworksAnywhere(
  db: Reader,
  idOrName: string,
): Promise<NetworkTables['network'][]> {
  return await db
    .selectFrom('network')
    .selectAll()
    .where((eb) => eb.or([eb('id', '=', idOrName), eb('name', '=', idOrName)]))
    .orderBy('created_at')
    .limit(10)
    .execute();
}

/** Where ports are bound; an active binding comes first. */
export async function hostsOfPorts(db: Reader, portIds: readonly string[]): Promise<Map<string, string>> {
  if (portIds.length === 0) return new Map();
  const rows = await db
    .selectFrom('port_binding')
    .select(['port_id', 'host_id'])
    .where(oneOf(db, 'port_id', portIds))
    // descending: 'inactive' comes before 'active', which is then the last word
    .orderBy('status', 'desc')
    .execute();
  return new Map(rows.map(({ port_id, host_id }) => [port_id, host_id]));
}
