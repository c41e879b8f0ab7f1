import type {
  DhcpObject,
  NetworkObject,
  ObjectKey,
  PortObject,
  RouterObject,
  SecurityGroupObject,
  SecurityRule,
} from './objects.js';

/** What names a segment on a host: its bridge, and its tunnel. */
export type Segment = Pick<NetworkObject, 'id' | 'type' | 'physical_network' | 'segmentation_id'>;

/** The namespaces that a host makes for routers and DHCP servers. */
export interface NamespaceRef {
  readonly of: 'router' | 'dhcp';
  /** Id of the router, or of the network. */
  readonly id: string;
}

/** A router's device in its external (`qg-`) or in a tenant network (`qr-`), or a DHCP server's (`ns-`). */
export interface InnerRef extends NamespaceRef {
  readonly role: 'gateway' | 'interface' | 'dhcp';
  readonly port_id: string;
}

/**
 * One thing that should be so on a host, to be looked at there. Things are named by the ids of our objects and never by names of
 * devices or by commands: an agent cannot be made to look at anything else.
 */
export type TraceCheck =
  /** The agent holds these objects in these revisions. */
  | {
      readonly kind: 'told';
      readonly objects: readonly { readonly key: ObjectKey; readonly revision: string }[];
    }
  /** What the agent last reported of these objects is no error. */
  | { readonly kind: 'reported'; readonly objects: readonly ObjectKey[] }
  /** The segment's bridge is there and up. */
  | { readonly kind: 'bridge'; readonly network: Segment }
  /** The provider bridge has a port of the host's own, up and with a carrier. */
  | { readonly kind: 'uplink'; readonly network: Segment }
  | { readonly kind: 'namespace'; readonly netns: NamespaceRef }
  /** The host's end of a port (`tap…`) is there, up, and in the segment's bridge; `carrier`: somebody holds the other end. */
  | {
      readonly kind: 'plug';
      readonly port_id: string;
      readonly network: Segment;
      readonly carrier: boolean;
    }
  /** The device inside the namespace is there and up, with this MAC. */
  | { readonly kind: 'device'; readonly device: InnerRef; readonly mac: string }
  /** It has these addresses, in CIDR notation. */
  | { readonly kind: 'addresses'; readonly device: InnerRef; readonly addresses: readonly string[] }
  /** The router's default route. */
  | { readonly kind: 'route'; readonly device: InnerRef; readonly gateway: string }
  /** The router translates or passes what it should; `router.floating_ips` has only those that are meant. */
  | {
      readonly kind: 'nat';
      readonly part: 'dnat' | 'snat' | 'forward' | 'forward6';
      readonly router: RouterObject;
    }
  /** The segment's tunnel device is there, up, in its bridge, and ends at this host's address. */
  | { readonly kind: 'tunnel'; readonly network: Segment }
  /** The tunnel sends frames to this MAC to that host; null: frames to unknown MACs, too. */
  | { readonly kind: 'fdb'; readonly network: Segment; readonly mac: string | null; readonly vtep: string }
  /** The tunnel sends frames to unknown MACs, and to all of these, to that host. Only controllers of the release before ask it. */
  | {
      readonly kind: 'fdb-peer';
      readonly network: Segment;
      readonly macs: readonly string[];
      readonly vtep: string;
    }
  /** The tunnel sends frames to all hosts and MACs that the agent's own spec of the network names. */
  | { readonly kind: 'fdb-table'; readonly network: Segment }
  /** Packets of this size reach the other host's tunnel address; only asked with `probe`. */
  | { readonly kind: 'underlay'; readonly vtep: string; readonly mtu: number }
  /** The port's own chains are complete and are reached; `rule`: the rule that is to let the traffic in. */
  | {
      readonly kind: 'filter';
      readonly port: PortObject;
      readonly groups: readonly SecurityGroupObject[];
      readonly dhcp: Pick<DhcpObject, 'addresses' | 'mac'> | null;
      readonly rule: SecurityRule | null;
    }
  /** The set behind rules with a remote group has the group's members on the network; `address`: the one that is to be let in. */
  | {
      readonly kind: 'members';
      readonly group_id: string;
      readonly network_id: string;
      readonly family: 4 | 6;
      readonly members: readonly string[];
      readonly address: string | null;
    }
  /** Connections of the network's bridge are tracked in its own zone, and so are the address's; the table has room. */
  | { readonly kind: 'tracking'; readonly network: Segment; readonly address: string | null }
  /** What a router's namespace tracks of a floating IP leads to its fixed address; the table has room. */
  | {
      readonly kind: 'translations';
      readonly router_id: string;
      readonly floating: { readonly address: string; readonly fixed: string } | null;
    }
  /** The sets of port security let the guest use its addresses. */
  | { readonly kind: 'anti-spoofing'; readonly port: PortObject }
  /** Our own ends pass port security. */
  | { readonly kind: 'trusted'; readonly port_ids: readonly string[] }
  /** What all ports share: kernel settings, base tables, and the way into our chains. */
  | { readonly kind: 'shared'; readonly family?: 4 | 6 }
  | { readonly kind: 'guest'; readonly server_id: string }
  | { readonly kind: 'dnsmasq'; readonly network_id: string }
  /** Who answers for the address, as the namespace sees it; with `probe` it is asked first. */
  | {
      readonly kind: 'neighbour';
      readonly device: InnerRef;
      readonly address: string;
      /** Null: whichever. */
      readonly mac: string | null;
    };

/** POST /v1/trace, controller → agent. */
export interface TraceRequest {
  readonly checks: readonly TraceCheck[];
  /** Packets may be sent: pings from the namespaces and to the other hosts' tunnel addresses. */
  readonly probe: boolean;
}

export type TraceState = 'ok' | 'fail' | 'unknown';

/** What was found of one check. */
export interface TraceFinding {
  readonly state: TraceState;
  /** What is there, or what is wrong, in words. */
  readonly detail: string;
  /** What mends it, where there is something that an operator does; else the agent does it by itself. */
  readonly mend?: string;
  /** Name of the bridge that the host has for the provider network in question. */
  readonly bridge?: string;
}

/** One finding for each check, in order. */
export interface TraceReply {
  readonly findings: readonly TraceFinding[];
}

/** More than a controller ever asks for at once. */
export const MOST_TRACE_CHECKS = 2_000;
