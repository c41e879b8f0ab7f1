import { routerNamespace } from '../../../src/net/names.js';
import type { NamespaceRef, TraceCheck } from '../../../src/protocol/trace.js';
import { bridgeOf } from '../bridge/desired.js';
import type { Tracked } from '../firewall/conntrack/tracked.js';
import { ZONES } from '../firewall/nft/tables.js';
import { readZoneNumbers } from '../firewall/zones.js';
import { type Found, fail, ok, unknown } from './finding.js';
import { listingArguments, type Snapshot, TRACKED_MOST, type TrackedPlace } from './snapshot.js';

type Check<K extends TraceCheck['kind']> = Extract<TraceCheck, { kind: K }>;

/** From this share of the table on new connections are turned away: the kernel keeps the number just below the limit. */
const FULL = 0.99;
/** The kernel walks the whole table for each listing: a larger one is left to an operator, who knows what else the host does. */
const MOST_IN_TABLE = 50_000;
/** Connections that carry nothing any more. */
const OVER = ['TIME_WAIT', 'CLOSE', 'LAST_ACK', 'CLOSING'];

/** Whether bridged packets of a network are tracked in its own zone, and can be tracked at all. */
export async function tracking(snapshot: Snapshot, { network, address }: Check<'tracking'>): Promise<Found> {
  const { name, provider } = bridgeOf(network, snapshot.context.config);
  const numbers = await readZoneNumbers(snapshot.context);
  const zone = numbers.get(network.id);
  if (zone === undefined) return unknown('this host has given the network no conntrack zone yet');
  const { elements } = await snapshot.nft(ZONES);
  const map = provider ? 'provider_zones' : 'zones';
  const found = [...(elements.get(map) ?? [])].map((each) => each.split(' : '));
  const own = found.find(([bridge]) => bridge === name)?.[1];
  if (own === undefined)
    return fail(`${name} is not in the map ${map}: its connections are tracked in the default zone`);
  if (own !== `${zone}`)
    return fail(`${name} is tracked in conntrack zone ${own}, and ${zone} is that of its network`);
  const room = await snapshot.tracked();
  const full = fullTable(room);
  if (full) return full;
  if (address === null) return ok(`${name} is tracked in conntrack zone ${zone}`);
  // between bridged addresses nothing is translated, so the answers have it where the first packets have it
  const listing = { address, places: ['-s', '-d'] } as const;
  if (room.count > MOST_IN_TABLE) return tooMany(room.count, listing);
  const { tracked, lines, read } = await trackedOf(snapshot, listing);
  const known = new Set(numbers.values());
  // zone 0 is the host's own, and other networks may have the same address
  const stray = tracked.find((one) => one.zone !== 0 && !known.has(one.zone) && lives(one));
  if (stray) {
    return fail(
      `a connection of ${address} is tracked in conntrack zone ${stray.zone}, which is no network's, and does not go on: ${words(stray)}`,
      `conntrack -D -w ${stray.zone} -s ${stray.source} -d ${stray.destination}`,
    );
  }
  if (read < lines) return notAll(read, lines, listing);
  const here = tracked.filter((one) => one.zone === zone).length;
  return ok(`${name} is tracked in conntrack zone ${zone}: ${here} connection(s) of ${address}`);
}

/** Whether what a router's namespace tracks of a floating IP goes where it is translated to now. */
export async function translations(
  snapshot: Snapshot,
  { router_id, floating }: Check<'translations'>,
): Promise<Found> {
  const netns: NamespaceRef = { of: 'router', id: router_id };
  const name = routerNamespace(router_id);
  if ((await snapshot.inside(netns)) === null) return fail(`namespace ${name} is not there`);
  const room = await snapshot.tracked(name);
  const full = fullTable(room);
  if (full) return full;
  if (!floating) return ok('there is room for connections');
  const { address, fixed } = floating;
  const listing = { address, places: ['-d', '-q'], netns: name } as const;
  if (room.count > MOST_IN_TABLE) return tooMany(room.count, listing);
  const found = await trackedOf(snapshot, listing);
  const tracked = found.tracked.filter(lives);
  const drop = ({ source, destination }: Tracked) =>
    `ip netns exec ${name} conntrack -D -s ${source} -d ${destination}`;
  const inwards = tracked.find((one) => one.destination === address && one.replySource !== fixed);
  if (inwards) {
    const where = inwards.replySource === address ? 'the router itself' : inwards.replySource;
    const detail = `a connection to ${address} still goes to ${where}, not to ${fixed}: ${words(inwards)}`;
    return fail(detail, drop(inwards));
  }
  const outwards = tracked.find((one) => one.replyDestination === address && one.source !== fixed);
  if (outwards) {
    const detail = `a connection of ${outwards.source} still leaves as ${address}, which is ${fixed}'s: ${words(outwards)}`;
    return fail(detail, drop(outwards));
  }
  if (found.read < found.lines) return notAll(found.read, found.lines, listing);
  return ok(`${tracked.length} connection(s) of ${address}, all with ${fixed}`);
}

/** A full table turns every new connection away. */
function fullTable({ count, most }: { readonly count: number; readonly most: number }): Found | null {
  // 0: without limit
  if (most === 0 || count < most * FULL) return null;
  return fail(
    `the table of connections is full, ${count} of ${most}: new ones are dropped`,
    `sysctl -w ${TRACKED_MOST}=${2 * most}`,
  );
}

/** Connections of an address that are looked for: those that have it in one of the places. */
interface Listing {
  readonly address: string;
  readonly places: readonly TrackedPlace[];
  /** Absent: the host's own. */
  readonly netns?: string;
}

/** Each connection once; `read` of `lines` were looked at. */
async function trackedOf(
  snapshot: Snapshot,
  { address, places, netns }: Listing,
): Promise<{ readonly tracked: readonly Tracked[]; readonly lines: number; readonly read: number }> {
  const found = new Map<string, Tracked>();
  let [lines, read] = [0, 0];
  for (const place of places) {
    const listed = await snapshot.connections(place, address, netns);
    for (const one of listed.tracked) found.set(one.identity, one);
    lines += listed.lines;
    read += listed.read;
  }
  return { tracked: [...found.values()], lines, read };
}

function tooMany(count: number, listing: Listing): Found {
  return unknown(
    `${count} connections are tracked, too many to look through for those of ${listing.address}; to see these: ${commands(listing)}`,
  );
}

function notAll(read: number, lines: number, listing: Listing): Found {
  return unknown(
    `${read} of ${lines} connections of ${listing.address} were looked at, and nothing is wrong with these; to see all: ${commands(listing)}`,
  );
}

function commands({ address, places, netns }: Listing): string {
  const run = netns === undefined ? '' : `ip netns exec ${netns} `;
  return places.map((place) => `${run}conntrack ${listingArguments(place, address).join(' ')}`).join('; ');
}

function lives({ state }: Tracked): boolean {
  return state === null || !OVER.includes(state);
}

function words({ protocol, state, source, destination, sourcePort, destinationPort }: Tracked): string {
  const end = (address: string, port: number | null) =>
    port === null ? address : `${address.includes(':') ? `[${address}]` : address}:${port}`;
  const what = state === null ? protocol : `${protocol} ${state}`;
  return `${what} ${end(source, sourcePort)} → ${end(destination, destinationPort)}`;
}
