import {
  createFloatingIp,
  type FloatingIpAttributes,
  updateFloatingIp,
} from '../../core/floating-ip/floating-ip.js';
import { removeFloatingIp } from '../../core/floating-ip/remove.js';
import { floatingIpNotFound } from '../../core/network/problems.js';
import { findRows } from '../../store/network/rows.js';
import { tagsOf } from '../../store/network/tag.js';
import type { NetworkTables } from '../../store/tables/network.js';
import { domainOrEmpty, ip, orNull, textOrEmpty, uuid } from './converters.js';
import { type Json, MANAGER_RULE, type Resource, type ViewContext } from './resource.js';
import { ids, STANDARD_ATTRIBUTES, STANDARD_FILTERS, standardView } from './standard.js';

const { name: _name, ...WITHOUT_NAME } = STANDARD_ATTRIBUTES;
const { name: _filter, ...FILTERS_WITHOUT_NAME } = STANDARD_FILTERS;

export const floatingIps: Resource<'floating_ip'> = {
  table: 'floating_ip',
  name: 'floatingip',
  plural: 'floatingips',
  path: 'floatingips',
  notFound: floatingIpNotFound,
  attributes: {
    ...WITHOUT_NAME,
    floating_network_id: { post: true, required: true, convert: uuid },
    subnet_id: { post: true, convert: orNull(uuid) },
    floating_ip_address: { post: true, convert: orNull(ip), writeRule: MANAGER_RULE },
    port_id: { post: true, put: true, convert: orNull(uuid) },
    fixed_ip_address: { post: true, put: true, convert: orNull(ip) },
    dns_name: { post: true, convert: textOrEmpty(63), fallback: '' },
    dns_domain: { post: true, convert: domainOrEmpty, fallback: '' },
    router_id: {},
    status: {},
    port_details: {},
  },
  filters: {
    ...FILTERS_WITHOUT_NAME,
    floating_network_id: { column: 'floating_network_id', type: 'text' },
    floating_ip_address: { column: 'floating_ip_address', type: 'text' },
    port_id: { column: 'fixed_port_id', type: 'text' },
    fixed_ip_address: { column: 'fixed_ip_address', type: 'text' },
    router_id: { column: 'router_id', type: 'text' },
    status: { column: 'status', type: 'text' },
  },
  view: viewFloatingIps,
  create: (tx, app, ctx, given) => createFloatingIp(tx, app, ctx, given as unknown as FloatingIpAttributes),
  update: (tx, app, ctx, row, changes) =>
    updateFloatingIp(tx, app, ctx, row, changes as Partial<FloatingIpAttributes>),
  remove: (tx, _app, _ctx, row) => removeFloatingIp(tx, row),
};

async function viewFloatingIps(
  rows: readonly NetworkTables['floating_ip'][],
  { db }: ViewContext,
): Promise<Json[]> {
  const ports = await findRows(db, 'port', [...new Set(rows.flatMap((row) => row.fixed_port_id ?? []))]);
  const portOf = new Map(ports.map((port) => [port.id, port]));
  const tags = await tagsOf(db, ids(rows));
  return rows.map((row) => ({
    id: row.id,
    floating_ip_address: row.floating_ip_address,
    floating_network_id: row.floating_network_id,
    router_id: row.router_id,
    port_id: row.fixed_port_id,
    fixed_ip_address: row.fixed_ip_address,
    status: row.status,
    port_details: portDetails(portOf.get(row.fixed_port_id ?? '')),
    dns_name: row.dns_name,
    dns_domain: row.dns_domain,
    ...standardView(row, tags),
  }));
}

function portDetails(port: NetworkTables['port'] | undefined): Json | null {
  if (!port) return null;
  return {
    name: port.name,
    network_id: port.network_id,
    mac_address: port.mac_address,
    admin_state_up: port.admin_state_up === 1,
    status: port.status,
    device_id: port.device_id,
    device_owner: port.device_owner,
  };
}
