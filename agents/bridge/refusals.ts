import type { UplinkFacts } from './facts.js';
import { movableType } from './lines.js';
import { BridgeRefusal } from './manager.js';
import { type LinkState, linkOf, type Snapshot } from './model.js';
import { carriedBy } from './plan.js';

/** Throws a BridgeRefusal when the uplink cannot be taken over; pure, so nothing has been touched. */
export function refuseTakeover(snapshot: Snapshot, bridge: string, uplink: string, facts: UplinkFacts): void {
  refuseName(bridge);
  const link = linkOf(snapshot, uplink);
  if (!link)
    throw new BridgeRefusal(
      `this host has no network device ${uplink}`,
      `its devices: ${snapshot.links.map(({ name }) => name).join(', ')}; name one with --uplink`,
    );
  refuseName(uplink);
  const existing = linkOf(snapshot, bridge);
  if (existing) refuseExisting(snapshot, existing, uplink);
  refuseKind(link, facts);
  if (link.master !== null) refuseMaster(link, bridge);
  refuseChildren(snapshot, uplink);
  refuseState(link);
  refuseRoutes(snapshot, uplink, facts);
}

/** Throws a BridgeRefusal when the bridge cannot give the uplink back. */
export function refuseRelease(snapshot: Snapshot, bridge: string): void {
  refuseName(bridge);
  const link = linkOf(snapshot, bridge);
  if (link?.kind !== 'bridge')
    throw new BridgeRefusal(
      `this host has no bridge ${bridge}`,
      'ip -d link show type bridge lists those that it has',
    );
  refuseChildren(snapshot, bridge);
  refuseRoutes(snapshot, bridge, null);
}

/** The port of a bridge that is its uplink; throws when there are others, since they would be cut off. */
export function uplinkOf(snapshot: Snapshot, bridge: string): string {
  const ports = snapshot.links.filter((link) => link.master === bridge);
  const physical = ports.filter(
    (port) => !(port.kind === 'veth' && OURS.test(port.name)) && port.kind !== 'tun',
  );
  const [uplink] = physical;
  if (!uplink || physical.length > 1)
    throw new BridgeRefusal(
      `${bridge} has ${uplink ? 'several ports that may be the uplink' : 'no uplink among its ports'}: ${ports.map(({ name }) => name).join(', ') || 'none'}`,
      'say which one with --uplink',
    );
  return uplink.name;
}

/** Throws when something else than the uplink would lose its network with the bridge. */
export function refuseOtherPorts(snapshot: Snapshot, bridge: string, uplink: string): void {
  const others = snapshot.links.filter((link) => link.master === bridge && link.name !== uplink);
  if (others.length)
    throw new BridgeRefusal(
      `${others.map(({ name }) => name).join(', ')} would be cut off: they are ports of ${bridge}`,
      'move the routers and guests of this host to other hosts first (maru host drain), or delete those ports',
    );
}

/** What may work and may not: said, not refused. */
export function takeoverWarnings(uplink: string, facts: UplinkFacts): readonly string[] {
  const filtered = facts.driver === null ? undefined : FILTERING_DRIVERS[facts.driver];
  const cloud = Object.entries(FILTERING_CLOUDS).find(([vendor]) => facts.vendor.includes(vendor))?.[1];
  if (filtered)
    return [
      `${uplink} is driven by ${facts.driver}: ${filtered}. The host itself will keep its network, since the bridge has the same MAC; guests, routers and floating IPs have MACs of their own, and their frames will be dropped until that is allowed there.`,
    ];
  if (cloud)
    return [
      `this machine is a virtual one of ${cloud}, which passes only the MAC and addresses that it gave: floating IPs will not be reached from outside.`,
    ];
  if (facts.driver !== null && VIRTUAL_DRIVERS.has(facts.driver))
    return [
      `${uplink} is a virtual NIC (${facts.driver}). Whether its hypervisor passes frames from other MACs cannot be seen from here: libvirt's bridges do by default; a filterref, macvtap, VMware's port groups (forged transmits, promiscuous mode) and clouds with port security do not.`,
    ];
  return [];
}

function refuseExisting(snapshot: Snapshot, existing: LinkState, uplink: string): never {
  const { name } = existing;
  const ports = snapshot.links.filter((link) => link.master === name).map((link) => link.name);
  if (existing.kind !== 'bridge')
    throw new BridgeRefusal(
      `there is a device ${name} already, and it is no bridge (${existing.kind ?? 'a NIC'})`,
      'give the bridge another name, and use that name in physical_networks of /etc/maru/maru.yaml',
    );
  if (ports.includes(uplink))
    throw new BridgeRefusal(
      `${uplink} is a port of ${name} already`,
      `nothing is to be done; maru bridge status shows it, maru bridge release ${name} undoes it`,
    );
  throw new BridgeRefusal(
    `there is a bridge ${name} already, with ${ports.length ? `the port(s) ${ports.join(', ')}` : 'no port'}`,
    ports.length
      ? `if that is the external network already, leave it as it is; else give this one another name`
      : `if nothing needs it, remove it from the host's configuration and with: ip link del ${name}`,
  );
}

function refuseKind(link: LinkState, facts: UplinkFacts): void {
  const { name } = link;
  const other = 'use a wired Ethernet NIC (or a bond of them) as uplink';
  if (facts.wireless)
    throw new BridgeRefusal(
      `${name} is wireless: an access point takes frames only from the MAC that registered, so a bridge over it carries no guest`,
      other,
    );
  if (link.flags.includes('LOOPBACK') || link.hardwareType !== 1)
    throw new BridgeRefusal(
      `${name} is not an Ethernet device (type ${link.hardwareType}), so it cannot be a port of a bridge`,
      other,
    );
  if (link.kind === 'bridge')
    throw new BridgeRefusal(
      `${name} is a bridge itself, and a bridge cannot be a port of another`,
      `use it as the external bridge as it is: physical_networks: { extnet: ${name} } in /etc/maru/maru.yaml`,
    );
  if (link.kind !== null && LOWER_KINDS.has(link.kind))
    throw new BridgeRefusal(
      `${name} is a ${link.kind} on ${link.parent ?? 'another device'}, which passes only its own MAC`,
      `take over ${link.parent ?? 'that device'} instead`,
    );
  const mode = String(link.details.mode ?? '');
  if (link.kind === 'bond' && /balance-(alb|tlb)|^[56]$/.test(mode))
    throw new BridgeRefusal(
      `${name} is a bond in mode ${mode}, which rewrites MACs of what goes out: replies to guests would go astray`,
      'use active-backup, 802.3ad or balance-xor',
    );
  const failOver = String(link.details.fail_over_mac ?? 'none');
  if (link.kind === 'bond' && !/^(none|0)$/.test(failOver))
    throw new BridgeRefusal(
      `${name} is a bond with fail_over_mac=${failOver}: its MAC changes with the active NIC, and the bridge's would not`,
      'set fail_over_mac=none on the bond',
    );
}

function refuseMaster(link: LinkState, bridge: string): never {
  throw new BridgeRefusal(
    `${link.name} is a port of ${link.master} (${link.masterKind ?? 'another device'}) already`,
    link.masterKind === 'bond' || link.masterKind === 'team'
      ? `take over ${link.master} instead: maru bridge ${bridge} --uplink ${link.master}`
      : link.masterKind === 'bridge'
        ? `use that bridge as it is (physical_networks: { extnet: ${link.master} } in /etc/maru/maru.yaml), or take ${link.name} out of it first`
        : `take ${link.name} out of ${link.master} first`,
  );
}

function refuseChildren(snapshot: Snapshot, device: string): void {
  const children = snapshot.links.filter(
    (link) =>
      link.kind !== null &&
      ((link.parent === device && (link.kind === 'vlan' || LOWER_KINDS.has(link.kind))) ||
        // a tunnel that may send through this device only
        link.details.link === device),
  );
  const vlan = children.find(({ kind }) => kind === 'vlan')?.name;
  if (children.length)
    throw new BridgeRefusal(
      `${children.map(({ name, kind }) => `${name} (${kind})`).join(', ')} is made on ${device}: as a port of a bridge ${device} would no longer give it its frames`,
      `make it on the bridge instead of on ${device}, or use another uplink${vlan ? `: a NIC, or ${vlan} itself` : ''}`,
    );
}

function refuseState(link: LinkState): void {
  if (!link.flags.includes('UP'))
    throw new BridgeRefusal(
      `${link.name} is down`,
      `ip link set ${link.name} up, and see that it has its cable`,
    );
  if (!link.flags.includes('LOWER_UP') || link.flags.includes('NO-CARRIER'))
    throw new BridgeRefusal(
      `${link.name} has no carrier: nothing could be checked after the change`,
      'see that its cable is in and the switch port enabled, or name the right NIC with --uplink',
    );
}

function refuseRoutes(snapshot: Snapshot, device: string, facts: UplinkFacts | null): void {
  const carried = carriedBy(snapshot);
  const wayOut = `delete it, or set it again on the other device yourself afterwards`;
  for (const route of carried.routes) {
    const name = `route ${route.destination} of table ${route.table} through ${device}`;
    if (route.unknown.length)
      throw new BridgeRefusal(
        `${name} has properties that cannot be moved: ${route.unknown.join(', ')}`,
        wayOut,
      );
    if (!movableType(route.type)) throw new BridgeRefusal(`${name} is of type ${route.type}`, wayOut);
  }
  const rule = carried.rules.find(({ unknown }) => unknown.length);
  if (rule)
    throw new BridgeRefusal(
      `the rule with priority ${rule.priority} has properties that cannot be moved: ${rule.unknown.join(', ')}`,
      wayOut,
    );
  const [locked] = facts?.lockedRoutes ?? [];
  if (locked)
    throw new BridgeRefusal(`a route has a locked metric, which cannot be moved: ${locked.trim()}`, wayOut);
}

function refuseName(name: string): void {
  if (!/^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$/.test(name))
    throw new BridgeRefusal(
      `'${name}' is not a device name that can be used here`,
      'use at most 15 letters, digits, dots, dashes and underscores',
    );
}

/** Devices of guests and routers of this program. */
const OURS = /^(tap|qg-|qr-|ext|veth)/;

const LOWER_KINDS = new Set(['macvlan', 'macvtap', 'ipvlan', 'ipvtap']);

const VIRTUAL_DRIVERS = new Set(['virtio_net', 'e1000', 'vif', 'xen-netfront', 'vboxnet', 'pcnet32']);

const FILTERING_DRIVERS: Readonly<Record<string, string>> = {
  hv_netvsc: 'Hyper-V drops frames from other MACs unless MAC address spoofing is enabled on the adapter',
  vmxnet3:
    "VMware's port groups drop frames from and for other MACs unless forged transmits and promiscuous mode (or MAC learning) are allowed",
  ena: 'Amazon EC2 passes only the MAC and addresses that it gave to the interface',
  gve: 'Google Compute Engine passes only the addresses that it gave to the interface',
  mana: 'Azure passes only the MAC and addresses that it gave to the interface',
};

const FILTERING_CLOUDS: Readonly<Record<string, string>> = {
  'Amazon EC2': 'Amazon EC2',
  Google: 'Google Compute Engine',
  'Microsoft Corporation': 'Hyper-V or Azure',
  DigitalOcean: 'DigitalOcean',
  Hetzner: 'Hetzner Cloud',
  OpenStack: 'an OpenStack cloud (port security)',
};
