import type { ObjectKey } from '../../../../src/protocol/objects.js';
import type { ObservedTable } from './observe.js';
import { type NftTable, renderTable, ruleCount, tableVersion } from './tables.js';

/** Elements by set; the value is the object that wants the element. */
export type DesiredElements = ReadonlyMap<string, ReadonlyMap<string, ObjectKey>>;

export interface ElementChange {
  readonly action: 'add' | 'delete';
  readonly set: string;
  readonly element: string;
  /** Null: nobody wants it any more. */
  readonly object: ObjectKey | null;
}

/** Whether the table has to be replaced as a whole: absent, of another version, or changed by hand. */
export function needsReplacement(table: NftTable, observed: ObservedTable): boolean {
  return observed.version !== tableVersion(table) || observed.rules !== ruleCount(table);
}

/** Elements to delete (first, since an interval set refuses overlaps) and to add. */
export function diffElements(
  table: NftTable,
  desired: DesiredElements,
  observed: ObservedTable,
): ElementChange[] {
  const gone: ElementChange[] = [];
  const added: ElementChange[] = [];
  for (const { name: set } of table.sets) {
    const want = desired.get(set) ?? new Map<string, ObjectKey>();
    const have = observed.elements.get(set) ?? new Set<string>();
    for (const element of have)
      if (!want.has(element)) gone.push({ action: 'delete', set, element, object: null });
    for (const [element, object] of want)
      if (!have.has(element)) added.push({ action: 'add', set, element, object });
  }
  return [...gone, ...added];
}

/** The changes as text for `nft -f`: one line per set and action, in the given order of actions. */
export function renderChanges(table: NftTable, changes: readonly ElementChange[]): string {
  const groups = new Map<string, string[]>();
  for (const change of changes) {
    const command = `${change.action} element ${table.family} ${table.name} ${change.set}`;
    const group = groups.get(command) ?? [];
    group.push(quoted(change.set, change.element));
    groups.set(command, group);
  }
  return [...groups].map(([command, elements]) => `${command} { ${elements.join(', ')} }\n`).join('');
}

/** Text that replaces the table, keeping of its present elements those that are still wanted. */
export function renderReplacement(
  table: NftTable,
  desired: DesiredElements,
  observed: ObservedTable,
): string {
  return renderTable(table, (set) =>
    [...(observed.elements.get(set) ?? [])]
      .filter((element) => desired.get(set)?.has(element))
      .map((element) => quoted(set, element)),
  );
}

/** Device names are quoted: some are words of nft's language. */
function quoted(set: string, element: string): string {
  return set === 'dhcp_mac' ? element : element.replace(/^\S+/, '"$&"');
}
