import { BridgeRefusal } from '../manager.js';
import { type Entry, renderIni, type Section, section } from './ini.js';

/** What of the takeover networkd's files depend on. */
export interface NetworkdTakeover {
  readonly bridge: string;
  readonly uplink: string;
  readonly mac: string;
  readonly mtu: number;
  /** Where the configuration came from, for the comment at the top. */
  readonly source: string;
  /** The uplink's .network with its drop-ins, in the order in which networkd reads them. */
  readonly sections: readonly Section[];
  /** Whom the DHCP server knows; null without DHCP. */
  readonly identity: DhcpIdentity | null;
}

/** The identity under which networkd has asked for leases: both follow from the interface's name unless they are said. */
export interface DhcpIdentity {
  /** Of the IPv4 client identifier: `mac`, or `duid` with the other two. */
  readonly clientIdentifier: 'mac' | 'duid';
  /** 0x1a4517b6 */
  readonly iaid: string | null;
  readonly duid: { readonly type: number; readonly data: string } | null;
}

export interface NetworkdFiles {
  readonly netdev: string;
  readonly bridgeNetwork: string;
  readonly portNetwork: string;
  readonly warnings: readonly string[];
}

/**
 * Divides the uplink's .network: what is about addresses, routes and names goes to the bridge, what is about the cable stays. A
 * section or setting that has no place in either is refused, so that nothing is lost unnoticed.
 */
export function networkdFiles(takeover: NetworkdTakeover): NetworkdFiles {
  const { bridge, uplink, mac, mtu, source, identity } = takeover;
  const warnings: string[] = [];
  const toBridge: Section[] = [];
  const toPort: Section[] = [];
  for (const { name, entries } of takeover.sections) {
    if (name === 'Match') warnings.push(...matchWarnings(entries, takeover));
    else if (name === 'Link') {
      toPort.push({ name, entries: entries.filter((e) => placeOfLink(e, source) !== 'bridge') });
      toBridge.push({ name, entries: entries.filter((e) => placeOfLink(e, source) !== 'port') });
    } else if (name === 'Network') {
      toPort.push({ name, entries: entries.filter((e) => placeOfNetwork(e, source, uplink) === 'port') });
      toBridge.push({
        name,
        entries: entries.filter((e) => placeOfNetwork(e, source, uplink) === 'bridge'),
      });
    } else if (PORT_SECTIONS.test(name)) toPort.push({ name, entries });
    else if (BRIDGE_SECTIONS.test(name)) {
      toBridge.push({ name, entries: entries.map((e) => renamed(e, uplink, bridge)) });
    } else throw refusal(`${source} has a section [${name}]`, 'which a bridge or its port has no place for');
  }
  const said = (key: string) =>
    toBridge.some((s) => s.name === 'Network' && s.entries.some((e) => e.key === key));
  const comment = `# ${bridge} with the port ${uplink}, made by maru bridge from ${source}; 'maru bridge release' undoes it.\n`;
  return {
    netdev:
      comment +
      renderIni([
        section('NetDev', { Name: bridge, Kind: 'bridge', MACAddress: mac, MTUBytes: String(mtu) }),
        section('Bridge', { STP: 'no', ForwardDelaySec: '0', MulticastSnooping: 'no' }),
      ]),
    bridgeNetwork:
      comment +
      renderIni(
        merged([
          section('Match', { Name: bridge }),
          ...toBridge,
          section('Network', {
            ConfigureWithoutCarrier: 'yes',
            // a reload must not take away, even for a moment, what is already there
            KeepConfiguration: said('KeepConfiguration') ? undefined : 'static',
          }),
          ...(identity ? identitySections(identity) : []),
        ]),
      ),
    portNetwork:
      comment +
      renderIni(
        merged([
          section('Match', { Name: uplink }),
          ...toPort,
          section('Link', { RequiredForOnline: 'no' }),
          section('Network', { Bridge: bridge, LinkLocalAddressing: 'no', IPv6AcceptRA: 'no' }),
        ]),
      ),
    warnings,
  };
}

/** [DHCPv4] and [DHCPv6] that say who this host was before the bridge, also for drop-ins of netplan's files. */
export function identitySections(identity: DhcpIdentity): readonly Section[] {
  const duid = identity.duid && {
    DUIDType: DUID_TYPES[identity.duid.type] ?? String(identity.duid.type),
    DUIDRawData: identity.duid.data,
  };
  const iaid = identity.iaid === null ? {} : { IAID: identity.iaid };
  const v4 = identity.clientIdentifier === 'mac' ? {} : { ...duid, ...iaid };
  return [
    section('DHCPv4', { ClientIdentifier: identity.clientIdentifier, ...v4 }),
    ...(duid || identity.iaid ? [section('DHCPv6', { ...duid, ...iaid })] : []),
  ];
}

/** The other way round, for a release whose original is gone: one .network of the uplink. */
export function networkdReleased(
  uplink: string,
  bridge: string,
  port: readonly Section[],
  network: readonly Section[],
): string {
  const own: Readonly<Record<string, readonly string[]>> = {
    Link: ['RequiredForOnline'],
    Network: ['Bridge', 'LinkLocalAddressing', 'IPv6AcceptRA'],
  };
  const ofPort = port
    .filter((s) => s.name !== 'Match')
    .map((s) => ({ ...s, entries: s.entries.filter((e) => !own[s.name]?.includes(e.key)) }));
  const ofBridge = network
    .filter((s) => s.name !== 'Match')
    .map(({ name, entries }) => ({
      name,
      entries: entries
        .filter(
          (e) => e.key !== 'ConfigureWithoutCarrier' && `${e.key}=${e.value}` !== 'KeepConfiguration=static',
        )
        .map((e) => renamed(e, bridge, uplink)),
    }));
  const comment = `# ${uplink} as 'maru bridge release' made it again from what ${bridge} had.\n`;
  return comment + renderIni(merged([section('Match', { Name: uplink }), ...ofPort, ...ofBridge]));
}

const DUID_TYPES: Readonly<Record<number, string>> = {
  1: 'link-layer-time',
  2: 'vendor',
  3: 'link-layer',
  4: 'uuid',
};

/** What shapes or switches frames belongs to the cable. */
const PORT_SECTIONS =
  /^(LLDP|SR-IOV|QDisc|NetworkEmulator|TokenBucketFilter|PIE|FlowQueuePIE|StochasticFairBlue|StochasticFairnessQueueing|BFIFO|PFIFO|PFIFOHeadDrop|PFIFOFast|CAKE|ControlledDelay|DeficitRoundRobinScheduler|DeficitRoundRobinSchedulerClass|EnhancedTransmissionSelection|GenericRandomEarlyDetection|FairQueueingControlledDelay|FairQueueing|TrivialLinkEqualizer|HierarchyTokenBucket|HierarchyTokenBucketClass|HeavyHitterFilter|QuickFairQueueing|QuickFairQueueingClass|ClassfulMultiQueueing|BandMultiQueueing)$/;

const BRIDGE_SECTIONS =
  /^(Address|Neighbor|IPv6AddressLabel|RoutingPolicyRule|NextHop|Route|DHCP|DHCPv4|DHCPv6|DHCPPrefixDelegation|DHCPv6PrefixDelegation|IPv6AcceptRA|IPv6SendRA|IPv6Prefix|IPv6RoutePrefix|IPv6PREF64Prefix|DHCPServer|DHCPServerStaticLease)$/;

const LINK_PLACES: Readonly<Record<string, 'bridge' | 'port' | 'both'>> = {
  MACAddress: 'port',
  MTUBytes: 'port',
  ARP: 'bridge',
  Multicast: 'both',
  AllMulticast: 'port',
  Promiscuous: 'port',
  Group: 'both',
  RequiredForOnline: 'bridge',
  RequiredFamilyForOnline: 'bridge',
};

function placeOfLink({ key, value }: Entry, source: string): 'bridge' | 'port' | 'both' {
  if (key === 'ActivationPolicy' && /^(up|always-up)$/.test(value)) return 'both';
  if (key === 'Unmanaged' && /^(no|false|0)$/.test(value)) return 'both';
  const place = LINK_PLACES[key];
  if (!place)
    throw refusal(`${source} says [Link] ${key}=${value}`, 'and what that means with a bridge is not known');
  return place;
}

/** Names of other devices, which would be made above or around the uplink. */
const STACKED = /^(Bridge|Bond|VRF|BatmanAdvanced|VLAN|MACVLAN|MACVTAP|IPVLAN|IPVTAP|MACsec|IPoIB|Xfrm)$/;
const PORT_NETWORK = /^(LLDP|EmitLLDP)$/;
/** Ours to say. */
const REPLACED = /^(ConfigureWithoutCarrier)$/;

function placeOfNetwork({ key, value }: Entry, source: string, uplink: string): 'bridge' | 'port' | 'none' {
  if (STACKED.test(key) && value !== '')
    throw refusal(`${source} says [Network] ${key}=${value}`, `so ${uplink} is part of another device`);
  if (PORT_NETWORK.test(key)) return 'port';
  if (REPLACED.test(key)) return 'none';
  return 'bridge';
}

function matchWarnings(entries: readonly Entry[], { source, uplink }: NetworkdTakeover): string[] {
  const other = entries.filter((e) => !/^(Name|MACAddress|PermanentMACAddress)$/.test(e.key));
  return [
    ...other.map((e) => `[Match] ${e.key}=${e.value} of ${source} is not kept: the new files match by name`),
    ...(entries.some((e) => e.key !== 'Name')
      ? [
          `the new files match ${uplink} by its name: if that may change at boot, fix it with a .link file first`,
        ]
      : []),
  ];
}

/** Sections that may be there once only are joined; repeated ones ([Address], [Route]) stay what they are. */
function merged(sections: readonly Section[]): readonly Section[] {
  const result: Section[] = [];
  for (const part of sections) {
    const at = REPEATED.test(part.name) ? -1 : result.findIndex((s) => s.name === part.name);
    if (at < 0) result.push(part);
    else result[at] = { name: part.name, entries: [...result[at]!.entries, ...part.entries] };
  }
  return result;
}

const REPEATED =
  /^(Address|Neighbor|IPv6AddressLabel|RoutingPolicyRule|NextHop|Route|IPv6Prefix|IPv6RoutePrefix|IPv6PREF64Prefix|DHCPServerStaticLease|.*Class|SR-IOV)$/;

function renamed(entry: Entry, from: string, to: string): Entry {
  if (/^(IncomingInterface|OutgoingInterface)$/.test(entry.key) && entry.value === from)
    return { ...entry, value: to };
  if (entry.key === 'Label' && (entry.value === from || entry.value.startsWith(`${from}:`)))
    return { ...entry, value: to + entry.value.slice(from.length) };
  return entry;
}

function refusal(what: string, why: string): BridgeRefusal {
  return new BridgeRefusal(
    `${what}, ${why}`,
    'Take it out of that file, apply that with networkctl reload, and try again.',
  );
}
