import { parseCidr } from '../../../../src/net/cidr.js';
import { bigIntToIp } from '../../../../src/net/ip.js';
import type { ObjectKey } from '../../../../src/protocol/objects.js';
import type { NetworkContext } from '../../config.js';
import { SHARED, type Step } from '../../model.js';
import type { IpFamily } from '../iptables/model.js';

export interface DesiredSet {
  readonly owner: ObjectKey;
  readonly family: IpFamily;
  readonly members: ReadonlySet<string>;
}

export type DesiredSets = ReadonlyMap<string, DesiredSet>;
export type ObservedSets = Map<string, Set<string>>;

/** The spelling that ipset prints; a hash:net takes no block of prefix 0, so that becomes its two halves. */
export function setMembers(addresses: readonly string[]): Set<string> {
  return new Set(
    addresses.flatMap((text) => {
      const { version, first, prefix } = parseCidr(text);
      const bits = version === 4 ? 32 : 128;
      if (prefix === 0)
        return [`${bigIntToIp(0n, version)}/1`, `${bigIntToIp(1n << BigInt(bits - 1), version)}/1`];
      const address = bigIntToIp(first, version);
      return [prefix === bits ? address : `${address}/${prefix}`];
    }),
  );
}

/** Reads our sets: one command. */
export async function observeSets({ host }: NetworkContext): Promise<ObservedSets> {
  return parseSets((await host.read('ipset', ['save'])).stdout);
}

/** Reads the members of one set, however many others there are; null: it is not there. */
export async function observeSet({ host }: NetworkContext, name: string): Promise<Set<string> | null> {
  const { stdout, stderr, exitCode } = await host.read('ipset', ['save', name], { okCodes: [0, 1] });
  if (exitCode === 0) return parseSets(stdout).get(name) ?? null;
  if (/does not exist/.test(stderr)) return null;
  // run again without tolerance, so that the failure is reported with its command
  await host.read('ipset', ['save', name]);
  return null;
}

/** Addresses and blocks of IPv4 as ipset prints them, which is our spelling: taking a hundred thousand apart takes seconds. */
const PRINTED4 = /^[\d.]+(?:\/\d+)?$/;

function parseSets(stdout: string): ObservedSets {
  const sets: ObservedSets = new Map();
  for (const line of stdout.split('\n')) {
    const [command, name = '', member = ''] = line.split(' ');
    if (!/^maru[46]-/.test(name)) continue;
    if (command === 'create') sets.set(name, new Set());
    else if (command === 'add')
      sets.get(name)?.add(PRINTED4.test(member) ? member : ([...setMembers([member])][0] ?? member));
  }
  return sets;
}

export interface SetChange {
  readonly line: string;
  readonly object: ObjectKey;
  readonly set: string;
  /** Null: the set itself. */
  readonly member: string | null;
}

export interface SetsDiff {
  /** Before rules refer to the sets. */
  readonly make: readonly SetChange[];
  /** After no rule refers to them any more. */
  readonly remove: readonly SetChange[];
}

/** Compares our sets; sets that no rule refers to are removed. */
export function diffSets(desired: DesiredSets, observed: ObservedSets): SetsDiff {
  const make: SetChange[] = [];
  const remove: SetChange[] = [];
  for (const [set, { owner: object, family, members }] of desired) {
    const have = observed.get(set);
    if (!have) {
      const line = `create ${set} hash:net family ${family === 4 ? 'inet' : 'inet6'}`;
      make.push({ line, object, set, member: null });
    }
    for (const member of members) {
      if (!have?.has(member)) make.push({ line: `add ${set} ${member}`, object, set, member });
    }
    for (const member of have ?? []) {
      if (!members.has(member)) remove.push({ line: `del ${set} ${member}`, object, set, member });
    }
  }
  for (const set of observed.keys()) {
    if (!desired.has(set)) remove.push({ line: `destroy ${set}`, object: SHARED, set, member: null });
  }
  return { make, remove };
}

/** Applies changes as one `ipset restore`, and notes them. */
export async function applySets(
  { host }: NetworkContext,
  changes: readonly SetChange[],
  observed: ObservedSets,
): Promise<void> {
  if (!changes.length) return;
  await host.run('ipset', ['restore', '-exist'], { input: changes.map(({ line }) => `${line}\n`).join('') });
  for (const { line, set, member } of changes) {
    if (line.startsWith('create')) observed.set(set, new Set());
    else if (line.startsWith('destroy')) observed.delete(set);
    else if (line.startsWith('add')) observed.get(set)?.add(member!);
    else observed.get(set)?.delete(member!);
  }
}

/** The changes in words. */
export function setSteps(diff: SetsDiff): Step[] {
  return [...diff.make, ...diff.remove].map(({ object, line }) => ({
    object,
    action: 'ipset',
    detail: line,
  }));
}
