import { tapName, vxlanName } from '../../../src/net/names.js';
import type { NetworkObject } from '../../../src/protocol/objects.js';
import type { Segment, TraceCheck } from '../../../src/protocol/trace.js';
import { bridgeOf } from '../bridge/desired.js';
import { FLOOD_MAC, fdbKey, isOurLink, VXLAN_PORT } from '../links/model.js';
import { type Found, fail, ok, unknown } from './finding.js';
import type { Snapshot } from './snapshot.js';

type Check<K extends TraceCheck['kind']> = Extract<TraceCheck, { kind: K }>;

/** Whether a segment's bridge is there and up. */
export async function bridge(snapshot: Snapshot, { network }: Check<'bridge'>): Promise<Found> {
  const { name, provider } = bridgeOf(network, snapshot.context.config);
  const link = (await snapshot.devices()).links.get(name);
  if (!link) {
    const mend = provider ? `maru bridge ${name} --uplink NIC, on this host` : undefined;
    return fail(`bridge ${name} is not there`, mend);
  }
  if (link.kind !== 'bridge') return fail(`${name} is no bridge, but ${link.kind || 'a plain device'}`);
  if (!link.up) return fail(`bridge ${name} is down`, `ip link set dev ${name} up`);
  return ok(`${name} is up`);
}

/** Whether a provider bridge leads outside: by a port that is none of ours, nor a guest's. */
export async function uplink(snapshot: Snapshot, { network }: Check<'uplink'>): Promise<Found> {
  const { config } = snapshot.context;
  const { name } = bridgeOf(network, config);
  const { links, carriers } = await snapshot.devices();
  if (!links.has(name)) return unknown(`bridge ${name} is not there`);
  const ports = [...links.values()].filter(
    (link) =>
      link.master === name &&
      link.kind !== 'tun' &&
      !link.name.startsWith('prb') &&
      !isOurLink(link, config.underlay_ip),
  );
  if (ports.length === 0) {
    return fail(
      `bridge ${name} has no port that leads outside: nothing but our own is plugged into it`,
      `ip link set dev NIC master ${name} up`,
    );
  }
  const good = ports.find((port) => port.up && carriers.has(port.name));
  if (good) return ok(`${good.name} in ${name}, up, with carrier`);
  const [first] = ports as [(typeof ports)[number]];
  if (!first.up) return fail(`${first.name} in ${name} is down`, `ip link set dev ${first.name} up`);
  return fail(`${first.name} in ${name} has no carrier`, `is the cable of ${first.name} plugged in?`);
}

/** The host's end of a port. */
export async function plug(snapshot: Snapshot, check: Check<'plug'>): Promise<Found> {
  const name = tapName(check.port_id);
  const { links, carriers } = await snapshot.devices();
  const link = links.get(name);
  if (!link) return fail(`device ${name} is not there`);
  const { name: wanted } = bridgeOf(check.network, snapshot.context.config);
  if (link.master !== wanted) {
    return fail(
      `${name} is in ${link.master === null ? 'no bridge' : link.master}, not in ${wanted}`,
      `ip link set dev ${name} master ${wanted}`,
    );
  }
  if (!link.up) return fail(`${name} is down`, `ip link set dev ${name} up`);
  if (check.carrier && !carriers.has(name)) return fail(`${name} has no carrier: no guest holds it`);
  return ok(`${name} in ${wanted}, up`);
}

/** A segment's tunnel device. */
export async function tunnel(snapshot: Snapshot, { network }: Check<'tunnel'>): Promise<Found> {
  const name = vxlanName(network.segmentation_id ?? 0);
  const { config } = snapshot.context;
  const link = (await snapshot.devices()).links.get(name);
  if (!link) return fail(`tunnel device ${name} is not there`);
  const { name: wanted } = bridgeOf(network, config);
  if (link.kind !== 'vxlan') return fail(`${name} is no VXLAN device, but ${link.kind}`);
  if (link.local !== config.underlay_ip)
    return fail(`${name} ends at ${link.local}, and this host's address is ${config.underlay_ip}`);
  if (link.vxlanPort !== VXLAN_PORT) return fail(`${name} uses port ${link.vxlanPort}, not ${VXLAN_PORT}`);
  if (link.master !== wanted) {
    return fail(
      `${name} is in ${link.master === null ? 'no bridge' : link.master}, not in ${wanted}`,
      `ip link set dev ${name} master ${wanted}`,
    );
  }
  if (!link.up) return fail(`${name} is down`, `ip link set dev ${name} up`);
  return ok(`${name} in ${wanted}, up, from ${link.local}`);
}

/** Where a tunnel sends frames. */
export async function fdb(snapshot: Snapshot, { network, mac, vtep }: Check<'fdb'>): Promise<Found> {
  const dev = vxlanName(network.segmentation_id ?? 0);
  const { links, fdb: entries } = await snapshot.devices();
  if (!links.has(dev)) return unknown(`tunnel device ${dev} is not there`);
  if (mac === null) {
    const flood = entries.has(fdbKey({ dev, mac: FLOOD_MAC, dst: vtep }));
    return flood
      ? ok(`${dev} floods to ${vtep}`)
      : fail(`${dev} does not flood to ${vtep}`, `bridge fdb append ${FLOOD_MAC} dev ${dev} dst ${vtep}`);
  }
  const found = entries.get(fdbKey({ dev, mac, dst: vtep }));
  const mend = `bridge fdb replace ${mac} dev ${dev} dst ${vtep} self static`;
  if (!found) return fail(`${dev} has no entry for ${mac}`, mend);
  if (found.dst !== vtep) return fail(`${dev} sends frames for ${mac} to ${found.dst}, not to ${vtep}`, mend);
  if (!entries.has(fdbKey({ dev, mac, dst: null }))) {
    return fail(
      `the bridge does not know that ${mac} is behind ${dev}`,
      `bridge fdb replace ${mac} dev ${dev} master static`,
    );
  }
  return ok(`${mac} behind ${dev} at ${vtep}`);
}

type Entry = Pick<Check<'fdb'>, 'mac' | 'vtep'>;

/** Where a tunnel sends all frames that are for one host: as controllers of the release before ask it. */
export async function fdbPeer(
  snapshot: Snapshot,
  { network, macs, vtep }: Check<'fdb-peer'>,
): Promise<Found> {
  const wanted = [null, ...macs].map((mac) => ({ mac, vtep }));
  const right = `floods to ${vtep}, and sends it frames for ${macs.length} MAC(s)`;
  return await fdbEntries(snapshot, network, wanted, right);
}

/** Where a tunnel sends all frames that are for other hosts. */
export async function fdbTable(
  snapshot: Snapshot,
  { network }: Check<'fdb-table'>,
  told: NetworkObject | null,
): Promise<Found> {
  if (!told) return unknown(`the agent has not been told of network ${network.id}`);
  const { peers, remote_ports } = told;
  const wanted = [
    ...peers.map((vtep) => ({ mac: null, vtep })),
    ...remote_ports.map(({ mac, vtep }) => ({ mac, vtep })),
  ];
  const right = `floods to ${peers.length} host(s), and knows ${remote_ports.length} MAC(s) there`;
  return await fdbEntries(snapshot, network, wanted, right);
}

/** The first entry that goes elsewhere, and how many do; `right`: what is said when none does. */
async function fdbEntries(
  snapshot: Snapshot,
  network: Segment,
  wanted: readonly Entry[],
  right: string,
): Promise<Found> {
  const wrong: Found[] = [];
  for (const entry of wanted) {
    const found = await fdb(snapshot, { kind: 'fdb', network, ...entry });
    if (found.state === 'unknown') return found;
    if (found.state === 'fail') wrong.push(found);
  }
  const [first] = wrong;
  if (!first) return ok(`${vxlanName(network.segmentation_id ?? 0)} ${right}`);
  if (wrong.length === 1) return first;
  const detail = `${first.detail}; ${wrong.length - 1} more of ${wanted.length} entries are wrong`;
  return { ...first, detail };
}

/** IPv4 and ICMP headers, which are not part of ping's `-s`. */
const IP_AND_ICMP = 28;

/** Whether packets of full size reach another host's tunnel address. */
export async function underlay(
  snapshot: Snapshot,
  { vtep, mtu }: Check<'underlay'>,
  probe: boolean,
): Promise<Found> {
  if (!probe) return unknown('asked only with --probe');
  const { host } = snapshot.context;
  const ping = async (bytes: number) => {
    const args = ['-n', '-c', '1', '-W', '1', '-M', 'do', '-s', `${bytes}`, vtep];
    return await host.read('ping', args, { okCodes: [0, 1, 2], timeoutMs: 4_000 });
  };
  if ((await ping(mtu - IP_AND_ICMP)).exitCode === 0) return ok(`${vtep} answers packets of ${mtu} bytes`);
  const small = await ping(56);
  if (small.exitCode === 0) {
    return fail(
      `${vtep} answers, but packets of ${mtu} bytes do not get through: the MTU between the hosts is too small`,
      `raise the MTU of the underlay's devices and switches to at least ${mtu}`,
    );
  }
  if (/nreachable/.test(small.stdout + small.stderr)) return fail(`${vtep} is unreachable from this host`);
  return unknown(`${vtep} does not answer ping; a firewall may drop it`);
}

/** Name of the provider bridge of a flat segment; null for others, and where it is not mapped. */
export function providerOf(snapshot: Snapshot, network: Segment): string | null {
  return network.type === 'flat'
    ? (snapshot.context.config.physical_networks[network.physical_network ?? ''] ?? null)
    : null;
}
