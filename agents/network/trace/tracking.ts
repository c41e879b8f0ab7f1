import { ipVersion } from '../../../src/net/ip.js';
import { routerNamespace } from '../../../src/net/names.js';
import type { NamespaceRef, TraceCheck } from '../../../src/protocol/trace.js';
import { bridgeOf } from '../bridge/desired.js';
import type { NetworkContext } from '../config.js';
import { parseTracked, type Tracked } from '../firewall/conntrack/tracked.js';
import { ZONES } from '../firewall/nft/tables.js';
import { readZoneNumbers } from '../firewall/zones.js';
import { type Found, fail, ok, unknown } from './finding.js';
import type { Snapshot } from './snapshot.js';

type Check<K extends TraceCheck['kind']> = Extract<TraceCheck, { kind: K }>;

const COUNT = 'net.netfilter.nf_conntrack_count';
const MOST = 'net.netfilter.nf_conntrack_max';
/** From this share of the table on new connections are turned away: the kernel keeps the number just below the limit. */
const FULL = 0.99;
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
  const full = await fullTable(snapshot.context);
  if (full) return full;
  if (address === null) return ok(`${name} is tracked in conntrack zone ${zone}`);
  const tracked = await trackedOf(snapshot.context, address);
  const known = new Set(numbers.values());
  // zone 0 is the host's own, and other networks may have the same address
  const stray = tracked.find((one) => one.zone !== 0 && !known.has(one.zone) && lives(one));
  if (stray) {
    return fail(
      `a connection of ${address} is tracked in conntrack zone ${stray.zone}, which is no network's, and does not go on: ${words(stray)}`,
      `conntrack -D -w ${stray.zone} -s ${stray.source} -d ${stray.destination}`,
    );
  }
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
  const full = await fullTable(snapshot.context, name);
  if (full) return full;
  if (!floating) return ok('there is room for connections');
  const { address, fixed } = floating;
  const tracked = (await trackedOf(snapshot.context, address, name)).filter(lives);
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
  return ok(`${tracked.length} connection(s) of ${address}, all with ${fixed}`);
}

/** A full table turns every new connection away. */
async function fullTable({ host }: NetworkContext, netns?: string): Promise<Found | null> {
  const { stdout } = await host.read('sysctl', ['-e', COUNT, MOST], {
    okCodes: [0, 1, 255],
    ...(netns === undefined ? {} : { netns }),
  });
  const number = (name: string) => Number(new RegExp(`^${name} *= *(\\d+)`, 'm').exec(stdout)?.[1] ?? 0);
  const [count, most] = [number(COUNT), number(MOST)];
  // 0: without limit
  if (most === 0 || count < most * FULL) return null;
  return fail(
    `the table of connections is full, ${count} of ${most}: new ones are dropped`,
    `sysctl -w ${MOST}=${2 * most}`,
  );
}

/** Connections from or to an address, as their first packets or their answers have it. */
async function trackedOf({ host }: NetworkContext, address: string, netns?: string): Promise<Tracked[]> {
  const family = ipVersion(address) === 6 ? 'ipv6' : 'ipv4';
  const found = new Map<string, Tracked>();
  // each call lists only what has it there, however large the table is
  for (const place of ['-s', '-d', '-r', '-q']) {
    const args = ['-L', '-f', family, place, address, '-o', 'extended'];
    const { stdout } = await host.read('conntrack', args, netns === undefined ? {} : { netns });
    for (const one of parseTracked(stdout)) found.set(one.identity, one);
  }
  return [...found.values()];
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
