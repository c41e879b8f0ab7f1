import type { ObjectKey } from '../../../../src/protocol/objects.js';

export type IpFamily = 4 | 6;
export type TableName = 'filter' | 'nat' | 'mangle' | 'raw';

/** A chain of ours and the object that it serves. Rules are without `-A chain`. */
export interface Chain {
  readonly owner: ObjectKey;
  readonly rules: readonly string[];
}

/** What we want in one table of one namespace. */
export interface DesiredTable {
  readonly chains: ReadonlyMap<string, Chain>;
  /** Rules that must stand first in built-in chains, such as FORWARD, each exactly once and in this order. */
  readonly jumps: ReadonlyMap<string, readonly string[]>;
}

/** Tables by `4 filter`, `6 filter`, `4 nat` … */
export type DesiredTables = ReadonlyMap<string, DesiredTable>;

/** Every chain of a table with its rules, foreign ones included. */
export type ObservedChains = Map<string, readonly string[]>;
export type ObservedTables = Map<string, ObservedChains>;

/** Chains with this prefix are ours; no other chain is ever touched. */
export const OUR_CHAINS = 'maru-';

export function tableKey(family: IpFamily, table: TableName): string {
  return `${family} ${table}`;
}

export function parseTableKey(key: string): { family: IpFamily; table: TableName } {
  const [family, table] = key.split(' ');
  return { family: Number(family) as IpFamily, table: table as TableName };
}
