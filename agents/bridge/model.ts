/** What `ip -N -j -d link show` says of a device, as far as a takeover needs it. */
export interface LinkState {
  readonly name: string;
  readonly index: number;
  /** UP, LOWER_UP, NO-CARRIER … */
  readonly flags: readonly string[];
  readonly mtu: number;
  readonly mac: string;
  /** ARPHRD type: 1 is Ethernet, 772 loopback. */
  readonly hardwareType: number;
  /** Name of the bridge, bond or VRF that it is a port of. */
  readonly master: string | null;
  /** What kind of device the master is: bridge, bond, vrf … */
  readonly masterKind: string | null;
  /** bridge, bond, vlan, macvlan, veth …; null for hardware. */
  readonly kind: string | null;
  /** Name of the device below a VLAN or macvlan (for a veth: its peer, when that is in this namespace). */
  readonly parent: string | null;
  /** Of bonds: mode and fail_over_mac; of bridges: stp_state … as iproute2 names them. */
  readonly details: Readonly<Record<string, unknown>>;
  /** eui64, none, stable_secret, random. */
  readonly addressGeneration: string | null;
}

export type Family = 4 | 6;

/** An address of the device that holds the host's addresses. Lifetimes are seconds; null is for ever. */
export interface AddressState {
  readonly family: Family;
  readonly address: string;
  readonly prefix: number;
  /** The other end of a point-to-point address. */
  readonly peer: string | null;
  readonly broadcast: string | null;
  /** Number of the scope: 0 global, 253 link, 254 host. */
  readonly scope: number;
  /** IPv4's label, such as eth0:1; null when it is the name of the device. */
  readonly label: string | null;
  /** Metric of the address's own prefix route, where one was given. */
  readonly metric: number | null;
  readonly validSeconds: number | null;
  readonly preferredSeconds: number | null;
  /** It came by DHCP or router advertisements: it has a lifetime. */
  readonly dynamic: boolean;
  readonly noPrefixRoute: boolean;
  readonly manageTemporary: boolean;
  /** A privacy address that the kernel makes and renews by itself. */
  readonly temporary: boolean;
  readonly secondary: boolean;
  readonly noDad: boolean;
  readonly homeAddress: boolean;
  readonly tentative: boolean;
  readonly dadFailed: boolean;
}

export interface NextHop {
  readonly gateway: string | null;
  /** IPv6 gateway of an IPv4 route. */
  readonly via: string | null;
  readonly dev: string;
  readonly weight: number;
  readonly onlink: boolean;
}

/** A route of any table; every number is the kernel's. */
export interface RouteState {
  readonly family: Family;
  readonly table: number;
  /** 1 unicast, 2 local, 3 broadcast, 5 multicast, 6 blackhole, 7 unreachable … */
  readonly type: number;
  /** `default` or a CIDR. */
  readonly destination: string;
  readonly source: string | null;
  readonly tos: string | null;
  readonly protocol: number;
  readonly scope: number;
  readonly preferredSource: string | null;
  readonly metric: number | null;
  readonly preference: string | null;
  /** Seconds until it goes away (routes of router advertisements). */
  readonly expires: number | null;
  /** mtu, advmss, initcwnd … as `ip route` takes them. */
  readonly metrics: Readonly<Record<string, string>>;
  readonly nextHops: readonly NextHop[];
  /** What of this route is not understood here; such a route is never moved. */
  readonly unknown: readonly string[];
}

/** A policy rule, with its selectors as arguments of `ip rule`. */
export interface RuleState {
  readonly family: Family;
  readonly priority: number;
  readonly iif: string | null;
  readonly oif: string | null;
  /** Everything but priority, iif and oif: ['from', '192.0.2.0/24', 'lookup', '100', …]. */
  readonly rest: readonly string[];
  readonly unknown: readonly string[];
}

export interface NeighbourState {
  readonly address: string;
  readonly mac: string;
  readonly permanent: boolean;
  readonly router: boolean;
}

/** A kernel setting by its path below /proc/sys/net, with DEV for the device: ipv4/conf/DEV/rp_filter. */
export interface SysctlState {
  readonly path: string;
  readonly value: string;
}

/** The network of this host at one moment, as far as one device's addresses are concerned. */
export interface Snapshot {
  /** The device that holds the addresses: the uplink before a takeover, the bridge before a release. */
  readonly device: string;
  readonly bootId: string;
  /** Of /proc/uptime, when the lifetimes were read. */
  readonly uptimeSeconds: number;
  readonly links: readonly LinkState[];
  /** In the order in which the kernel lists them: primary IPv4 addresses before their secondaries. */
  readonly addresses: readonly AddressState[];
  /** Of all tables and all devices, in the kernel's order. */
  readonly routes: readonly RouteState[];
  readonly rules: readonly RuleState[];
  readonly neighbours: readonly NeighbourState[];
  readonly sysctls: readonly SysctlState[];
  /** Before a release: those of the port that gets the addresses, which will have the bridge's. */
  readonly portSysctls?: readonly SysctlState[];
}

/** The link of that name; undefined when there is none. */
export function linkOf(snapshot: Snapshot, name: string): LinkState | undefined {
  return snapshot.links.find((link) => link.name === name);
}
