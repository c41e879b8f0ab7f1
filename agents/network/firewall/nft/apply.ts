import type { ObjectKey } from '../../../../src/protocol/objects.js';
import type { NetworkContext } from '../../config.js';
import type { Failures } from '../../model.js';
import { type DesiredElements, type ElementChange, renderChanges, renderReplacement } from './diff.js';
import type { ObservedTable } from './observe.js';
import { type NftTable, ruleCount, tableVersion } from './tables.js';

/** Replaces a table in one transaction; elements that are not there yet follow with the ordinary changes. */
export async function replaceTable(
  { host }: NetworkContext,
  table: NftTable,
  desired: DesiredElements,
  observed: ObservedTable,
): Promise<void> {
  await host.run('nft', ['-f', '-'], { input: renderReplacement(table, desired, observed) });
  observed.version = tableVersion(table);
  observed.rules = ruleCount(table);
  for (const { name } of table.sets) {
    const kept = [...(observed.elements.get(name) ?? [])].filter((element) =>
      desired.get(name)?.has(element),
    );
    observed.elements.set(name, new Set(kept));
  }
}

/**
 * Applies element changes of all tables in one transaction. When that fails, object by object, so that only the ports with
 * an element that nft refuses stay closed. Returns false if anything was refused.
 */
export async function applyElements(
  { host }: NetworkContext,
  changes: readonly {
    readonly table: NftTable;
    readonly observed: ObservedTable;
    readonly change: ElementChange;
  }[],
  failures: Failures,
): Promise<boolean> {
  if (!changes.length) return true;
  const run = async (some: typeof changes) => {
    const tables = [...new Set(some.map(({ table }) => table))];
    const input = tables
      .map((table) =>
        renderChanges(
          table,
          some.filter((c) => c.table === table).map((c) => c.change),
        ),
      )
      .join('');
    await host.run('nft', ['-f', '-'], { input });
    for (const { observed, change } of some) {
      const elements = observed.elements.get(change.set) ?? new Set();
      observed.elements.set(change.set, elements);
      if (change.action === 'add') elements.add(change.element);
      else elements.delete(change.element);
    }
  };
  try {
    await run(changes);
    return true;
  } catch {
    let clean = true;
    for (const part of byObject(changes)) {
      try {
        await run(part.changes);
      } catch (error) {
        clean = false;
        failures.addThrown(part.object ?? 'network/*', error);
      }
    }
    return clean;
  }
}

/** Deletions first, then one group per object. */
function byObject<C extends { readonly change: ElementChange }>(
  changes: readonly C[],
): { object: ObjectKey | null; changes: C[] }[] {
  const groups = new Map<ObjectKey | null, C[]>([[null, []]]);
  for (const entry of changes) {
    const group = groups.get(entry.change.object) ?? [];
    group.push(entry);
    groups.set(entry.change.object, group);
  }
  return [...groups]
    .filter(([, group]) => group.length)
    .map(([object, group]) => ({ object, changes: group }));
}
