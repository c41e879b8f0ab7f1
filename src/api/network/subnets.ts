import { subnetNotFound } from '../../core/network/problems.js';
import { createSubnet, deleteSubnet, type SubnetAttributes, updateSubnet } from '../../core/subnet/subnet.js';
import { tagsOf } from '../../store/network/tag.js';
import type { NetworkTables } from '../../store/tables/network.js';
import {
  invalid,
  ip,
  listOf,
  object,
  oneOf,
  orNull,
  subnetCidr,
  text,
  toBoolean,
  toInteger,
  uuid,
} from './converters.js';
import { ADMIN_RULE, type Json, type Resource, type ViewContext } from './resource.js';
import { ids, STANDARD_ATTRIBUTES, STANDARD_FILTERS, standardView } from './standard.js';

const MODES = ['slaac', 'dhcpv6-stateful', 'dhcpv6-stateless'];

export const hostRoutes = listOf(
  object({
    destination: { convert: subnetCidr, required: true },
    nexthop: { convert: ip, required: true },
  }),
);

export const subnets: Resource<'subnet'> = {
  table: 'subnet',
  name: 'subnet',
  plural: 'subnets',
  path: 'subnets',
  notFound: subnetNotFound,
  attributes: {
    ...STANDARD_ATTRIBUTES,
    network_id: { post: true, required: true, convert: uuid },
    ip_version: { post: true, required: true, convert: (v, a) => oneOf(4, 6)(toInteger(v), a) },
    cidr: { post: true, convert: orNull(subnetCidr) },
    gateway_ip: { post: true, put: true, convert: orNull(ip) },
    allocation_pools: {
      post: true,
      put: true,
      convert: (value, attribute) =>
        value === null
          ? undefined
          : listOf(object({ start: { convert: ip, required: true }, end: { convert: ip, required: true } }))(
              value,
              attribute,
            ),
    },
    dns_nameservers: { post: true, put: true, convert: nameservers, fallback: [] },
    host_routes: { post: true, put: true, convert: hostRoutes, fallback: [] },
    enable_dhcp: { post: true, put: true, convert: toBoolean, fallback: true },
    ipv6_ra_mode: { post: true, convert: orNull(oneOf(...MODES)) },
    ipv6_address_mode: { post: true, convert: orNull(oneOf(...MODES)) },
    service_types: {
      post: true,
      put: true,
      convert: listOf(text()),
      fallback: [],
      writeRule: ADMIN_RULE,
    },
    subnetpool_id: {},
  },
  filters: {
    ...STANDARD_FILTERS,
    network_id: { column: 'network_id', type: 'text' },
    ip_version: { column: 'ip_version', type: 'integer' },
    cidr: { column: 'cidr', type: 'text' },
    gateway_ip: { column: 'gateway_ip', type: 'text' },
    enable_dhcp: { column: 'enable_dhcp', type: 'boolean' },
    ipv6_ra_mode: { column: 'ipv6_ra_mode', type: 'text' },
    ipv6_address_mode: { column: 'ipv6_address_mode', type: 'text' },
  },
  view: viewSubnets,
  create: (tx, app, ctx, given) => createSubnet(tx, app, ctx, given as unknown as SubnetAttributes),
  update: (tx, _app, ctx, row, changes) => updateSubnet(tx, ctx, row, changes),
  remove: deleteSubnet,
};

function nameservers(value: unknown, attribute: string): unknown {
  const servers = listOf(ip)(value, attribute) as string[];
  const twice = servers.find((server, i) => servers.indexOf(server) !== i);
  if (twice) throw invalid(attribute, `Duplicate nameserver '${twice}'.`);
  return servers;
}

async function viewSubnets(rows: readonly NetworkTables['subnet'][], { db }: ViewContext): Promise<Json[]> {
  const tags = await tagsOf(db, ids(rows));
  return rows.map((row) => ({
    id: row.id,
    name: row.name,
    network_id: row.network_id,
    ip_version: row.ip_version,
    subnetpool_id: null,
    enable_dhcp: row.enable_dhcp === 1,
    ipv6_ra_mode: row.ipv6_ra_mode,
    ipv6_address_mode: row.ipv6_address_mode,
    gateway_ip: row.gateway_ip,
    cidr: row.cidr,
    allocation_pools: JSON.parse(row.allocation_pools),
    host_routes: JSON.parse(row.host_routes),
    dns_nameservers: JSON.parse(row.dns_nameservers),
    service_types: JSON.parse(row.service_types),
    ...standardView(row, tags),
  }));
}
