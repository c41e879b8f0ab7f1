import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { ipVersion, normaliseIp } from '../../../src/net/ip.js';
import type { Host } from '../../host/host.js';
import type { Log, NetworkContext } from '../config.js';

/** A bridge of this host and addresses that somebody behind it may answer for. */
export interface BridgeTarget {
  readonly bridge: string;
  readonly addresses: readonly string[];
}

/** Somebody who answered. */
export interface Answer {
  readonly bridge: string;
  readonly address: string;
  readonly mac: string;
}

/** Between the three questions that the kernel asks before it gives up. */
const RETRANSMIT_MS = 150;
const POLL_MS = 50;
const GIVE_UP_MS = 1_500;
const PREFIX = 'qprobe-';

/** Namespaces of probes that run now; any other of the name is what a killed agent left. */
const running = new Set<string>();

/**
 * Asks on each bridge who has the addresses, as any neighbour would, from a namespace made for it. The kernel asks: ARP with the
 * sender 0.0.0.0, which changes nobody's tables, and neighbour solicitations. Takes half a second where nobody answers.
 */
export async function probe(
  { host, log }: NetworkContext,
  targets: readonly BridgeTarget[],
): Promise<Answer[]> {
  const asked = targets.filter(({ addresses }) => addresses.length > 0);
  if (!asked.length) return [];
  await removeLeftOvers(host, log);
  const name = `${PREFIX}${randomBytes(4).toString('hex')}`;
  running.add(name);
  try {
    await host.run('ip', ['netns', 'add', name], { mounts: true });
    return await ask(host, log, name, asked);
  } finally {
    // the devices go with it
    await host.run('ip', ['netns', 'del', name], { mounts: true }).catch((error) => {
      log.warn('the namespace of a probe was not removed', { netns: name, error });
    });
    running.delete(name);
  }
}

async function ask(host: Host, log: Log, netns: string, targets: readonly BridgeTarget[]): Promise<Answer[]> {
  const devices = targets.map((target, index) => ({ ...target, inner: `p${index}` }));
  // the devices' own settings: a namespace has no defaults for neighbours
  const ipv6 = ['accept_dad=0', 'dad_transmits=0', 'accept_ra=0'];
  await host.run('sysctl', ['-e', '-q', '-w', ...ipv6.map((each) => `net.ipv6.conf.default.${each}`)], {
    netns,
  });
  const tag = netns.slice(PREFIX.length);
  await batch(
    host,
    null,
    devices.flatMap(({ bridge, inner }, index) => {
      const outer = `prb${tag}${index.toString(36)}`;
      return [
        // a bridge without an address of its own takes the lowest of its ports': a high one never becomes br-ex's
        `link add name ${outer} address ${highMac()} type veth peer name ${inner} netns ${netns}`,
        `link set dev ${outer} addrgenmode none`,
        `link set dev ${outer} master ${bridge}`,
        `link set dev ${outer} up`,
      ];
    }),
  );
  const retransmit = devices.flatMap(({ inner }) =>
    ['ipv4', 'ipv6'].map((family) => `net.${family}.neigh.${inner}.retrans_time_ms=${RETRANSMIT_MS}`),
  );
  await host.run('sysctl', ['-e', '-q', '-w', ...retransmit], { netns });
  const questions = (version: 4 | 6) =>
    devices.flatMap(({ inner, addresses }) =>
      addresses
        .filter((address) => ipVersion(address) === version)
        .map((address) => `neigh replace ${address} dev ${inner} use`),
    );
  await batch(host, netns, [
    // without it the namespace has no table of local addresses, and nothing is asked
    'link set dev lo up',
    ...devices.map(({ inner }) => `link set dev ${inner} up`),
    ...questions(4),
  ]);
  try {
    await batch(host, netns, questions(6));
  } catch (error) {
    // a host without IPv6 has no neighbours to ask there, and still has those of IPv4
    log.warn('IPv6 neighbours cannot be asked who has an address', { netns, error });
  }
  const neighbours = await settled(host, netns);
  return devices.flatMap(({ bridge, inner, addresses }) =>
    addresses.flatMap((address) => {
      const found = neighbours.find(
        ({ dev, dst, lladdr }) =>
          dev === inner && lladdr !== undefined && normaliseIp(dst) === normaliseIp(address),
      );
      return found ? [{ bridge, address, mac: found.lladdr! }] : [];
    }),
  );
}

interface Neighbour {
  readonly dst: string;
  readonly dev: string;
  readonly lladdr?: string;
  readonly state?: readonly string[];
}

/** The neighbours once none is being asked any more. */
async function settled(host: Host, netns: string): Promise<readonly Neighbour[]> {
  const deadline = performance.now() + GIVE_UP_MS;
  for (;;) {
    const { stdout } = await host.read('ip', ['-n', netns, '-j', 'neigh', 'show']);
    const all = JSON.parse(stdout || '[]') as Neighbour[];
    if (!all.some(({ state }) => state?.includes('INCOMPLETE')) || performance.now() > deadline) return all;
    await sleep(POLL_MS);
  }
}

async function batch(host: Host, netns: string | null, lines: readonly string[]): Promise<void> {
  if (!lines.length) return;
  const args = [...(netns === null ? [] : ['-n', netns]), '-batch', '-'];
  await host.run('ip', args, { input: `${lines.join('\n')}\n` });
}

/** What stays is removed by the next probe: another agent may be removing it just now. */
async function removeLeftOvers(host: Host, log: Log): Promise<void> {
  try {
    const { stdout } = await host.read('ip', ['netns', 'list']);
    const names = stdout.split('\n').map((line) => line.split(' ')[0]!);
    for (const name of names.filter((each) => each.startsWith(PREFIX) && !running.has(each))) {
      await host.run('ip', ['netns', 'del', name], { mounts: true }).catch((error) => {
        log.debug('the namespace of an earlier probe was not removed', { netns: name, error });
      });
    }
  } catch (error) {
    log.debug('cannot list what earlier probes left', { error });
  }
}

function highMac(): string {
  return ['fe', ...randomBytes(5).toString('hex').match(/../g)!].join(':');
}
