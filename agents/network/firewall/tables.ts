import { tapName } from '../../../src/net/names.js';
import type { ObjectKey } from '../../../src/protocol/objects.js';
import { SHARED } from '../model.js';
import {
  type Chain,
  type DesiredTable,
  type DesiredTables,
  type IpFamily,
  tableKey,
} from './iptables/model.js';
import { JUDGED } from './nft/tables.js';
import { inChain, outChain, type PortChains } from './port-chains.js';

/** A guest's port as the dispatch sees it; without chains (no port security) it is passed in both directions. */
export interface FilteredPort {
  readonly key: ObjectKey;
  readonly id: string;
  readonly chains: PortChains | null;
}

/** Bridges whose traffic is ours to judge. */
export interface FilteredBridges {
  /** Whether there is a bridge of a tenant network (they all begin with brq). */
  readonly tenant: boolean;
  readonly provider: readonly string[];
}

/** The iptables and ip6tables tables of the host's own namespace. */
export function hostTables(
  ports: readonly FilteredPort[],
  trustedTaps: readonly string[],
  bridges: FilteredBridges,
): DesiredTables {
  const tables = new Map<string, DesiredTable>();
  for (const family of [4, 6] as const) {
    tables.set(tableKey(family, 'filter'), filterTable(ports, trustedTaps, bridges, family));
    tables.set(tableKey(family, 'nat'), natTable(bridges));
  }
  return tables;
}

/**
 * maru-FORWARD picks the bridges that are ours, maru-bridged marks every packet as judged and passes established
 * connections, maru-out finds the sender's chain and maru-in the receiver's. Nobody's packets fall through.
 */
function filterTable(
  ports: readonly FilteredPort[],
  trustedTaps: readonly string[],
  bridges: FilteredBridges,
  family: IpFamily,
): DesiredTable {
  const chains = new Map<string, Chain>();
  const shared = (name: string, rules: readonly string[]) => chains.set(name, { owner: SHARED, rules });
  const judged = `0x${JUDGED.toString(16)}`;
  shared('maru-FORWARD', [
    ...(bridges.tenant ? ['-i brq+ -j maru-bridged'] : []),
    ...bridges.provider.map((bridge) => `-i ${bridge} -j maru-bridged`),
  ]);
  shared('maru-bridged', [
    `-j MARK --set-xmark ${judged}/${judged}`,
    '-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
    '-m physdev --physdev-in tap+ -j maru-out',
    '-j maru-in',
  ]);
  const leaves = [
    ...trustedTaps.map((tap) => ({ tap, out: 'maru-in', in: 'ACCEPT' })),
    ...ports.map((port) => ({
      tap: tapName(port.id),
      out: port.chains ? outChain(port.id) : 'maru-in',
      in: port.chains ? inChain(port.id) : 'ACCEPT',
    })),
  ];
  dispatch(
    shared,
    'maru-out',
    '--physdev-in',
    [],
    leaves.map(({ tap, out }) => ({ tap, target: out })),
  );
  dispatch(
    shared,
    'maru-in',
    '--physdev-out',
    ['-m physdev ! --physdev-out tap+ -j ACCEPT'],
    leaves.map((leaf) => ({ tap: leaf.tap, target: leaf.in })),
  );
  for (const { key, id, chains: own } of ports) {
    if (!own) continue;
    chains.set(outChain(id), { owner: key, rules: own.out[family] });
    chains.set(inChain(id), { owner: key, rules: own.in[family] });
  }
  return { chains, jumps: new Map([['FORWARD', ['-m physdev --physdev-is-bridged -j maru-FORWARD']]]) };
}

/**
 * A tree over the first two digits of the port id: a packet meets at most 16 + 16 rules and the few ports that share a
 * leaf, where one flat list of a thousand ports costs three quarters of the throughput.
 */
function dispatch(
  shared: (name: string, rules: readonly string[]) => void,
  root: string,
  option: string,
  first: readonly string[],
  leaves: readonly { readonly tap: string; readonly target: string }[],
): void {
  const branches = new Map<string, Map<string, string[]>>();
  for (const { tap, target } of leaves) {
    const [one, two] = [tap.slice(3, 4), tap.slice(3, 5)];
    const branch = branches.get(one) ?? new Map<string, string[]>();
    branches.set(one, branch);
    const leaf = branch.get(two) ?? [];
    branch.set(two, leaf);
    leaf.push(`-m physdev ${option} ${tap} -j ${target}`);
  }
  const rules = [...branches.keys()].sort().map((one) => `-m physdev ${option} tap${one}+ -j ${root}-${one}`);
  shared(root, [...first, ...rules, '-j DROP']);
  for (const [one, branch] of branches) {
    const twos = [...branch.keys()].sort();
    shared(
      `${root}-${one}`,
      twos.map((two) => `-m physdev ${option} tap${two}+ -j ${root}-${two}`),
    );
    for (const two of twos) shared(`${root}-${two}`, branch.get(two)!.sort());
  }
}

/** Keeps other people's NAT (Docker's, for instance) from rewriting what is only bridged through this host. */
function natTable(bridges: FilteredBridges): DesiredTable {
  const chains = new Map<string, Chain>([
    [
      'maru-PREROUTING',
      {
        owner: SHARED,
        rules: [
          ...(bridges.tenant ? ['-i brq+ -j ACCEPT'] : []),
          // what is addressed to the host itself may be its own published service
          ...bridges.provider.map((bridge) => `-i ${bridge} -m addrtype ! --dst-type LOCAL -j ACCEPT`),
        ],
      },
    ],
    [
      'maru-POSTROUTING',
      {
        owner: SHARED,
        rules: [
          ...(bridges.tenant ? ['-o brq+ -m physdev --physdev-is-bridged -j ACCEPT'] : []),
          ...bridges.provider.map((bridge) => `-o ${bridge} -m physdev --physdev-is-bridged -j ACCEPT`),
        ],
      },
    ],
  ]);
  return {
    chains,
    jumps: new Map([
      ['PREROUTING', ['-j maru-PREROUTING']],
      ['POSTROUTING', ['-j maru-POSTROUTING']],
    ]),
  };
}
