import { addressesOfPorts } from '../../store/network/address.js';
import { subnetsOfNetworks } from '../../store/network/network.js';
import { dhcpPort } from '../../store/network/port.js';
import { recordChange, type Tx } from '../../store/store.js';
import type { NetworkTables } from '../../store/tables/network.js';
import { drawAddress } from '../address/draw.js';
import { giveBackAddresses } from '../address/give-back.js';
import { MaruError } from '../errors.js';
import { addressesExhausted } from '../network/problems.js';
import { insertPort } from './insert.js';

type Network = NetworkTables['network'];

/**
 * Makes the network's DHCP port when a guest needs it: one per network, with an address in every subnet that has DHCP. The
 * same port and addresses serve on each host that has guests of the network.
 */
export async function ensureDhcpPort(tx: Tx, network: Network): Promise<void> {
  const existing = await dhcpPort(tx, network.id);
  if (existing) return;
  const subnets = (await subnetsOfNetworks(tx, [network.id])).filter((subnet) => subnet.enable_dhcp);
  if (subnets.length === 0) return;
  try {
    await insertPort(tx, network, subnets, {
      project_id: network.project_id,
      device_id: `dhcp-${network.id}`,
      device_owner: 'network:dhcp',
      port_security_enabled: 0,
      fixed_ips: subnets.map((subnet) => ({ subnet_id: subnet.id })),
    });
  } catch (error) {
    // a unique index allows one such port per network: a parallel request may have made it
    if (!(error instanceof MaruError) || !(await dhcpPort(tx, network.id))) throw error;
  }
}

/** Brings an existing DHCP port's addresses in line with the network's subnets, after one of them changed. */
export async function updateDhcpPort(tx: Tx, networkId: string): Promise<void> {
  const port = await dhcpPort(tx, networkId);
  if (!port) return;
  const subnets = (await subnetsOfNetworks(tx, [networkId])).filter((subnet) => subnet.enable_dhcp);
  const wanted = new Set(subnets.map((subnet) => subnet.id));
  const addresses = await addressesOfPorts(tx, [port.id]);
  const surplus = addresses.filter((a) => !wanted.has(a.subnet_id)).map((a) => a.ip_address);
  if (surplus.length) await giveBackAddresses(tx, port, surplus);
  for (const [position, subnet] of subnets.entries()) {
    if (addresses.some((a) => a.subnet_id === subnet.id)) continue;
    if ((await drawAddress(tx, subnet, port, position)) === null) throw addressesExhausted(networkId);
  }
  await recordChange(tx, 'network', networkId);
}
