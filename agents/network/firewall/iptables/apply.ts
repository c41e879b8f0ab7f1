import type { ObjectKey } from '../../../../src/protocol/objects.js';
import { CommandError } from '../../../host/host.js';
import type { NetworkContext } from '../../config.js';
import type { TableDiff } from './diff.js';
import { type ObservedTables, parseTableKey } from './model.js';
import { blamedObject, renderRestore } from './restore.js';

/** A refused transaction; `object` is whose rule was refused, if that is known. */
export class RestoreError extends Error {
  readonly object: ObjectKey | null;
  override readonly cause: unknown;

  constructor(object: ObjectKey | null, cause: unknown) {
    super('iptables-restore was refused', { cause });
    this.object = object;
    this.cause = cause;
  }
}

/** Applies one table's diff as one transaction, and notes what the table then holds. Throws RestoreError. */
export async function restoreTable(
  { host }: NetworkContext,
  diff: TableDiff,
  observed: ObservedTables,
  netns?: string,
): Promise<void> {
  const { family } = parseTableKey(diff.key);
  const input = renderRestore(diff);
  const command = family === 4 ? 'iptables-restore' : 'ip6tables-restore';
  try {
    await host.run(command, ['--noflush', '-w', '5'], { input: input.text, ...(netns ? { netns } : {}) });
  } catch (error) {
    throw new RestoreError(error instanceof CommandError ? blamedObject(error.stderr, input) : null, error);
  }
  const chains = observed.get(diff.key) ?? new Map<string, readonly string[]>();
  observed.set(diff.key, chains);
  for (const { chain, rules } of diff.chains) {
    if (rules) chains.set(chain, rules);
    else chains.delete(chain);
  }
  for (const { chain, rules, wrong } of diff.jumps) {
    chains.set(chain, [...rules, ...(chains.get(chain) ?? []).filter((rule) => !wrong.includes(rule))]);
  }
}
