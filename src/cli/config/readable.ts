import { readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * What keeps a user of this machine from reading a file: a directory on its way, or the file. By owners and modes, so that access
 * lists (ACLs) are not seen; null: nothing, or there is no such user, or it cannot be told.
 */
export function closedTo(file: string, user: string): string | null {
  try {
    const ids = idsOf(user);
    if (ids === null || ids.uid === 0) return null;
    const real = realpathSync(file);
    // also where a link is: to follow it one has to get there
    for (const directory of [...waysTo(file), ...waysTo(real)]) if (!may(ids, directory, 1)) return directory;
    return may(ids, real, 4) ? null : real;
  } catch {
    return null;
  }
}

interface Ids {
  readonly uid: number;
  readonly gids: ReadonlySet<number>;
}

function idsOf(user: string): Ids | null {
  const entry = entriesOf('/etc/passwd').find(([name]) => name === user);
  if (!entry) return null;
  const gids = entriesOf('/etc/group')
    .filter(([, , , members = '']) => members.split(',').includes(user))
    .map(([, , gid]) => Number(gid));
  return { uid: Number(entry[2]), gids: new Set([Number(entry[3]), ...gids]) };
}

function entriesOf(file: string): string[][] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
}

/** Directories above a file, from the root. */
function waysTo(file: string): string[] {
  const above = dirname(file);
  return above === file ? [] : [...waysTo(above), above];
}

/** `bit`: 4 to read, 1 to pass through. */
function may({ uid, gids }: Ids, path: string, bit: 4 | 1): boolean {
  const found = statSync(path);
  if (found.uid === uid) return (found.mode & (bit << 6)) !== 0;
  return (found.mode & (gids.has(found.gid) ? bit << 3 : bit)) !== 0;
}
