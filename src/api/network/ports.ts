import { badRequest } from '../../core/errors.js';
import { portNotFound } from '../../core/network/problems.js';
import { createPort, deletePort, type PortAttributes, updatePort } from '../../core/port/port.js';
import { groupBy } from '../../group-by.js';
import { tryParseCidr } from '../../net/cidr.js';
import { addressesOfPorts } from '../../store/network/address.js';
import { groupsOfPorts } from '../../store/network/port.js';
import { tagsOf } from '../../store/network/tag.js';
import { recordChange } from '../../store/store.js';
import type { NetworkTables } from '../../store/tables/network.js';
import {
  anyObject,
  invalid,
  ip,
  listOf,
  mac,
  object,
  oneOf,
  orNull,
  text,
  textOrEmpty,
  toBoolean,
  toInteger,
  uuid,
} from './converters.js';
import { ADMIN_OR_SERVICE_RULE, type Json, type Resource, type ViewContext } from './resource.js';
import { ids, STANDARD_ATTRIBUTES, STANDARD_FILTERS, standardView } from './standard.js';

/** Of hosts: also for services that bring ports up. */
const hostsOnly = {
  post: true,
  put: true,
  writeRule: ADMIN_OR_SERVICE_RULE,
  readRule: ADMIN_OR_SERVICE_RULE,
};

export const fixedIps = listOf(object({ subnet_id: { convert: uuid }, ip_address: { convert: ip } }));

export const ports: Resource<'port'> = {
  table: 'port',
  name: 'port',
  plural: 'ports',
  path: 'ports',
  notFound: portNotFound,
  attributes: {
    ...STANDARD_ATTRIBUTES,
    network_id: { post: true, required: true, convert: uuid },
    admin_state_up: { post: true, put: true, convert: toBoolean, fallback: true },
    mac_address: { post: true, put: true, convert: mac },
    fixed_ips: { post: true, put: true, convert: distinctIps },
    device_id: { post: true, put: true, convert: textOrEmpty(), fallback: '' },
    device_owner: { post: true, put: true, convert: textOrEmpty(), fallback: '' },
    security_groups: { post: true, put: true, convert: listOf(uuid) },
    port_security_enabled: { post: true, put: true, convert: toBoolean },
    allowed_address_pairs: { post: true, put: true, convert: addressPairs },
    extra_dhcp_opts: { post: true, put: true, convert: dhcpOptions },
    dns_name: { post: true, put: true, convert: textOrEmpty(63), fallback: '' },
    'binding:vnic_type': { post: true, put: true, convert: oneOf('normal'), fallback: 'normal' },
    'binding:host_id': { ...hostsOnly, convert: textOrEmpty() },
    'binding:profile': { ...hostsOnly, convert: anyObject },
    'binding:vif_type': { readRule: ADMIN_OR_SERVICE_RULE },
    'binding:vif_details': { readRule: ADMIN_OR_SERVICE_RULE },
    status: {},
    dns_assignment: {},
  },
  filters: {
    ...STANDARD_FILTERS,
    network_id: { column: 'network_id', type: 'text' },
    admin_state_up: { column: 'admin_state_up', type: 'boolean' },
    mac_address: { column: 'mac_address', type: 'text' },
    device_id: { column: 'device_id', type: 'text' },
    device_owner: { column: 'device_owner', type: 'text' },
    status: { column: 'status', type: 'text' },
    port_security_enabled: { column: 'port_security_enabled', type: 'boolean' },
    dns_name: { column: 'dns_name', type: 'text' },
    'binding:host_id': { column: 'binding_host', type: 'text' },
    'binding:vnic_type': { column: 'vnic_type', type: 'text' },
  },
  view: viewPorts,
  create: (tx, app, ctx, given) => createPort(tx, app, ctx, given as unknown as PortAttributes),
  update: (tx, app, ctx, row, changes) => updatePort(tx, app, ctx, row, changes),
  async remove(tx, _app, ctx, row) {
    await deletePort(tx, row);
    await recordChange(tx, 'port', row.id, ctx.requestId);
  },
};

function distinctIps(value: unknown, attribute: string): unknown {
  const list = fixedIps(value, attribute) as { ip_address?: string }[];
  const given = list.flatMap((item) => item.ip_address ?? []);
  const twice = given.find((address, i) => given.indexOf(address) !== i);
  if (twice) throw invalid(attribute, `Duplicate IP address '${twice}'.`);
  return list;
}

/** Neutron's max_allowed_address_pair: hosts compare every pair of a port with every other. */
const MOST_ADDRESS_PAIRS = 10;

function addressPairs(value: unknown, attribute: string): unknown {
  const block = (address: unknown, name: string) => {
    if (typeof address !== 'string' || !tryParseCidr(address)) {
      throw invalid(name, `'${address}' is not a valid IP address or subnet.`);
    }
    return address;
  };
  const list = listOf(
    object({ ip_address: { convert: block, required: true }, mac_address: { convert: mac } }),
  )(value, attribute) as { ip_address: string; mac_address?: string }[];
  if (list.length > MOST_ADDRESS_PAIRS) {
    throw badRequest(
      `Exceeded maximum amount of address pairs: ${MOST_ADDRESS_PAIRS}.`,
      'AllowedAddressPairExhausted',
    );
  }
  const keys = list.map((pair) => `${pair.mac_address ?? ''} ${pair.ip_address}`);
  if (new Set(keys).size < keys.length) {
    throw invalid(attribute, 'Request contains duplicate address pair.');
  }
  return list;
}

function dhcpOptions(value: unknown, attribute: string): unknown {
  return listOf(
    object({
      opt_name: { convert: text(64), required: true },
      opt_value: { convert: orNull(text()), required: true },
      ip_version: { convert: (v, a) => oneOf(4, 6)(toInteger(v), a) },
    }),
  )(value, attribute);
}

async function viewPorts(rows: readonly NetworkTables['port'][], { db }: ViewContext): Promise<Json[]> {
  const addresses = groupBy(await addressesOfPorts(db, ids(rows)), (a) => a.port_id ?? '');
  const groups = groupBy(await groupsOfPorts(db, ids(rows)), (g) => g.port_id);
  const tags = await tagsOf(db, ids(rows));
  return rows.map((row) => {
    const own = addresses.get(row.id) ?? [];
    return {
      id: row.id,
      name: row.name,
      network_id: row.network_id,
      mac_address: row.mac_address,
      admin_state_up: row.admin_state_up === 1,
      status: row.status,
      device_id: row.device_id,
      device_owner: row.device_owner,
      fixed_ips: own.map(({ subnet_id, ip_address }) => ({ subnet_id, ip_address })),
      allowed_address_pairs: JSON.parse(row.allowed_address_pairs),
      extra_dhcp_opts: JSON.parse(row.extra_dhcp_opts),
      security_groups: (groups.get(row.id) ?? []).map((group) => group.security_group_id),
      port_security_enabled: row.port_security_enabled === 1,
      dns_name: row.dns_name,
      dns_assignment: own.map(({ ip_address }) => dnsAssignment(row, ip_address)),
      'binding:vnic_type': row.vnic_type,
      'binding:host_id': row.binding_host,
      'binding:profile': JSON.parse(row.binding_profile),
      'binding:vif_type': row.binding_host === '' ? 'unbound' : 'bridge',
      'binding:vif_details':
        row.binding_host === '' ? {} : { port_filter: row.port_security_enabled === 1, connectivity: 'l2' },
      ...standardView(row, tags),
    };
  });
}

function dnsAssignment(row: NetworkTables['port'], address: string) {
  const hostname = row.dns_name || `host-${address.replace(/[.:]/g, '-')}`;
  return { ip_address: address, hostname, fqdn: `${hostname}.openstacklocal.` };
}
