import type { ObjectKey } from '../../../../src/protocol/objects.js';
import { SHARED } from '../../model.js';
import type { TableDiff } from './diff.js';
import { parseTableKey } from './model.js';

/** Input of `iptables-restore --noflush`, and which object each line serves (to blame it for a line that is refused). */
export interface RestoreInput {
  readonly text: string;
  readonly owners: readonly ObjectKey[];
}

/**
 * Renders a diff as one transaction. Declaring a chain of ours empties it, so each changed chain is written whole; all
 * other chains, ours and foreign ones, stay untouched.
 */
export function renderRestore(diff: TableDiff): RestoreInput {
  const lines: string[] = [`*${parseTableKey(diff.key).table}`];
  const owners: ObjectKey[] = [SHARED];
  const add = (line: string, owner: ObjectKey) => {
    lines.push(line);
    owners.push(owner);
  };
  for (const { chain, object } of diff.chains) add(`:${chain} - [0:0]`, object);
  for (const { chain, wrong, rules } of diff.jumps) {
    for (const rule of wrong) add(`-D ${chain} ${rule}`, SHARED);
    rules.forEach((rule, index) => {
      add(`-I ${chain} ${index + 1} ${rule}`, SHARED);
    });
  }
  for (const { chain, object, rules } of diff.chains) {
    for (const rule of rules ?? []) add(`-A ${chain} ${rule}`, object);
  }
  for (const { chain, object, rules } of diff.chains) if (rules === null) add(`-X ${chain}`, object);
  add('COMMIT', SHARED);
  return { text: `${lines.join('\n')}\n`, owners };
}

/** The owner of the line that iptables-restore complains about, if it names one that serves a single object. */
export function blamedObject(stderr: string, input: RestoreInput): ObjectKey | null {
  for (const match of stderr.matchAll(/line:? (\d+)/g)) {
    const owner = input.owners[Number(match[1]) - 1];
    if (owner !== undefined && owner !== SHARED) return owner;
  }
  return null;
}
