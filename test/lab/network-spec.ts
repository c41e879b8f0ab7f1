import { linkLocalAddress } from '../../src/net/mac.js';
import { objectKey, specObject } from '../../src/protocol/keys.js';
import type { ObjectBodies, ObjectKey, ObjectKind, SecurityRule, Spec } from '../../src/protocol/objects.js';

/** Ids that are easy to tell apart in the names of devices. */
export function id(n: number): string {
  return `${n.toString(16).padStart(8, '0')}-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;
}

/** One for each number, to be taken apart. */
export function ids<const N extends readonly number[]>(numbers: N): { readonly [I in keyof N]: string } {
  return numbers.map(id) as { readonly [I in keyof N]: string };
}

export function mac(n: number): string {
  return `fa:16:3e:00:${(n >> 8).toString(16).padStart(2, '0')}:${(n & 255).toString(16).padStart(2, '0')}`;
}

export { linkLocalAddress };

/** A spec under construction: objects by kind, complete with defaults. */
export class SpecBuilder {
  readonly #objects = new Map<ObjectKey, Spec[ObjectKey]>();

  put<K extends ObjectKind>(kind: K, objectId: string, body: ObjectBodies[K]): ObjectKey {
    const key = objectKey(kind, objectId);
    this.#objects.set(key, specObject<K>(body));
    return key;
  }

  drop(key: ObjectKey): ObjectKey {
    this.#objects.delete(key);
    return key;
  }

  get spec(): Spec {
    return Object.fromEntries(this.#objects) as Spec;
  }
}

/** The external network on br-ex. */
export function flat(networkId: string): ObjectBodies['network'] {
  return {
    ...vxlan(networkId, 0),
    type: 'flat',
    physical_network: 'extnet',
    segmentation_id: null,
    mtu: 1500,
  };
}

export function vxlan(networkId: string, vni: number): ObjectBodies['network'] {
  return {
    id: networkId,
    type: 'vxlan',
    physical_network: null,
    segmentation_id: vni,
    mtu: 1450,
    peers: [],
    remote_ports: [],
  };
}

/** A router between the external network (port `qg`, 203.0.113.10) and a tenant's (port `qr`). */
export function router(
  routerId: string,
  external: { readonly qg: string; readonly network: string },
  inside: { readonly qr: string; readonly network: string; readonly addresses?: readonly string[] },
  more: Partial<ObjectBodies['router']> = {},
): ObjectBodies['router'] {
  return {
    id: routerId,
    epoch: 1,
    admin_state_up: true,
    external: {
      port_id: external.qg,
      network_id: external.network,
      mac: mac(7),
      mtu: 1500,
      addresses: ['203.0.113.10/24'],
      gateways: ['203.0.113.1'],
      enable_snat: true,
    },
    interfaces: [
      {
        port_id: inside.qr,
        network_id: inside.network,
        mac: mac(6),
        mtu: 1450,
        addresses: inside.addresses ?? ['10.0.0.1/24'],
      },
    ],
    routes: [],
    floating_ips: [],
    ...more,
  };
}

export function subnet(
  subnetId: string,
  cidr: string,
  gateway: string | null,
): ObjectBodies['dhcp']['subnets'][number] {
  return {
    id: subnetId,
    ip_version: cidr.includes(':') ? 6 : 4,
    cidr,
    gateway_ip: gateway,
    dns_nameservers: [],
    host_routes: [],
    enable_dhcp: true,
    ipv6_ra_mode: null,
    ipv6_address_mode: null,
  };
}

export function port(
  portId: string,
  networkId: string,
  macAddress: string,
  ips: readonly string[],
  groups: readonly string[],
): ObjectBodies['port'] {
  return {
    id: portId,
    network_id: networkId,
    device_id: id(0xdddd),
    mac: macAddress,
    mtu: 1450,
    admin_state_up: true,
    fixed_ips: ips,
    allowed_address_pairs: [],
    port_security: true,
    security_group_ids: groups,
  };
}

let nextRule = 0x9000;

export function rule(direction: SecurityRule['direction'], more: Partial<SecurityRule> = {}): SecurityRule {
  return {
    id: id(nextRule++),
    direction,
    ethertype: 'IPv4',
    protocol: null,
    port_range_min: null,
    port_range_max: null,
    remote_ip_prefix: null,
    remote_group_id: null,
    ...more,
  };
}

export function group(groupId: string, rules: readonly SecurityRule[]): ObjectBodies['security-group'] {
  return { id: groupId, stateful: true, rules };
}

/** What OpenStack gives every new group: everything out, nothing in. */
export function egressAll(): SecurityRule[] {
  return [rule('egress'), rule('egress', { ethertype: 'IPv6' })];
}
