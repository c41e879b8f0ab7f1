import { MAIN_TABLE } from './ip-json.js';
import {
  addressDeletion,
  addressLine,
  madeByKernel,
  neighbourLine,
  routeLine,
  routesThrough,
  ruleLine,
  sameKey,
  words,
} from './lines.js';
import type { AddressState, Family, LinkState, RouteState, RuleState, Snapshot } from './model.js';
import { linkOf } from './model.js';
import { generationLines, loose, settingCommands, strict } from './settings.js';

/** One command of a change; `input` is what it reads. */
export interface PlannedCommand {
  readonly argv: readonly string[];
  readonly input?: string;
  /** Its failure stops nothing. */
  readonly optional?: boolean;
  /** It changes nothing on this host: nothing waits for it. */
  readonly aside?: boolean;
}

/** A part of the change that is done at once; between steps a change may be cut off and is whole again after a revert. */
export interface PlannedStep {
  readonly name: string;
  readonly commands: readonly PlannedCommand[];
}

export interface BridgeChange {
  readonly kind: 'takeover' | 'release';
  readonly bridge: string;
  readonly uplink: string;
  readonly snapshot: Snapshot;
}

/**
 * The commands that move everything from the uplink to the bridge, or back. Make before break: the new device has its
 * addresses and routes before the old one loses any. Pure.
 */
export function planChange(change: BridgeChange): readonly PlannedStep[] {
  const { kind, bridge, uplink, snapshot } = change;
  const [from, to] = kind === 'takeover' ? [uplink, bridge] : [bridge, uplink];
  const carried = carriedBy(snapshot);
  const both = (name: string, lines: (family: Family) => readonly string[], force = false): PlannedStep => ({
    name,
    commands: [4, 6].flatMap((family) => batch(lines(family as Family), family as Family, force)),
  });
  const step = (name: string, ...lines: string[]): PlannedStep => ({ name, commands: batch(lines, null) });

  const addresses = (family: Family): PlannedStep => ({
    name: `addresses${family}`,
    commands: batch(
      additions(carried.addresses, family).map((address) =>
        addressLine('replace', address, from, to, { nodad: true }),
      ),
      family,
    ),
  });
  const neighbours = step(
    'neighbours',
    ...snapshot.neighbours.map((neighbour) => neighbourLine(neighbour, to)),
  );
  const routing = [
    both('routes', (family) => routeAdditions(snapshot, carried.routes, family, from, to)),
    both('rules', (family) => ofFamily(carried.rules, family).map((rule) => ruleLine('add', rule, from, to))),
  ];
  const ending = [
    both(
      'again',
      (family) => [
        // IPv6's prefix route stays when the last address of the prefix to go is one without prefix route
        ...(family === 6
          ? connectedRoutes(snapshot, 6).map((route) => routeLine('del', route, from, from))
          : []),
        ...ofFamily(carried.routes, family).map((route) => routeLine('append', route, from, to)),
        ...ofFamily(carried.addresses, family)
          .filter((address) => address.family === 6 && !address.noDad)
          .map((address) => addressLine('change', address, from, to, { nodad: false })),
      ],
      true,
    ),
    step('generation', ...generationLines(snapshot, from, to)),
  ];
  const announcing: readonly PlannedStep[] = [
    { name: 'announce', commands: announcements(carried.addresses, to) },
    { name: 'strict', commands: strict(snapshot, to) },
  ];
  const settings = settingCommands(snapshot, to);
  const steps =
    kind === 'takeover'
      ? [
          step('bridge', ...bridgeLines(bridge, linkOf(snapshot, uplink)!)),
          { name: 'settings', commands: [loose(to), ...settings] },
          step('up', words(['link', 'set', 'dev', bridge, 'up'])),
          // before the port: a device without any IPv4 address drops what it gets unless rp_filter is off
          addresses(4),
          step('port', words(['link', 'set', 'dev', uplink, 'master', bridge])),
          neighbours,
          addresses(6),
          ...routing,
          both('clear', (family) => [
            ...oldRoutes(snapshot, carried.routes, family, from),
            ...oldAddresses(snapshot, carried, family, from, to),
          ]),
          ...ending,
          ...announcing,
        ]
      : [
          { name: 'settings', commands: [loose(to), loose(from), ...settings] },
          neighbours,
          addresses(4),
          addresses(6),
          ...routing,
          // while it is still a port: what is sent by the uplink goes out, what is sent by a bridge without port does not
          both('unroute', (family) => [
            ...connectedRoutes(snapshot, family).map((route) => routeLine('del', route, from, from)),
            ...oldRoutes(snapshot, carried.routes, family, from),
          ]),
          step('port', words(['link', 'set', 'dev', uplink, 'nomaster'])),
          both('clear', (family) => oldAddresses(snapshot, carried, family, from, to)),
          ...ending,
          step('down', words(['link', 'set', 'dev', bridge, 'down'])),
          ...announcing,
        ];
  return steps.filter(({ commands }) => commands.length > 0);
}

/**
 * A bridge that is, for everybody else on the wire, the uplink: its MAC said explicitly, or it would change when a port
 * with a lower one joins. The MTU is set twice because one given at creation, or equal to the present one, does not count
 * as set, and the bridge would follow the smallest MTU of its ports.
 */
export function bridgeLines(bridge: string, uplink: LinkState): readonly string[] {
  const stp = ['type', 'bridge', 'stp_state', 0, 'forward_delay', 0, 'mcast_snooping', 0];
  return [
    words(['link', 'add', 'name', bridge, 'address', uplink.mac, ...stp]),
    words(['link', 'set', 'dev', bridge, 'mtu', uplink.mtu - 1]),
    words(['link', 'set', 'dev', bridge, 'mtu', uplink.mtu]),
    // absent where the kernel has no IPv6
    ...(uplink.addressGeneration === null
      ? []
      : [words(['link', 'set', 'dev', bridge, 'addrgenmode', 'none'])]),
  ];
}

/** What hangs on the snapshot's device and is carried by a change. The kernel makes temporary addresses by itself. */
export function carriedBy(snapshot: Snapshot): {
  readonly addresses: readonly AddressState[];
  readonly routes: readonly RouteState[];
  readonly rules: readonly RuleState[];
} {
  const { device, addresses } = snapshot;
  return {
    addresses: addresses.filter((address) => !address.temporary),
    routes: routesThrough(snapshot.routes, device, addresses),
    rules: snapshot.rules.filter((rule) => rule.iif === device || rule.oif === device),
  };
}

/** Addresses of a family in the order in which adding them gives the kernel's order: IPv6 lists the newest first. */
export function additions(addresses: readonly AddressState[], family: Family): readonly AddressState[] {
  const found = ofFamily(addresses, family);
  return family === 6 ? found.toReversed() : found;
}

/** Whether an IPv4 route may be put in the place of what is there: only the first of several with the same key may. */
export function isFirstOfKey(snapshot: Snapshot, route: RouteState): boolean {
  const first = snapshot.routes.find((other) => sameKey(other, route));
  return first?.nextHops.some((hop) => hop.dev === snapshot.device) === true && sameRoute(first, route);
}

export function ofFamily<T extends { readonly family: Family }>(
  all: readonly T[],
  family: Family,
): readonly T[] {
  return all.filter((entry) => entry.family === family);
}

function routeAdditions(
  snapshot: Snapshot,
  routes: readonly RouteState[],
  family: Family,
  from: string,
  to: string,
): readonly string[] {
  return ofFamily(routes, family).map((route) =>
    routeLine(family === 4 && isFirstOfKey(snapshot, route) ? 'replace' : 'append', route, from, to),
  );
}

/** Routes that the old device still has when the new one has its own. */
function oldRoutes(
  snapshot: Snapshot,
  routes: readonly RouteState[],
  family: Family,
  device: string,
): readonly string[] {
  return ofFamily(routes, family)
    .filter((route) => family === 6 || !isFirstOfKey(snapshot, route))
    .map((route) => routeLine('del', route, device, device));
}

/** Rules and addresses that the old device loses, secondaries before their primary. */
function oldAddresses(
  snapshot: Snapshot,
  carried: ReturnType<typeof carriedBy>,
  family: Family,
  from: string,
  to: string,
): readonly string[] {
  return [
    ...ofFamily(carried.rules, family).map((rule) => ruleLine('del', rule, from, from)),
    // a temporary address goes with the one that it was made from
    ...ofFamily(snapshot.addresses, family)
      .toReversed()
      .toSorted((a, b) => Number(b.temporary) - Number(a.temporary))
      .map((address) => addressDeletion(address, from)),
    // an IPv4 address that goes takes routes with it that prefer it as source, whichever device they use
    ...(family === 4 ? ofFamily(carried.routes, 4) : [])
      .filter((route) => route.preferredSource !== null && isFirstOfKey(snapshot, route))
      .map((route) => routeLine('replace', route, from, to)),
  ];
}

/** The routes that the kernel made for the addresses' own networks. */
export function connectedRoutes(snapshot: Snapshot, family: Family): readonly RouteState[] {
  return ofFamily(snapshot.routes, family).filter(
    (route) =>
      route.table === MAIN_TABLE &&
      route.nextHops.some((hop) => hop.dev === snapshot.device) &&
      madeByKernel(route, snapshot.addresses),
  );
}

/** Two gratuitous ARPs for each address: a switch or neighbour that did learn something else learns again. */
function announcements(addresses: readonly AddressState[], to: string): readonly PlannedCommand[] {
  return ofFamily(addresses, 4)
    .filter(({ scope }) => scope === 0)
    .map(({ address }) => ({
      argv: ['arping', '-q', '-U', '-c', '2', '-w', '3', '-I', to, address],
      optional: true,
      aside: true,
    }));
}

function batch(lines: readonly string[], family: Family | null, force = false): readonly PlannedCommand[] {
  if (!lines.length) return [];
  const argv = ['ip', ...(family ? [`-${family}`] : []), ...(force ? ['-force'] : []), '-batch', '-'];
  return [{ argv, input: `${lines.join('\n')}\n`, ...(force ? { optional: true } : {}) }];
}

function sameRoute(a: RouteState, b: RouteState): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
