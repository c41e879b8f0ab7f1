import {
  createNetwork,
  deleteNetwork,
  type NetworkAttributes,
  updateNetwork,
} from '../../core/network/network.js';
import { networkNotFound } from '../../core/network/problems.js';
import { subnetsOfNetworks } from '../../store/network/network.js';
import { tagsOf } from '../../store/network/tag.js';
import type { NetworkTables } from '../../store/tables/network.js';
import { domainOrEmpty, orNull, text, toBoolean, toInteger } from './converters.js';
import { ADMIN_RULE, type Json, type Resource, type ViewContext } from './resource.js';
import { ids, STANDARD_ATTRIBUTES, STANDARD_FILTERS, standardView } from './standard.js';

const adminOnly = { writeRule: ADMIN_RULE };
const provider = { post: true, put: true, writeRule: ADMIN_RULE, readRule: ADMIN_RULE };

export const networks: Resource<'network'> = {
  table: 'network',
  name: 'network',
  plural: 'networks',
  path: 'networks',
  notFound: networkNotFound,
  attributes: {
    ...STANDARD_ATTRIBUTES,
    admin_state_up: { post: true, put: true, convert: toBoolean, fallback: true },
    shared: { post: true, put: true, convert: toBoolean, fallback: false, ...adminOnly },
    'router:external': { post: true, put: true, convert: toBoolean, fallback: false, ...adminOnly },
    is_default: { post: true, put: true, convert: toBoolean, fallback: false, ...adminOnly },
    mtu: { post: true, put: true, convert: toInteger, fallback: 0 },
    port_security_enabled: { post: true, put: true, convert: toBoolean, fallback: true },
    dns_domain: { post: true, put: true, convert: domainOrEmpty, fallback: '' },
    'provider:network_type': { ...provider, convert: orNull(text(32)) },
    'provider:physical_network': { ...provider, convert: orNull(text(64)) },
    'provider:segmentation_id': { ...provider, convert: orNull(toInteger) },
    status: {},
    subnets: {},
    ipv4_address_scope: {},
    ipv6_address_scope: {},
    l2_adjacency: {},
  },
  filters: {
    ...STANDARD_FILTERS,
    admin_state_up: { column: 'admin_state_up', type: 'boolean' },
    shared: { column: 'shared', type: 'boolean' },
    'router:external': { column: 'external', type: 'boolean' },
    is_default: { column: 'is_default', type: 'boolean' },
    mtu: { column: 'mtu', type: 'integer' },
    port_security_enabled: { column: 'port_security_enabled', type: 'boolean' },
    'provider:network_type': { column: 'network_type', type: 'text' },
    'provider:physical_network': { column: 'physical_network', type: 'text' },
    'provider:segmentation_id': { column: 'segmentation_id', type: 'integer' },
    status: { constant: 'ACTIVE' },
  },
  view: viewNetworks,
  create: (tx, app, ctx, given) => createNetwork(tx, app, ctx, given as unknown as NetworkAttributes),
  update: (tx, app, ctx, row, changes) => updateNetwork(tx, app, ctx, row, changes),
  remove: deleteNetwork,
};

async function viewNetworks(
  rows: readonly NetworkTables['network'][],
  { db, ctx }: ViewContext,
): Promise<Json[]> {
  const subnets = await subnetsOfNetworks(db, ids(rows));
  const tags = await tagsOf(db, ids(rows));
  return rows.map((row) => {
    // subnets of external networks are their owner's business
    const mayList = ctx.reaches(row.project_id) || row.shared === 1 || row.external === 1;
    const own = mayList ? subnets.filter((subnet) => subnet.network_id === row.id) : [];
    return {
      id: row.id,
      name: row.name,
      admin_state_up: row.admin_state_up === 1,
      mtu: row.mtu,
      status: 'ACTIVE',
      subnets: own.map((subnet) => subnet.id),
      shared: row.shared === 1,
      'router:external': row.external === 1,
      is_default: row.is_default === 1,
      port_security_enabled: row.port_security_enabled === 1,
      dns_domain: row.dns_domain,
      'provider:network_type': row.network_type,
      'provider:physical_network': row.physical_network,
      'provider:segmentation_id': row.segmentation_id,
      ipv4_address_scope: null,
      ipv6_address_scope: null,
      l2_adjacency: true,
      ...standardView(row, tags),
    };
  });
}
