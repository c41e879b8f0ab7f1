import { realpath } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { type Action, ask, machine } from './actions.js';

/** ext4 makes it again and wants it there. */
const OF_THE_FILE_SYSTEM = 'lost+found';

export interface Removable {
  readonly path: string;
  readonly ours?: RegExp;
}

/**
 * What removes a directory with all that is in it. One that is a file system of its own is emptied, since it cannot be removed while
 * it is mounted; of a symbolic link only the link goes. Throws, with their names, when other file systems are mounted below it.
 * `ours`: names of what may be removed; with anything else in it the directory stays, and what is left is told.
 */
export async function removeDirectory(path: string, ours?: RegExp): Promise<Action[]> {
  const kind = await kindOf(path);
  if (kind === null) return [];
  if (kind === 'symbolic link') {
    const text = `${path} is a symbolic link: it goes, and what it points to stays`;
    return [
      { do: 'warn', text },
      { do: 'remove', path },
    ];
  }
  const { isMount, below } = await mountsAt(path);
  if (below.length > 0) throw new Error(mounted(path, below));
  const names = (await machine.listDirectory(path)).filter((name) => name !== OF_THE_FILE_SYSTEM);
  const foreign = ours ? names.filter((name) => !ours.test(name)) : [];
  if (!isMount && foreign.length === 0) return [{ do: 'remove', path }];
  const text = `left in ${path}, since it is not Maru's: ${foreign.join(', ')}`;
  return [
    ...names
      .filter((name) => !foreign.includes(name))
      .map((name) => ({ do: 'remove' as const, path: `${path}/${name}` })),
    ...(foreign.length > 0 ? [{ do: 'warn' as const, text }] : []),
  ];
}

/** Throws when one of these directories could not be removed whole: to be asked before anything is changed. */
export async function checkRemovable(directories: readonly Removable[]): Promise<void> {
  for (const { path, ours } of directories) await removeDirectory(path, ours);
}

/** The mount points in a text like /proc/self/mountinfo, in their order. */
export function mountPoints(mountinfo: string): string[] {
  return mountinfo
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter(Boolean)
    .map((point) =>
      point.replaceAll(/\\([0-7]{3})/g, (_, code) => String.fromCharCode(Number.parseInt(code, 8))),
    );
}

async function mountsAt(path: string): Promise<{ isMount: boolean; below: string[] }> {
  // the kernel names mount points by their real paths
  const parent = await realpath(dirname(path));
  const real = `${parent === '/' ? '' : parent}/${basename(path)}`;
  const points = mountPoints(await machine.readFile('/proc/self/mountinfo'));
  const below = [...new Set(points.filter((point) => point.startsWith(`${real}/`)))];
  return { isMount: points.includes(real), below };
}

/** What `stat` calls it; null when there is nothing. Links are not followed. */
async function kindOf(path: string): Promise<string | null> {
  return (await ask('stat', '-c', '%F', path))?.trim() ?? null;
}

function mounted(path: string, below: readonly string[]): string {
  const list = below.join(', ');
  return `${path} has other file systems mounted in it, which are not removed with it: ${list}. Are they Maru's? Then unmount them (umount ${[...below].reverse().join(' ')}), take them out of /etc/fstab, and remove what is on them yourself`;
}
