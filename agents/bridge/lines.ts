import { tryParseCidr } from '../../src/net/cidr.js';
import { MAIN_TABLE } from './ip-json.js';
import type { AddressState, NeighbourState, NextHop, RouteState, RuleState } from './model.js';

/** How seconds of a lifetime are written: as they are, or as an expression that a script evaluates later. */
export type Seconds = (seconds: number) => string;

const asIs: Seconds = String;

/**
 * An address as a line of `ip -batch`. `nodad`: without duplicate address detection whatever the original says; the same
 * machine had the address a moment ago, and a second of detection would be a second without it.
 */
export function addressLine(
  verb: 'replace' | 'change',
  address: AddressState,
  from: string,
  to: string,
  { nodad, seconds = asIs }: { readonly nodad: boolean; readonly seconds?: Seconds },
): string {
  const six = address.family === 6;
  const label = address.label?.startsWith(from) ? `${to}${address.label.slice(from.length)}` : null;
  return words([
    'addr',
    verb,
    ...addressWords(address),
    ...(address.broadcast ? ['broadcast', address.broadcast] : []),
    'scope',
    address.scope,
    ...(label && label.length <= 15 ? ['label', label] : []),
    ...(address.metric === null ? [] : ['metric', address.metric]),
    ...(address.homeAddress ? ['home'] : []),
    ...(address.manageTemporary ? ['mngtmpaddr'] : []),
    ...(address.noPrefixRoute ? ['noprefixroute'] : []),
    ...(six && (nodad || address.noDad) ? ['nodad'] : []),
    'dev',
    to,
    ...(address.validSeconds === null ? [] : ['valid_lft', seconds(address.validSeconds)]),
    ...(address.preferredSeconds === null ? [] : ['preferred_lft', seconds(address.preferredSeconds)]),
  ]);
}

export function addressDeletion(address: AddressState, dev: string): string {
  return words(['addr', 'del', ...addressWords(address), 'dev', dev]);
}

/** A route as a line of `ip -4|-6 -batch`, with the device `from` exchanged for `to`. */
export function routeLine(
  verb: 'replace' | 'append' | 'del',
  route: RouteState,
  from: string,
  to: string,
  seconds: Seconds = asIs,
): string {
  const six = route.family === 6;
  const hops = route.nextHops.map((hop) => (hop.dev === from ? { ...hop, dev: to } : hop));
  return words([
    'route',
    verb,
    ...(route.type === 1 ? [] : [ROUTE_TYPES[route.type]]),
    route.destination,
    ...(route.source ? ['from', route.source] : []),
    ...(route.tos ? ['tos', route.tos] : []),
    'table',
    route.table,
    'proto',
    route.protocol,
    ...(six ? [] : ['scope', route.scope]),
    ...(route.preferredSource ? ['src', route.preferredSource] : []),
    ...(route.metric === null ? [] : ['metric', route.metric]),
    ...(verb === 'del' ? [] : routeProperties(route, seconds)),
    ...hopWords(hops),
  ]);
}

/**
 * The routes of a family that go through a device, one line's worth each. Siblings of an IPv6 multipath route are routes
 * of their own for the kernel: only those through the device are taken.
 */
export function routesThrough(
  routes: readonly RouteState[],
  device: string,
  addresses: readonly AddressState[],
): readonly RouteState[] {
  return routes
    .filter((route) => route.nextHops.some((hop) => hop.dev === device))
    .filter((route) => !madeByKernel(route, addresses))
    .flatMap((route) =>
      route.family === 6 && route.nextHops.length > 1
        ? route.nextHops.filter((hop) => hop.dev === device).map((hop) => ({ ...route, nextHops: [hop] }))
        : [route],
    )
    .sort((a, b) => Number(hasGateway(a)) - Number(hasGateway(b)));
}

/** Whether two IPv4 routes are alternatives of each other: `replace` of the one would overwrite the other. */
export function sameKey(a: RouteState, b: RouteState): boolean {
  return (
    a.family === b.family &&
    a.table === b.table &&
    a.destination === b.destination &&
    a.tos === b.tos &&
    (a.metric ?? 0) === (b.metric ?? 0)
  );
}

export function ruleLine(verb: 'add' | 'del', rule: RuleState, from: string, to: string): string {
  const device = (name: string) => (name === from ? to : name);
  return words([
    'rule',
    verb,
    'pref',
    rule.priority,
    ...rule.rest,
    ...(rule.iif ? ['iif', device(rule.iif)] : []),
    ...(rule.oif ? ['oif', device(rule.oif)] : []),
  ]);
}

/** Known neighbours are carried over as stale: usable at once, and asked for again when used. */
export function neighbourLine(neighbour: NeighbourState, dev: string): string {
  const state = neighbour.permanent ? 'permanent' : 'stale';
  const router = neighbour.router ? ['router'] : [];
  return words([
    'neigh',
    'replace',
    neighbour.address,
    'lladdr',
    neighbour.mac,
    'nud',
    state,
    ...router,
    'dev',
    dev,
  ]);
}

/** Joins words of a batch line or script; throws on anything that a shell or `ip -batch` could read as more than a word. */
export function words(parts: readonly (string | number | undefined)[]): string {
  return parts
    .map((part) => {
      const word = String(part);
      if (!/^([\w.:/%@+-]+|\$\(\(\d+>E\?\d+-E:1\)\))$/.test(word))
        throw new Error(`'${word}' is not a word that may stand in a command`);
      return word;
    })
    .join(' ');
}

function addressWords(address: AddressState): (string | number)[] {
  return address.peer === null
    ? [`${address.address}/${address.prefix}`]
    : [address.address, 'peer', `${address.peer}/${address.prefix}`];
}

function routeProperties(route: RouteState, seconds: Seconds): string[] {
  return [
    ...(route.preference && route.family === 6 ? ['pref', route.preference] : []),
    ...(route.expires === null ? [] : ['expires', seconds(route.expires)]),
    ...Object.entries(route.metrics).flat(),
  ];
}

function hopWords(hops: readonly NextHop[]): (string | number)[] {
  const one = (hop: NextHop) => [
    ...(hop.via ? ['via', 'inet6', hop.via] : hop.gateway ? ['via', hop.gateway] : []),
    'dev',
    hop.dev,
  ];
  const [only] = hops;
  if (only && hops.length === 1 && only.weight === 1)
    return [...one(only), ...(only.onlink ? ['onlink'] : [])];
  return hops.flatMap((hop) => [
    'nexthop',
    ...one(hop),
    'weight',
    hop.weight,
    ...(hop.onlink ? ['onlink'] : []),
  ]);
}

function hasGateway(route: RouteState): boolean {
  return route.nextHops.some((hop) => hop.gateway !== null || hop.via !== null);
}

/** Routes that come and go with an address: its local and broadcast entries, and its prefix unless it says `noprefixroute`. */
export function madeByKernel(route: RouteState, addresses: readonly AddressState[]): boolean {
  if (route.protocol !== KERNEL) return false;
  if (route.table === LOCAL_TABLE) return true;
  if (route.table !== MAIN_TABLE || hasGateway(route)) return false;
  return addresses.some((address) => {
    if (address.noPrefixRoute || address.family !== route.family) return false;
    const metric = address.metric ?? (address.family === 6 ? 256 : 0);
    const prefix = tryParseCidr(`${address.peer ?? address.address}/${address.prefix}`);
    const destination = tryParseCidr(route.destination);
    return (
      metric === (route.metric ?? 0) &&
      prefix !== null &&
      destination !== null &&
      prefix.first === destination.first &&
      prefix.prefix === destination.prefix
    );
  });
}

const KERNEL = 2;
const LOCAL_TABLE = 255;

const ROUTE_TYPES: Readonly<Record<number, string>> = {
  2: 'local',
  3: 'broadcast',
  4: 'anycast',
  5: 'multicast',
};

/** Whether a route of this type can be written with a device. */
export function movableType(type: number): boolean {
  return type === 1 || type in ROUTE_TYPES;
}
