/** What every resource of the network API has. */
export interface StandardColumns {
  id: string;
  /** Empty for what belongs to the installation: DHCP ports, router gateways, ports of floating IPs. */
  project_id: string;
  name: string;
  description: string;
  revision_number: number;
  created_at: string;
  updated_at: string;
}

/** A layer-2 segment. */
export interface NetworkTable extends StandardColumns {
  admin_state_up: number;
  shared: number;
  /** 1: floating IPs and router gateways come from it (`router:external`). */
  external: number;
  is_default: number;
  mtu: number;
  port_security_enabled: number;
  dns_domain: string;
  network_type: 'flat' | 'vlan' | 'vxlan' | 'local';
  physical_network: string | null;
  /** VNI or VLAN id. */
  segmentation_id: number | null;
}

/** A block of addresses of a network. */
export interface SubnetTable extends StandardColumns {
  network_id: string;
  ip_version: 4 | 6;
  cidr: string;
  gateway_ip: string | null;
  enable_dhcp: number;
  ipv6_ra_mode: 'slaac' | 'dhcpv6-stateful' | 'dhcpv6-stateless' | null;
  ipv6_address_mode: 'slaac' | 'dhcpv6-stateful' | 'dhcpv6-stateless' | null;
  /** JSON lists. */
  allocation_pools: string;
  dns_nameservers: string;
  host_routes: string;
  service_types: string;
}

/** A point of attachment to a network: of a guest, a router, a DHCP server or a floating IP. */
export interface PortTable extends StandardColumns {
  network_id: string;
  admin_state_up: number;
  mac_address: string;
  /** Server, router … that owns the port; empty when free. */
  device_id: string;
  device_owner: string;
  /** `N/A`: the port only holds an address (floating IPs). */
  status: 'ACTIVE' | 'DOWN' | 'BUILD' | 'ERROR' | 'N/A';
  port_security_enabled: number;
  /** JSON lists. */
  allowed_address_pairs: string;
  extra_dhcp_opts: string;
  dns_name: string;
  /** `binding:host_id` as it is shown: a host's name; empty when unbound. */
  binding_host: string;
  vnic_type: string;
  /** JSON object. */
  binding_profile: string;
  /**
   * The server that the port is plugged into. Unlike device_id, which anybody may write into a port of his own, it is set by
   * the compute service only: which guest a port belongs to, and whose metadata it may read, is decided by it.
   */
  server_id: string | null;
  /** Place among its server's interfaces, as the server's creator ordered them; null when it is in none. */
  device_index: number | null;
  /** 1: made for its server and deleted with it. */
  delete_with_server: number;
}

/** On which host a port's tap device is. During a migration a port has a second, inactive binding. */
export interface PortBindingTable {
  port_id: string;
  host_id: string;
  status: 'active' | 'inactive';
  created_at: string;
}

/**
 * An address in use on a network. Unique by (network, address): the last word on who has it. Rows without a port are
 * quarantined: given back, but still in the spec of a host that `address_hold` names.
 */
export interface IpAllocationTable {
  network_id: string;
  ip_address: string;
  subnet_id: string;
  port_id: string | null;
  /** Order of a port's addresses. */
  position: number;
}

/**
 * A host that may still use an address or MAC: of an object that is gone from the database, or that it had and another host or
 * router has now.
 */
export interface AddressHoldTable {
  network_id: string;
  host_id: string;
  /** Object whose removal or change the host has to report. */
  object_key: string;
  /** Empty for a port that had none: then only the MAC is held. */
  ip_address: string;
  mac_address: string;
  created_at: string;
}

/** A host that may still have the tunnel device of a network that is gone. */
export interface VniHoldTable {
  vni: number;
  host_id: string;
  network_id: string;
  created_at: string;
}

export interface SecurityGroupTable extends StandardColumns {
  stateful: number;
}

/** An allow rule. */
export interface SecurityGroupRuleTable {
  id: string;
  security_group_id: string;
  project_id: string;
  description: string;
  direction: 'ingress' | 'egress';
  ethertype: 'IPv4' | 'IPv6';
  protocol: string | null;
  port_range_min: number | null;
  port_range_max: number | null;
  remote_ip_prefix: string | null;
  remote_group_id: string | null;
  revision_number: number;
  created_at: string;
  updated_at: string;
}

export interface PortSecurityGroupTable {
  port_id: string;
  security_group_id: string;
}

/** A router between networks of a project, with NAT to an external network. */
export interface RouterTable extends StandardColumns {
  admin_state_up: number;
  /** Host that runs it; null until a host that can is there. */
  host_id: string | null;
  /** Rises with every move, so that an old owner's words are not believed. */
  host_epoch: number;
  /** Host that it is to move to, which has its networks already; null: none, or whichever can be had. */
  next_host_id: string | null;
  /** The port in the external network. */
  gateway_port_id: string | null;
  gateway_network_id: string | null;
  enable_snat: number;
  /** JSON list of {destination, nexthop}. */
  routes: string;
}

/** A host that has to give a router up, or had to while nothing was heard of it: in its spec until it reports that it has. */
export interface RouterWithdrawalTable {
  router_id: string;
  host_id: string;
  /** What it gives up: the host refuses this epoch from then on. */
  epoch: number;
  /** Revision of the object that makes it do so; the report that it is applied is the receipt. */
  revision: string;
  created_at: string;
}

/** An address of an external network that a router translates to a port's fixed address. */
export interface FloatingIpTable {
  id: string;
  project_id: string;
  description: string;
  floating_network_id: string;
  floating_ip_address: string;
  /** Port in the external network that holds the address. */
  floating_port_id: string;
  fixed_port_id: string | null;
  fixed_ip_address: string | null;
  router_id: string | null;
  status: 'ACTIVE' | 'DOWN';
  dns_domain: string;
  dns_name: string;
  revision_number: number;
  created_at: string;
  updated_at: string;
}

export interface NetworkTagTable {
  resource_id: string;
  tag: string;
}

/** Tables of the network service. */
export interface NetworkTables {
  network: NetworkTable;
  subnet: SubnetTable;
  port: PortTable;
  port_binding: PortBindingTable;
  ip_allocation: IpAllocationTable;
  address_hold: AddressHoldTable;
  vni_hold: VniHoldTable;
  security_group: SecurityGroupTable;
  security_group_rule: SecurityGroupRuleTable;
  port_security_group: PortSecurityGroupTable;
  router: RouterTable;
  router_withdrawal: RouterWithdrawalTable;
  floating_ip: FloatingIpTable;
  network_tag: NetworkTagTable;
}
