import { randomUUID } from 'node:crypto';
import { clearDefaultNetwork, subnetsOfNetworks } from '../../store/network/network.js';
import { portsOfNetwork } from '../../store/network/port.js';
import { floatingIpsOfNetwork } from '../../store/network/router.js';
import { deleteRow, insertRow, updateRow } from '../../store/network/rows.js';
import { deleteTags } from '../../store/network/tag.js';
import { recordChange, type Tx } from '../../store/store.js';
import type { NetworkTables } from '../../store/tables/network.js';
import { holdVni } from '../address/give-back.js';
import type { App } from '../app.js';
import type { Context } from '../context.js';
import { conflict, MaruError } from '../errors.js';
import { removeFloatingIp } from '../floating-ip/remove.js';
import { removePort } from '../port/remove.js';
import { invalidInput, networkInUse } from './problems.js';
import { claimNetworkQuota } from './quota.js';
import {
  candidateSegments,
  largestMtu,
  type ProviderAttributes,
  requestedSegment,
  type Segment,
  segmentTaken,
} from './segment.js';

type Network = NetworkTables['network'];

/** A network's attributes as the API names them. */
export interface NetworkAttributes extends ProviderAttributes {
  readonly project_id: string;
  readonly name: string;
  readonly description: string;
  readonly admin_state_up: boolean;
  readonly shared: boolean;
  readonly 'router:external': boolean;
  readonly is_default: boolean;
  readonly mtu: number;
  readonly port_security_enabled: boolean;
  readonly dns_domain: string;
}

/** Creates a network, with a free segment unless an administrator names one. */
export async function createNetwork(
  tx: Tx,
  app: App,
  ctx: Context,
  given: NetworkAttributes,
): Promise<Network> {
  const requested = await requestedSegment(tx, app, given);
  await claimNetworkQuota(app, tx, given.project_id, 'network');
  const type = requested?.network_type ?? 'vxlan';
  const mtu = checkMtu(app, type, given.mtu);
  for await (const segment of candidateSegments(app, tx, requested)) {
    const network = await insertRow(tx, 'network', networkRow(given, segment, mtu));
    if (!network) continue;
    if (given.is_default) await clearDefaultNetwork(tx, network.id);
    await recordChange(tx, 'network', network.id, ctx.requestId);
    return network;
  }
  throw segmentTaken(requested);
}

/** Changes a network. Its segment stays what it is. */
export async function updateNetwork(
  tx: Tx,
  app: App,
  ctx: Context,
  network: Network,
  changes: Partial<NetworkAttributes>,
): Promise<Network> {
  if (Object.keys(changes).some((name) => name.startsWith('provider:'))) {
    throw invalidInput('Plugin does not support updating provider attributes');
  }
  const ports = await portsOfNetwork(tx, network.id);
  if (network.external && changes['router:external'] === false) checkNotExternal(network, ports);
  if (network.shared && changes.shared === false) {
    const others = ports.some((port) => port.project_id !== '' && port.project_id !== network.project_id);
    if (others) {
      throw conflict(
        `Unable to reconfigure sharing settings for network ${network.id}. Multiple tenants are using it.`,
        'InvalidSharedSetting',
      );
    }
  }
  const { name, description, dns_domain } = changes;
  const updated = await updateRow(tx, 'network', network.id, {
    ...(name === undefined ? {} : { name }),
    ...(description === undefined ? {} : { description }),
    ...(dns_domain === undefined ? {} : { dns_domain }),
    ...flag('admin_state_up', changes.admin_state_up),
    ...flag('shared', changes.shared),
    ...flag('external', changes['router:external']),
    ...flag('is_default', changes.is_default),
    ...flag('port_security_enabled', changes.port_security_enabled),
    ...(changes.mtu === undefined ? {} : { mtu: checkMtu(app, network.network_type, changes.mtu) }),
  });
  if (changes.is_default) await clearDefaultNetwork(tx, network.id);
  await recordChange(tx, 'network', network.id, ctx.requestId);
  return updated ?? network;
}

/** Deletes a network with its subnets, DHCP port and unassociated floating IPs; refused while other ports are on it. */
export async function deleteNetwork(tx: Tx, app: App, ctx: Context, network: Network): Promise<void> {
  await app.store.lockFamily(tx, network.id, 'subnet');
  for (const floating of await floatingIpsOfNetwork(tx, network.id)) {
    if (floating.fixed_port_id === null) await removeFloatingIp(tx, floating);
  }
  const ports = await portsOfNetwork(tx, network.id);
  const inUse = ports.filter((port) => port.device_owner !== 'network:dhcp');
  if (inUse.length > 0) {
    const ids = inUse.map((port) => port.id).join(', ');
    throw networkInUse(
      network.id,
      `There are one or more ports still in use on the network, id for these ports is ${ids}.`,
    );
  }
  for (const port of ports) await removePort(tx, port);
  await holdVni(tx, network);
  const subnets = await subnetsOfNetworks(tx, [network.id]);
  for (const subnet of subnets) {
    await deleteRow(tx, 'subnet', subnet.id);
    await recordChange(tx, 'subnet', subnet.id, ctx.requestId);
  }
  await deleteTags(tx, [network.id, ...subnets.map((subnet) => subnet.id)]);
  await deleteRow(tx, 'network', network.id);
  await recordChange(tx, 'network', network.id, ctx.requestId);
}

/** A boolean of the API as a column, left out when it was not given. */
export function flag<K extends string>(column: K, value: boolean | undefined): { [P in K]?: number } {
  return value === undefined ? {} : ({ [column]: value ? 1 : 0 } as { [P in K]?: number });
}

function networkRow(given: NetworkAttributes, segment: Segment, mtu: number) {
  return {
    id: randomUUID(),
    project_id: given.project_id,
    name: given.name,
    description: given.description,
    admin_state_up: given.admin_state_up ? 1 : 0,
    shared: given.shared ? 1 : 0,
    external: given['router:external'] ? 1 : 0,
    is_default: given.is_default ? 1 : 0,
    mtu,
    port_security_enabled: given.port_security_enabled ? 1 : 0,
    dns_domain: given.dns_domain,
    ...segment,
  };
}

function checkMtu(app: App, type: Network['network_type'], mtu: number): number {
  const largest = largestMtu(app, type);
  if (mtu > largest) throw invalidInput(`Requested MTU is too big, maximum is ${largest}`);
  if (mtu !== 0 && mtu < 68)
    throw new MaruError('bad-request', 'Requested MTU is too small, minimum is 68.', {
      type: 'InvalidInput',
    });
  return mtu === 0 ? largest : mtu;
}

function checkNotExternal(network: Network, ports: readonly NetworkTables['port'][]): void {
  const gateways = ports.some(
    (port) => port.device_owner === 'network:router_gateway' || port.device_owner === 'network:floatingip',
  );
  if (gateways) {
    throw conflict(
      `External network ${network.id} cannot be updated to be made non-external, since it has existing gateway ports.`,
      'ExternalNetworkInUse',
    );
  }
}
