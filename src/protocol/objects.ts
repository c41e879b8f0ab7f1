/**
 * What a host should have: the objects of its spec. This is the contract between the controller, which renders the
 * objects from its database, and the agent, which makes the host match them. Bodies are plain JSON.
 */

/** One IPv4 or IPv6 address of an interface, in CIDR notation, such as `10.0.0.5/24`. */
export type Cidr = string;

/** A layer-2 segment that this host takes part in. */
export interface NetworkObject {
  readonly id: string;
  readonly type: 'flat' | 'vlan' | 'vxlan' | 'local';
  /** Alias of the provider network (flat, vlan); the agent's configuration maps it to a bridge such as `br-ex`. */
  readonly physical_network: string | null;
  /** VNI or VLAN id. */
  readonly segmentation_id: number | null;
  readonly mtu: number;
  /** Underlay addresses of the other hosts of this network: the flooding list of its VXLAN device. */
  readonly peers: readonly string[];
  /** Unicast forwarding entries: MACs of ports on other hosts and the underlay address to reach each at. */
  readonly remote_ports: readonly { readonly mac: string; readonly vtep: string }[];
}

export interface SubnetBody {
  readonly id: string;
  readonly ip_version: 4 | 6;
  readonly cidr: Cidr;
  readonly gateway_ip: string | null;
  readonly dns_nameservers: readonly string[];
  readonly host_routes: readonly { readonly destination: Cidr; readonly nexthop: string }[];
  readonly enable_dhcp: boolean;
  readonly ipv6_ra_mode: 'slaac' | 'dhcpv6-stateful' | 'dhcpv6-stateless' | null;
  readonly ipv6_address_mode: 'slaac' | 'dhcpv6-stateful' | 'dhcpv6-stateless' | null;
}

/** The DHCP (and metadata) service of one network on this host; id is the network's id. */
export interface DhcpObject {
  readonly network_id: string;
  readonly port_id: string;
  readonly mac: string;
  readonly addresses: readonly Cidr[];
  readonly mtu: number;
  readonly dns_domain: string;
  readonly subnets: readonly SubnetBody[];
  /** One entry per port of this network on this host. */
  readonly reservations: readonly {
    readonly port_id: string;
    readonly mac: string;
    readonly hostname: string;
    readonly fixed_ips: readonly { readonly subnet_id: string; readonly ip_address: string }[];
    readonly extra_dhcp_opts: readonly {
      readonly opt_name: string;
      readonly opt_value: string;
      readonly ip_version: 4 | 6;
    }[];
  }[];
}

/** A guest's port on this host: its tap device `tap<first 11 of id>`, its bridge membership and its filters. */
export interface PortObject {
  readonly id: string;
  readonly network_id: string;
  /** The server that the port is plugged into. */
  readonly device_id: string;
  readonly mac: string;
  readonly mtu: number;
  readonly admin_state_up: boolean;
  readonly fixed_ips: readonly string[];
  readonly allowed_address_pairs: readonly { readonly ip_address: Cidr; readonly mac_address: string }[];
  /** False: no anti-spoofing and no security groups. */
  readonly port_security: boolean;
  readonly security_group_ids: readonly string[];
}

/** A normalised allow rule of a security group. */
export interface SecurityRule {
  readonly id: string;
  readonly direction: 'ingress' | 'egress';
  readonly ethertype: 'IPv4' | 'IPv6';
  /** Lower-case name (`tcp`, `icmp`, `ipv6-icmp` …) or decimal number as text; null: any. */
  readonly protocol: string | null;
  /** Ports, or ICMP type (min) and code (max). */
  readonly port_range_min: number | null;
  readonly port_range_max: number | null;
  readonly remote_ip_prefix: Cidr | null;
  readonly remote_group_id: string | null;
}

export interface SecurityGroupObject {
  readonly id: string;
  readonly stateful: boolean;
  readonly rules: readonly SecurityRule[];
}

/** Addresses of a group's members on one network, for rules with a remote group; id is `<group>:<network>`. */
export interface GroupMembersObject {
  readonly group_id: string;
  readonly network_id: string;
  readonly ipv4: readonly string[];
  readonly ipv6: readonly string[];
}

export interface RouterObject {
  readonly id: string;
  /** Ownership counter: rises with every owner. A host refuses one that is older than what it has seen of the router. */
  readonly epoch: number;
  /**
   * The host has to give the router up: reporting this as applied is the receipt that nothing of it is left here, and from then on
   * the host refuses this epoch. Everything else of the body is empty then.
   */
  readonly withdrawn?: true;
  readonly admin_state_up: boolean;
  readonly external: {
    readonly port_id: string;
    readonly network_id: string;
    readonly mac: string;
    readonly mtu: number;
    readonly addresses: readonly Cidr[];
    /** Default gateways, at most one per IP version. */
    readonly gateways: readonly string[];
    readonly enable_snat: boolean;
  } | null;
  readonly interfaces: readonly {
    readonly port_id: string;
    readonly network_id: string;
    readonly mac: string;
    readonly mtu: number;
    readonly addresses: readonly Cidr[];
  }[];
  readonly routes: readonly { readonly destination: Cidr; readonly nexthop: string }[];
  readonly floating_ips: readonly {
    readonly id: string;
    readonly floating_ip_address: string;
    readonly fixed_ip_address: string;
    readonly port_id: string;
  }[];
}

/** An image that disks of this host are based on; fetched from the controller and verified before use. */
export interface ImageRef {
  readonly id: string;
  readonly disk_format: 'qcow2' | 'raw' | 'iso';
  /** Bytes of the file. */
  readonly size: number;
  /** Hex SHA-512 of the file. */
  readonly sha512: string;
}

export interface DiskBody {
  readonly role: 'root' | 'ephemeral' | 'swap' | 'volume' | 'cdrom';
  /** Target device in the guest, such as `vda`. */
  readonly device: string;
  readonly bus: 'virtio' | 'scsi' | 'sata' | 'ide';
  /** Bytes; 0 means: as large as the image. Unused for volumes. */
  readonly size_bytes: number;
  /** Base image of a root disk or the ISO of a cdrom. */
  readonly image: ImageRef | null;
  readonly volume_id: string | null;
  /** 1 boots first; null is not bootable. */
  readonly boot_index: number | null;
}

/** What the guest learns about itself: metadata service and config drive are rendered from it. */
export interface GuestMetadata {
  readonly uuid: string;
  readonly name: string;
  readonly hostname: string;
  readonly project_id: string;
  readonly availability_zone: string;
  readonly launch_index: number;
  readonly meta: Readonly<Record<string, string>>;
  readonly keys: readonly { readonly name: string; readonly type: 'ssh' | 'x509'; readonly data: string }[];
  /** Base64, as given at creation. */
  readonly user_data: string | null;
  readonly admin_pass: string | null;
  readonly instance_type: string;
  readonly image_id: string | null;
  readonly security_groups: readonly string[];
  readonly networks: readonly {
    readonly network_id: string;
    readonly port_id: string;
    readonly mac: string;
    readonly mtu: number;
    readonly fixed_ips: readonly {
      readonly ip_address: string;
      readonly prefix_length: number;
      readonly subnet: SubnetBody;
    }[];
    readonly floating_ips: readonly string[];
  }[];
}

/** A guest of this host. Its domain is named `instance_name` and carries the uuid; removed only by a tombstone. */
export interface ServerObject {
  readonly id: string;
  readonly instance_name: string;
  readonly name: string;
  readonly project_id: string;
  readonly user_id: string;
  /** Ownership counter: the agent acts on a server only under the newest epoch it has seen. */
  readonly run_epoch: number;
  readonly vcpus: number;
  readonly memory_mb: number;
  readonly power: 'running' | 'stopped';
  /** Raised by each reboot; a domain reboots once per value that it has not yet seen. */
  readonly reboot: { readonly soft: number; readonly hard: number };
  readonly disks: readonly DiskBody[];
  readonly nics: readonly {
    readonly port_id: string;
    readonly mac: string;
    readonly mtu: number;
    readonly model: 'virtio' | 'e1000';
  }[];
  readonly config_drive: boolean;
  readonly metadata: GuestMetadata;
  /** Hardware choices from image properties and flavor extra specs (`hw:…`, `hw_…`), already validated. */
  readonly hardware: Readonly<Record<string, string>>;
}

/** A block volume kept on this host; removed only by a tombstone. */
export interface VolumeObject {
  readonly id: string;
  readonly format: 'qcow2' | 'raw';
  readonly size_bytes: number;
  readonly image: ImageRef | null;
}

/** Every kind of object and the type of its body. */
export interface ObjectBodies {
  network: NetworkObject;
  dhcp: DhcpObject;
  port: PortObject;
  'security-group': SecurityGroupObject;
  'group-members': GroupMembersObject;
  router: RouterObject;
  server: ServerObject;
  volume: VolumeObject;
}

export type ObjectKind = keyof ObjectBodies;

export const OBJECT_KINDS: readonly ObjectKind[] = [
  'network',
  'dhcp',
  'port',
  'security-group',
  'group-members',
  'router',
  'server',
  'volume',
];

/** `kind/id`. */
export type ObjectKey = `${ObjectKind}/${string}`;

/**
 * An object as it travels. The revision is a hash of the body: equal revisions mean equal bodies, so it needs no storage
 * and survives restarts of either side. Order comes from the spec's sequence number.
 */
export interface SpecObject<K extends ObjectKind = ObjectKind> {
  readonly revision: string;
  /** Set: the object and its data are to be destroyed (servers, volumes). Absence never destroys data. */
  readonly tombstone?: true;
  readonly body: ObjectBodies[K];
}

export type Spec = Readonly<Record<ObjectKey, SpecObject>>;
