import { normaliseMac } from '../../net/mac.js';
import { addressesOfPorts } from '../../store/network/address.js';
import { hostIdByName, subnetsOfNetworks } from '../../store/network/network.js';
import { groupsOfPorts, setPortGroups } from '../../store/network/port.js';
import { findRow, updateRow } from '../../store/network/rows.js';
import { isUniqueViolation, recordChange, type Tx } from '../../store/store.js';
import type { NetworkTables } from '../../store/tables/network.js';
import { claimFixedIps, type FixedIpRequest } from '../address/fixed-ips.js';
import { checkMacFree, giveBackAddresses } from '../address/give-back.js';
import type { App } from '../app.js';
import { bindPort, unbindPort } from '../binding/bind.js';
import type { Context } from '../context.js';
import { badRequest, conflict } from '../errors.js';
import { findVisible, owns } from '../network/access.js';
import { flag } from '../network/network.js';
import { groupNotFound, macInUse, networkNotFound, notAllowedOnNetwork } from '../network/problems.js';
import { claimNetworkQuota } from '../network/quota.js';
import { ensureDefaultGroup } from '../security-group/default-group.js';
import { recordPortChange, recordPortMoved } from './changes.js';
import { insertPort } from './insert.js';
import { dropAssociations, removePort } from './remove.js';
import { checkPortRights, checkPortSecurity, checkServiceOwner } from './rules.js';

type Port = NetworkTables['port'];
type Network = NetworkTables['network'];

/** A port's attributes as the API names them; absent ones are chosen or stay. */
export interface PortAttributes {
  readonly project_id: string;
  readonly network_id: string;
  readonly name: string;
  readonly description: string;
  readonly admin_state_up: boolean;
  readonly mac_address?: string;
  readonly fixed_ips?: readonly FixedIpRequest[];
  readonly device_id: string;
  readonly device_owner: string;
  readonly security_groups?: readonly string[];
  readonly port_security_enabled?: boolean;
  readonly allowed_address_pairs?: readonly { ip_address: string; mac_address?: string }[];
  readonly extra_dhcp_opts?: readonly { opt_name: string; opt_value: string | null; ip_version?: number }[];
  readonly dns_name: string;
  readonly 'binding:host_id'?: string;
  readonly 'binding:vnic_type': string;
  readonly 'binding:profile'?: Readonly<Record<string, unknown>>;
}

/** Creates a port with addresses, groups and, for administrators, a binding. */
export async function createPort(tx: Tx, app: App, ctx: Context, given: PortAttributes): Promise<Port> {
  const network = await findVisible(tx, ctx, 'network', given.network_id, networkNotFound);
  if (!owns(ctx, network) && !network.shared) throw notAllowedOnNetwork(given.project_id, 'port');
  checkPortRights(ctx, network, { ...given }, 'create_port');
  checkServiceOwner(null, given, 'create_port');
  await claimNetworkQuota(app, tx, given.project_id, 'port');
  const secure = given.port_security_enabled ?? network.port_security_enabled === 1;
  const pairs = given.allowed_address_pairs ?? [];
  checkPortSecurity(secure, given.security_groups ?? [], pairs);
  const groups = secure ? await groupsFor(tx, ctx, given) : [];
  const subnets = await subnetsOfNetworks(tx, [network.id]);
  const port = await insertPort(tx, network, subnets, {
    ...textColumns(given),
    project_id: given.project_id,
    admin_state_up: given.admin_state_up ? 1 : 0,
    port_security_enabled: secure ? 1 : 0,
    ...(given.mac_address === undefined ? {} : { mac_address: given.mac_address }),
    vnic_type: given['binding:vnic_type'],
    binding_profile: JSON.stringify(given['binding:profile'] ?? {}),
    extra_dhcp_opts: JSON.stringify(limited(dhcpOptions(given.extra_dhcp_opts ?? []))),
    fixed_ips: given.fixed_ips,
    security_group_ids: groups,
  });
  if (pairs.length) {
    await updateRow(tx, 'port', port.id, { allowed_address_pairs: addressPairs(pairs, port.mac_address) });
  }
  if (given['binding:host_id']) await bindByName(tx, port, given['binding:host_id']);
  return (await findRow(tx, 'port', port.id))!;
}

/** Changes a port. Its addresses are replaced as a whole when given; those it keeps stay untouched. */
export async function updatePort(
  tx: Tx,
  app: App,
  ctx: Context,
  port: Port,
  changes: Partial<PortAttributes>,
): Promise<Port> {
  const network = (await findRow(tx, 'network', port.network_id))!;
  checkPortRights(ctx, network, { ...changes }, 'update_port');
  checkServiceOwner(port, changes, 'update_port');
  checkServerKept(port, changes);
  const oldGroups = (await groupsOfPorts(tx, [port.id])).map((row) => row.security_group_id);
  const groups = changes.security_groups
    ? await groupsFor(tx, ctx, { project_id: port.project_id, security_groups: changes.security_groups })
    : oldGroups;
  const secure = changes.port_security_enabled ?? port.port_security_enabled === 1;
  const pairs = changes.allowed_address_pairs ?? (JSON.parse(port.allowed_address_pairs) as []);
  checkPortSecurity(secure, groups, pairs);
  const changed = await changeMac(tx, port, network, changes.mac_address);
  if (changes.fixed_ips) await replaceAddresses(tx, app, changed, changes.fixed_ips);
  if (changes.security_groups) await setPortGroups(tx, port.id, groups);
  await updateRow(tx, 'port', port.id, {
    ...textColumns(changes),
    ...flag('admin_state_up', changes.admin_state_up),
    ...flag('port_security_enabled', changes.port_security_enabled),
    // it is up again when its host says so
    ...(changes.admin_state_up === false ? { status: 'DOWN' as const } : {}),
    allowed_address_pairs: addressPairs(pairs, changed.mac_address),
    ...(changes.extra_dhcp_opts
      ? { extra_dhcp_opts: JSON.stringify(mergeOptions(port, changes.extra_dhcp_opts)) }
      : {}),
    ...(changes['binding:vnic_type'] === undefined ? {} : { vnic_type: changes['binding:vnic_type'] }),
    ...(changes['binding:profile'] === undefined
      ? {}
      : { binding_profile: JSON.stringify(changes['binding:profile'] ?? {}) }),
  });
  if (changes['binding:host_id'] !== undefined && changes['binding:host_id'] !== port.binding_host) {
    await bindByName(tx, port, changes['binding:host_id']);
  }
  if (changed.mac_address !== port.mac_address) await recordPortMoved(tx, changed);
  else await recordPortChange(tx, port);
  for (const id of oldGroups) await recordChange(tx, 'group-members', id);
  await recordRouterOf(tx, port);
  return (await findRow(tx, 'port', port.id))!;
}

/** Deletes a port; those of routers and floating IPs go with them only. */
export async function deletePort(tx: Tx, port: Port): Promise<void> {
  if (port.device_owner === 'network:floatingip' || port.device_owner.startsWith('network:router')) {
    const table = port.device_owner === 'network:floatingip' ? 'floating_ip' : 'router';
    if (await findRow(tx, table, port.device_id)) {
      const owner = port.device_owner === 'network:floatingip' ? 'Floating IP' : 'router';
      throw conflict(
        `Port ${port.id} cannot be deleted directly via the port API: has device owner ${port.device_owner} (${owner} ${port.device_id}).`,
        'ServicePortInUse',
      );
    }
  }
  await removePort(tx, port);
}

/** What a server's port is plugged into is changed by attaching and detaching it. */
function checkServerKept(port: Port, changes: Partial<PortAttributes>): void {
  const moved = (['device_id', 'device_owner'] as const).some(
    (name) => changes[name] !== undefined && changes[name] !== port[name],
  );
  if (port.server_id !== null && moved) {
    throw conflict(
      `Unable to complete operation on port ${port.id} for network ${port.network_id}. Port already has an attached device ${port.server_id}.`,
      'PortInUse',
    );
  }
}

async function groupsFor(
  tx: Tx,
  ctx: Context,
  given: Pick<PortAttributes, 'project_id' | 'security_groups'>,
): Promise<string[]> {
  if (given.security_groups === undefined) {
    // ports of the installation itself have no project and are not filtered
    return given.project_id === '' ? [] : [(await ensureDefaultGroup(tx, given.project_id)).id];
  }
  const ids = [...new Set(given.security_groups)];
  for (const id of ids) await findVisible(tx, ctx, 'security_group', id, groupNotFound);
  return ids;
}

async function changeMac(tx: Tx, port: Port, network: Network, mac: string | undefined): Promise<Port> {
  if (mac === undefined || normaliseMac(mac) === port.mac_address) return port;
  if (port.binding_host !== '') {
    throw conflict(
      `Unable to complete operation on port ${port.id}, port is already bound, port type: bridge, old_mac ${port.mac_address}, new_mac ${mac}.`,
      'PortBound',
    );
  }
  await checkMacFree(tx, network.id, normaliseMac(mac));
  try {
    return (await updateRow(tx, 'port', port.id, { mac_address: normaliseMac(mac) })) ?? port;
  } catch (error) {
    if (isUniqueViolation(error)) throw macInUse(network.id, mac);
    throw error;
  }
}

async function replaceAddresses(
  tx: Tx,
  app: App,
  port: Port,
  wanted: readonly FixedIpRequest[],
): Promise<void> {
  await app.store.lockFamily(tx, port.id, 'port');
  const current = await addressesOfPorts(tx, [port.id]);
  const kept = new Set<string>();
  const added: FixedIpRequest[] = [];
  for (const request of wanted) {
    const match = current.find(
      (a) =>
        !kept.has(a.ip_address) &&
        (request.ip_address === undefined
          ? a.subnet_id === request.subnet_id
          : a.ip_address === request.ip_address),
    );
    if (match) kept.add(match.ip_address);
    else added.push(request);
  }
  const dropped = current.map((a) => a.ip_address).filter((ip) => !kept.has(ip));
  if (dropped.length) {
    await dropAssociations(tx, port.id, dropped);
    await giveBackAddresses(tx, port, dropped);
  }
  const subnets = await subnetsOfNetworks(tx, [port.network_id]);
  await claimFixedIps(tx, port, port.device_owner, subnets, added, kept.size);
}

/** `binding:host_id` names a host; names that no host has are only remembered, as Neutron does. */
async function bindByName(tx: Tx, port: Port, name: string): Promise<void> {
  if (name === '') return await unbindPort(tx, port.id);
  const hostId = await hostIdByName(tx, name);
  if (hostId) return await bindPort(tx, port.id, hostId);
  await unbindPort(tx, port.id);
  await updateRow(tx, 'port', port.id, { binding_host: name, status: 'DOWN' });
}

/** A router's interface is part of the router's object on its host. */
async function recordRouterOf(tx: Tx, port: Port): Promise<void> {
  if (port.device_owner.startsWith('network:router')) await recordChange(tx, 'router', port.device_id);
}

function textColumns(given: Partial<PortAttributes>) {
  const { name, description, device_id, device_owner, dns_name } = given;
  const columns = { name, description, device_id, device_owner, dns_name };
  return Object.fromEntries(Object.entries(columns).filter(([, value]) => value !== undefined)) as {
    [K in keyof typeof columns]?: string;
  };
}

function addressPairs(pairs: readonly { ip_address: string; mac_address?: string }[], mac: string): string {
  const complete = pairs.map((pair) => ({
    ip_address: pair.ip_address,
    mac_address: normaliseMac(pair.mac_address ?? mac),
  }));
  return JSON.stringify(complete);
}

interface DhcpOption {
  readonly opt_name: string;
  readonly opt_value: string;
  readonly ip_version: number;
}

function dhcpOptions(given: NonNullable<PortAttributes['extra_dhcp_opts']>): DhcpOption[] {
  return given.flatMap(({ opt_name, opt_value, ip_version }) =>
    opt_value === null ? [] : [{ opt_name, opt_value, ip_version: ip_version ?? 4 }],
  );
}

/** Options given replace those of the same name and version; a null value removes one. */
function mergeOptions(port: Port, given: NonNullable<PortAttributes['extra_dhcp_opts']>): DhcpOption[] {
  const same = (a: { opt_name: string; ip_version?: number }, b: DhcpOption) =>
    a.opt_name === b.opt_name && (a.ip_version ?? 4) === b.ip_version;
  const kept = (JSON.parse(port.extra_dhcp_opts) as DhcpOption[]).filter(
    (old) => !given.some((option) => same(option, old)),
  );
  return limited([...kept, ...dhcpOptions(given)]);
}

const MOST_DHCP_OPTIONS = 64;

function limited(options: DhcpOption[]): DhcpOption[] {
  if (options.length <= MOST_DHCP_OPTIONS) return options;
  throw badRequest(`A port has at most ${MOST_DHCP_OPTIONS} DHCP options.`, 'HTTPBadRequest');
}
