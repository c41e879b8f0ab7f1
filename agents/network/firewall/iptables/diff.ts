import type { ObjectKey } from '../../../../src/protocol/objects.js';
import { SHARED, type Step } from '../../model.js';
import {
  type DesiredTable,
  type DesiredTables,
  type ObservedChains,
  type ObservedTables,
  OUR_CHAINS,
} from './model.js';
import { normaliseRule } from './normalise.js';

/** A chain that is written anew; `rules` null removes it. */
export interface ChainChange {
  readonly chain: string;
  readonly object: ObjectKey;
  readonly before: readonly string[] | null;
  readonly rules: readonly string[] | null;
}

/** A built-in chain whose first rules are not ours, or not only once. */
export interface JumpChange {
  readonly chain: string;
  readonly wrong: readonly string[];
  readonly rules: readonly string[];
}

export interface TableDiff {
  /** `4 filter` … */
  readonly key: string;
  readonly chains: readonly ChainChange[];
  readonly jumps: readonly JumpChange[];
}

/** Compares tables; a table that needs nothing is not in the result. Tables nobody wants lose our chains. */
export function diffTables(desired: DesiredTables, observed: ObservedTables): TableDiff[] {
  const diffs: TableDiff[] = [];
  for (const key of new Set([...desired.keys(), ...observed.keys()])) {
    const table = desired.get(key) ?? NOTHING;
    const have = observed.get(key) ?? new Map<string, readonly string[]>();
    const chains = diffChains(table, have);
    const jumps = diffJumps(table, have);
    if (chains.length || jumps.length) diffs.push({ key, chains, jumps });
  }
  return diffs;
}

/** The diff in words: rules with `+` and `-`. */
export function tableSteps(diff: TableDiff, where: string): Step[] {
  const [family, table] = diff.key.split(' ');
  const action = `${family === '6' ? 'ip6tables' : 'iptables'} ${table}${where ? ` in ${where}` : ''}`;
  const steps: Step[] = [];
  for (const { chain, object, before, rules } of diff.chains) {
    if (before === null) steps.push({ object, action, detail: `+ -N ${chain}` });
    const old = new Set((before ?? []).map(normaliseRule));
    const wanted = new Set((rules ?? []).map(normaliseRule));
    for (const rule of before ?? []) {
      if (!wanted.has(normaliseRule(rule))) steps.push({ object, action, detail: `- -A ${chain} ${rule}` });
    }
    for (const rule of rules ?? []) {
      if (!old.has(normaliseRule(rule))) steps.push({ object, action, detail: `+ -A ${chain} ${rule}` });
    }
    if (rules === null) steps.push({ object, action, detail: `- -X ${chain}` });
    else if (old.size === wanted.size && [...old].every((rule) => wanted.has(rule)) && before !== null) {
      steps.push({ object, action, detail: `order of rules in ${chain}` });
    }
  }
  for (const { chain, rules, wrong } of diff.jumps) {
    for (const rule of wrong) steps.push({ object: SHARED, action, detail: `- -D ${chain} ${rule}` });
    for (const rule of rules) steps.push({ object: SHARED, action, detail: `+ -I ${chain} ${rule}` });
  }
  return steps;
}

const NOTHING: DesiredTable = { chains: new Map(), jumps: new Map() };

function diffChains(table: DesiredTable, have: ObservedChains): ChainChange[] {
  const changes: ChainChange[] = [];
  for (const [chain, { owner, rules }] of table.chains) {
    const before = have.get(chain) ?? null;
    if (before !== null && sameRules(before, rules)) continue;
    changes.push({ chain, object: owner, before, rules });
  }
  for (const [chain, before] of have) {
    if (!chain.startsWith(OUR_CHAINS) || table.chains.has(chain)) continue;
    changes.push({ chain, object: SHARED, before, rules: null });
  }
  return changes;
}

/** The spelling is looked at only where the texts differ: this runs over every rule of the host. */
function sameRules(a: readonly string[], b: readonly string[]): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) {
    if (a[i] !== b[i] && normaliseRule(a[i]!) !== normaliseRule(b[i]!)) return false;
  }
  return true;
}

/** Our jumps must come first: a foreign rule before them could accept what a security group forbids. */
function diffJumps(table: DesiredTable, have: ObservedChains): JumpChange[] {
  const changes: JumpChange[] = [];
  for (const chain of new Set([...table.jumps.keys(), ...have.keys()])) {
    if (chain.startsWith(OUR_CHAINS)) continue;
    const rules = table.jumps.get(chain) ?? [];
    const present = have.get(chain) ?? [];
    const ours = present.filter((rule) => / -[jg] maru-/.test(` ${rule}`));
    const right = rules.every(
      (rule, i) => present[i] !== undefined && normaliseRule(present[i]) === normaliseRule(rule),
    );
    if (right && ours.length === rules.length) continue;
    changes.push({ chain, wrong: ours, rules });
  }
  return changes;
}
