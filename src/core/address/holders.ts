import { type Holder, hostsReporting } from '../../store/network/hold.js';
import { hostsOfNetworks } from '../../store/network/placed.js';
import { bindingsOfPorts, groupsOfPorts } from '../../store/network/port.js';
import { findRow } from '../../store/network/rows.js';
import { neighbourNetworks } from '../../store/network/spec-rows.js';
import type { Reader } from '../../store/store.js';
import type { NetworkTables } from '../../store/tables/network.js';

type Port = NetworkTables['port'];

/**
 * Hosts that may use a port's addresses now, each with the object that carries them: what hosts have told they have, and what
 * they are about to be sent.
 */
export async function holdersOf(db: Reader, port: Port): Promise<Holder[]> {
  return [...(await hostsReporting(db, [`port/${port.id}`])), ...(await holdersByOwner(db, port))];
}

async function holdersByOwner(db: Reader, port: Port): Promise<Holder[]> {
  if (port.device_owner.startsWith('network:router')) return await holdersOfRouter(db, port.device_id);
  if (port.device_owner === 'network:floatingip') {
    const floating = await findRow(db, 'floating_ip', port.device_id);
    return floating?.router_id ? await holdersOfRouter(db, floating.router_id) : [];
  }
  if (port.device_owner === 'network:dhcp') {
    const objectKey = `dhcp/${port.network_id}`;
    const hosts = await hostsOfNetworks(db, [port.network_id]);
    return [...(await hostsReporting(db, [objectKey])), ...hosts.map((hostId) => ({ hostId, objectKey }))];
  }
  // only servers' ports are hosts' objects, whatever host an administrator writes into others
  if (port.server_id === null) return await holdersOfMembership(db, port);
  const bindings = await bindingsOfPorts(db, [port.id]);
  return [
    ...bindings.map(({ host_id }) => ({ hostId: host_id, objectKey: `port/${port.id}` })),
    ...(await holdersOfMembership(db, port)),
  ];
}

/** Hosts that have, had, or are to have a router. */
export async function holdersOfRouter(db: Reader, routerId: string): Promise<Holder[]> {
  const objectKey = `router/${routerId}`;
  const router = await findRow(db, 'router', routerId);
  const present = router?.host_id ? [{ hostId: router.host_id, objectKey }] : [];
  return [...(await hostsReporting(db, [objectKey])), ...present];
}

/** Hosts whose firewalls let the port's addresses in because its security groups are remote groups of rules there. */
async function holdersOfMembership(db: Reader, port: Port): Promise<Holder[]> {
  const groups = await groupsOfPorts(db, [port.id]);
  if (groups.length === 0) return [];
  const near = await neighbourNetworks(db, [port.network_id]);
  const networks = [...new Set([port.network_id, ...near.map((row) => row.neighbour_id)])];
  const keys = groups.flatMap(({ security_group_id }) =>
    networks.map((id) => `group-members/${security_group_id}:${id}`),
  );
  return await hostsReporting(db, keys);
}
