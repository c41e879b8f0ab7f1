import { addressesOfPorts, takeFromPort } from '../../store/network/address.js';
import {
  type Holder,
  hostsHoldingNetwork,
  hostsReporting,
  insertHolds,
  insertVniHolds,
  macIsHeld,
} from '../../store/network/hold.js';
import { hostsOfNetworks } from '../../store/network/placed.js';
import { findRow } from '../../store/network/rows.js';
import { routerPorts } from '../../store/network/spec-rows.js';
import type { Reader, Tx } from '../../store/store.js';
import type { NetworkTables } from '../../store/tables/network.js';
import { macInUse } from '../network/problems.js';
import { holdersOf, holdersOfRouter } from './holders.js';

type Port = NetworkTables['port'];

/**
 * Takes addresses from a port (all when none are named). Where a host's spec still has them, or had them and has not reported
 * the change, they stay quarantined until it does, so that no two guests ever answer for one address.
 */
export async function giveBackAddresses(tx: Tx, port: Port, addresses?: readonly string[]): Promise<void> {
  const own = (await addressesOfPorts(tx, [port.id])).map((row) => row.ip_address);
  const given = addresses ? own.filter((ip) => addresses.includes(ip)) : own;
  if (addresses && given.length === 0) return;
  await insertHolds(tx, port, given, await holdersOf(tx, port));
  await takeFromPort(tx, port.id, given);
}

/** To be called before a port leaves a host: it may answer for the port's addresses until it has reported that it does not. */
export async function holdOnHost(tx: Tx, port: Port, hostId: string): Promise<void> {
  if (port.server_id === null) return;
  await hold(tx, port, [{ hostId, objectKey: `port/${port.id}` }]);
}

/** To be called before a floating IP leaves its router. */
export async function holdFloatingIp(tx: Tx, floating: NetworkTables['floating_ip']): Promise<void> {
  const port = await findRow(tx, 'port', floating.floating_port_id);
  if (port && floating.router_id) await hold(tx, port, await holdersOfRouter(tx, floating.router_id));
}

/** To be called before a router leaves its host: its own addresses, and the floating IPs that it translates. */
export async function holdRouter(
  tx: Tx,
  routerId: string,
  floatingIps: readonly NetworkTables['floating_ip'][],
): Promise<void> {
  const holders = await holdersOfRouter(tx, routerId);
  for (const { mtu, ...port } of await routerPorts(tx, [routerId])) await hold(tx, port, holders);
  for (const floating of floatingIps) {
    const port = await findRow(tx, 'port', floating.floating_port_id);
    if (port) await hold(tx, port, holders);
  }
}

/** To be called before a network goes: no other gets its VNI while a host may still have its tunnel device. */
export async function holdVni(tx: Tx, network: NetworkTables['network']): Promise<void> {
  const { id, segmentation_id } = network;
  if (network.network_type !== 'vxlan' || segmentation_id === null) return;
  const reporting = (await hostsReporting(tx, [`network/${id}`])).map(({ hostId }) => hostId);
  // a host that was never heard of about the network itself may yet have had a port of it
  const others = [...(await hostsOfNetworks(tx, [id])), ...(await hostsHoldingNetwork(tx, id))];
  await insertVniHolds(tx, { id, segmentation_id }, [...new Set([...reporting, ...others])]);
}

/** Refuses a MAC that a host may still have on a device of a deleted port. */
export async function checkMacFree(db: Reader, networkId: string, mac: string): Promise<void> {
  if (await macIsHeld(db, networkId, mac)) throw macInUse(networkId, mac);
}

async function hold(tx: Tx, port: Port, holders: readonly Holder[]): Promise<void> {
  const addresses = (await addressesOfPorts(tx, [port.id])).map((row) => row.ip_address);
  await insertHolds(tx, port, addresses, holders);
}
