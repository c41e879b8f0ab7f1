import { addressLine, routeLine, ruleLine } from './lines.js';
import type { AddressState, LinkState, RouteState, Snapshot } from './model.js';
import { linkOf } from './model.js';
import { carriedBy } from './plan.js';

/**
 * What differs between the network before and now, in words; empty when nothing does. `as`: the device that holds now what
 * `before.device` held. Remaining lifetimes, temporary addresses and neighbours change by themselves and are no
 * difference. Pure.
 */
export function differences(before: Snapshot, now: Snapshot, as = before.device): readonly string[] {
  const expected = describe(before, before.device, as);
  const found = describe(now, as, as);
  return [
    ...missing(expected, found).map((line) => `missing: ${line}`),
    ...missing(found, expected).map((line) => `too much: ${line}`),
    ...(as === before.device ? linkDifferences(before, now) : []),
    ...(as === before.device ? sysctlDifferences(before, now) : []),
  ];
}

/**
 * What was carried and is not there; more than before does no harm while a change is on trial. Nor does a metric that a leased
 * address did not have: networkd clears it when it finds the address, and gives it again when it asks for the lease anew. Pure.
 */
export function lost(before: Snapshot, now: Snapshot, as: string): readonly string[] {
  const unusable = now.addresses
    .filter((address) => address.dadFailed)
    .map((address) => `${address.address} is used by another machine too (duplicate address detection)`);
  const plain = new Set(
    before.addresses.filter(({ dynamic, metric }) => dynamic && metric === null).map(named),
  );
  const addresses = now.addresses.map((a) => (plain.has(named(a)) ? { ...a, metric: null } : a));
  return [
    ...missing(describe(before, before.device, as), describe({ ...now, addresses }, as, as)),
    ...unusable,
  ];
}

/**
 * What was carried and is (still or again) on the device that it was carried from: whoever put it there answers for the host
 * there, and would at the next boot. Addresses and routes count however else they look now. Pure.
 */
export function stillOn(before: Snapshot, now: Snapshot, from: string): readonly string[] {
  const was = carriedBy(before);
  const is = carriedBy({ ...now, device: from });
  const addresses = new Set(was.addresses.map(named));
  const goesTo = ({ family, table, destination }: RouteState) => `${family} ${table} ${destination}`;
  const routes = new Set(was.routes.map(goesTo));
  return [
    ...is.addresses.filter((address) => addresses.has(named(address))).map(named),
    ...is.routes
      .filter((route) => routes.has(goesTo(route)))
      .map(({ destination, table }) => `route to ${destination} (table ${table})`),
  ];
}

function named({ address, prefix }: AddressState): string {
  return `${address}/${prefix}`;
}

function describe(snapshot: Snapshot, device: string, as: string): readonly string[] {
  const { addresses, routes, rules } = carriedBy({ ...snapshot, device });
  return [
    ...addresses.map((address) => addressLine('replace', still(address), device, as, { nodad: true })),
    ...routes.map((route) => routeLine('append', { ...route, expires: route.expires && 1 }, device, as)),
    ...rules.map((rule) => ruleLine('add', rule, device, as)),
  ].map((line) => line.replace(/^(addr|route|rule) \w+ /, '$1 '));
}

function still(address: AddressState): AddressState {
  const moves = (seconds: number | null) => (seconds === null ? null : Math.min(seconds, 1));
  return {
    ...address,
    validSeconds: moves(address.validSeconds),
    preferredSeconds: moves(address.preferredSeconds),
  };
}

function linkDifferences(before: Snapshot, now: Snapshot): readonly string[] {
  const was = linkOf(before, before.device);
  const is = linkOf(now, before.device);
  if (!was) return [];
  if (!is) return [`missing: the device ${before.device}`];
  const added = now.links.filter(({ name }) => !linkOf(before, name)).map(({ name }) => name);
  const gone = before.links.filter(({ name }) => !linkOf(now, name)).map(({ name }) => name);
  return [
    ...LINK_PROPERTIES.filter((key) => was[key] !== is[key]).map(
      (key) => `${before.device}: ${key} was ${was[key]}, is ${is[key]}`,
    ),
    ...(was.flags.includes('UP') === is.flags.includes('UP') ? [] : [`${before.device}: up or down`]),
    ...added.map((name) => `too much: the device ${name}`),
    ...gone.map((name) => `missing: the device ${name}`),
  ];
}

function sysctlDifferences(before: Snapshot, now: Snapshot): readonly string[] {
  const values = new Map(now.sysctls.map(({ path, value }) => [path, value]));
  return before.sysctls
    .filter(({ path, value }) => (values.get(path) ?? value) !== value)
    .map(({ path, value }) => `${path.replace('DEV', before.device)}: was ${value}, is ${values.get(path)}`);
}

/** What is in `a` and not in `b`, counting. */
function missing(a: readonly string[], b: readonly string[]): readonly string[] {
  const left = [...b];
  return a.filter((line) => {
    const at = left.indexOf(line);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
}

const LINK_PROPERTIES = [
  'mtu',
  'mac',
  'master',
  'kind',
  'addressGeneration',
] as const satisfies readonly (keyof LinkState)[];
