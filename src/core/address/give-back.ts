import {
  addressesOfPorts,
  freeAddresses,
  type Holder,
  hostsReporting,
  macIsHeld,
  quarantineAddresses,
  releaseHolds,
} from '../../store/network/address.js';
import { bindingsOfPorts } from '../../store/network/port.js';
import { findRow } from '../../store/network/rows.js';
import type { Reader, Tx } from '../../store/store.js';
import type { NetworkTables } from '../../store/tables/network.js';
import { macInUse } from '../network/problems.js';

type Port = NetworkTables['port'];

/**
 * Takes addresses from a port (all when none are named). Where a host's spec still has them they stay quarantined until
 * that host reports the change, so that no two guests ever answer for one address.
 */
export async function giveBackAddresses(tx: Tx, port: Port, addresses?: readonly string[]): Promise<void> {
  const own = (await addressesOfPorts(tx, [port.id])).map((row) => row.ip_address);
  const given = addresses ? own.filter((ip) => addresses.includes(ip)) : own;
  const holders = await holdersOf(tx, port);
  if (holders.length === 0) await freeAddresses(tx, port.id, given);
  else await quarantineAddresses(tx, port, given, holders);
}

/** Refuses a MAC that a host may still have on a device of a deleted port. */
export async function checkMacFree(db: Reader, networkId: string, mac: string): Promise<void> {
  if (await macIsHeld(db, networkId, mac)) throw macInUse(networkId, mac);
}

/** Called when a host reports: a removed object gives up its addresses, a changed one those it had lost before. */
export async function endHolds(
  tx: Tx,
  hostId: string,
  reports: readonly { readonly key: string; readonly revision: string | null; readonly state: string }[],
): Promise<void> {
  for (const report of reports) {
    if (report.state === 'gone') await releaseHolds(tx, hostId, [report.key]);
    else if (report.state === 'applied' && report.revision !== null) {
      await releaseHolds(tx, hostId, [report.key], report.revision);
    }
  }
}

/** Hosts that may use the port's addresses now, with the object that carries them. */
async function holdersOf(tx: Tx, port: Port): Promise<Holder[]> {
  const objectKey = `port/${port.id}`;
  const hosts = new Set(await hostsReporting(tx, objectKey));
  // only servers' ports are hosts' objects, whatever host an administrator writes into others
  if (port.server_id !== null) {
    for (const binding of await bindingsOfPorts(tx, [port.id])) hosts.add(binding.host_id);
  }
  const holders: Holder[] = [...hosts].map((hostId) => ({ hostId, objectKey }));
  const routerId = await routerOf(tx, port);
  const router = routerId ? await findRow(tx, 'router', routerId) : null;
  if (router?.host_id) holders.push({ hostId: router.host_id, objectKey: `router/${router.id}` });
  return holders;
}

async function routerOf(tx: Tx, port: Port): Promise<string | null> {
  if (port.device_owner.startsWith('network:router')) return port.device_id;
  if (port.device_owner !== 'network:floatingip') return null;
  return (await findRow(tx, 'floating_ip', port.device_id))?.router_id ?? null;
}
