import { findNamed, type Named, type NamedTable, someNames } from '../../store/names.js';
import type { Reader } from '../../store/store.js';
import { badRequest, conflict } from '../errors.js';

/** What operators call the things, and the command that lists them. */
const WORDS: Readonly<Record<NamedTable, readonly [word: string, command: string]>> = {
  flavor: ['flavor', 'openstack flavor list --all'],
  image: ['image', 'openstack image list'],
  network: ['network', 'openstack network list'],
  port: ['port', 'openstack port list'],
  project: ['project', 'openstack project list'],
  server_group: ['server group', 'openstack server group list --all-projects'],
  server: ['server', 'openstack server list --all-projects'],
};

/** The one thing of this id or name; 400 that says which names come near, 409 when there are several. */
export async function lookUp(db: Reader, table: NamedTable, idOrName: string): Promise<Named> {
  const found = await findNamed(db, table, idOrName);
  const [word, command] = WORDS[table];
  if (found.length > 1) {
    const ids = found.map(({ id }) => id).join(', ');
    throw conflict(`More than one ${word} is named '${idOrName}'; give the id: ${ids}`);
  }
  if (found[0]) return found[0];
  throw badRequest(
    `There is no ${word} '${idOrName}'${suggestion(idOrName, await someNames(db, table, 500))}; ${command} shows them.`,
  );
}

/** `, did you mean a or b?` for names that come near; empty when none does. */
export function suggestion(wanted: string, names: readonly string[]): string {
  const near = names
    .map((name) => ({ name, distance: distance(wanted.toLowerCase(), name.toLowerCase()) }))
    .filter(({ name, distance: d }) => d <= Math.max(2, Math.floor(name.length / 3)))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, 3)
    .map(({ name }) => name);
  return near.length === 0 ? '' : `, did you mean ${near.join(' or ')}?`;
}

/** Edits that lead from one text to the other. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
