import type { RouterObject } from '../protocol/objects.js';
import type { NetworkTables } from '../store/tables/network.js';
import { type AddressRow, interfaceCidr } from './subnet.js';

/** What one router is made of. */
export interface RouterRows {
  readonly router: NetworkTables['router'];
  /** Its ports, each with its network's MTU. */
  readonly ports: readonly (NetworkTables['port'] & { readonly mtu: number })[];
  readonly addresses: readonly AddressRow[];
  readonly floatingIps: readonly NetworkTables['floating_ip'][];
}

/** A router as its host should have it. */
export function routerObject(rows: RouterRows): RouterObject {
  const { router } = rows;
  const gateway = rows.ports.find((port) => port.id === router.gateway_port_id);
  return {
    id: router.id,
    epoch: router.host_epoch,
    admin_state_up: router.admin_state_up === 1,
    external: gateway
      ? {
          ...connection(rows, gateway),
          gateways: gatewaysOf(rows.addresses.filter((address) => address.port_id === gateway.id)),
          enable_snat: router.enable_snat === 1,
        }
      : null,
    interfaces: rows.ports
      .filter((port) => port.device_owner === 'network:router_interface')
      .map((port) => connection(rows, port)),
    routes: JSON.parse(router.routes),
    floating_ips: rows.floatingIps.flatMap((floating) =>
      floating.fixed_port_id && floating.fixed_ip_address
        ? [
            {
              id: floating.id,
              floating_ip_address: floating.floating_ip_address,
              fixed_ip_address: floating.fixed_ip_address,
              port_id: floating.fixed_port_id,
            },
          ]
        : [],
    ),
  };
}

/** What makes a host give a router up; its revision, reported as applied, is the receipt. */
export function withdrawnRouter(id: string, epoch: number): RouterObject {
  return {
    id,
    epoch,
    withdrawn: true,
    admin_state_up: false,
    external: null,
    interfaces: [],
    routes: [],
    floating_ips: [],
  };
}

function connection(rows: RouterRows, port: RouterRows['ports'][number]) {
  return {
    port_id: port.id,
    network_id: port.network_id,
    mac: port.mac_address,
    mtu: port.mtu,
    addresses: rows.addresses.filter((address) => address.port_id === port.id).map(interfaceCidr),
  };
}

/** The first gateway of each IP version. */
function gatewaysOf(addresses: readonly AddressRow[]): string[] {
  return ([4, 6] as const).flatMap((version) => {
    const found = addresses.find((address) => address.ip_version === version && address.gateway_ip !== null);
    return found?.gateway_ip ?? [];
  });
}
