import { dhcpNamespace, routerNamespace } from '../../src/net/names.js';
import type { Spec } from '../../src/protocol/objects.js';
import { objectsOf } from './model.js';
import { METADATA_ADDRESS, METADATA_PORT } from './router/tables.js';

/** A socket that the metadata service should have, and whose guests reach it there. */
export interface MetadataListener {
  readonly netns: string;
  readonly address: string;
  readonly port: number;
  /** Networks whose guests' fixed addresses are unambiguous at this socket. */
  readonly network_ids: readonly string[];
}

/**
 * Where the metadata service has to listen. Routers redirect 169.254.169.254:80 from their tenant networks to a port of
 * their own; DHCP namespaces have the address itself.
 */
export function metadataListeners(spec: Spec): MetadataListener[] {
  const routers = objectsOf(spec, 'router')
    .filter(({ body }) => body.admin_state_up && body.interfaces.length)
    .map(({ body }) => ({
      netns: routerNamespace(body.id),
      address: '0.0.0.0',
      port: METADATA_PORT,
      network_ids: [...new Set(body.interfaces.map(({ network_id }) => network_id))],
    }));
  const servers = objectsOf(spec, 'dhcp')
    .filter(({ body }) => body.addresses.some((address) => !address.includes(':')))
    .map(({ body }) => ({
      netns: dhcpNamespace(body.network_id),
      address: METADATA_ADDRESS,
      port: 80,
      network_ids: [body.network_id],
    }));
  return [...routers, ...servers];
}
