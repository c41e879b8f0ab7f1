import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { type Action, ensureFile, machine } from './actions.js';
import { COMMAND, MAIN, NODE, PROGRAM, SOURCE } from './layout.js';
import type { Step } from './run-steps.js';

/** Parts of the tree beside Node and the modules, as they are in a checkout and installed. */
const PARTS = ['dist/src', 'dist/agents', 'dist/scripts', 'templates', 'scripts', 'package.json'] as const;
const DIGEST = '.digest';

export const COMMAND_TEXT = `#!/bin/sh
exec ${NODE} ${MAIN} "$@"
`;

/** Copies the built program with its own Node into /usr/lib/maru, unless it runs from there, and makes the command `maru`. */
export function programStep(): Step {
  return {
    name: 'program',
    advice: 'Is there room on the disk? In a checkout the program has to be built: scripts/install does so.',
    async look() {
      const copied: Action[] = [];
      if (SOURCE !== PROGRAM) {
        const digest = await digestOf(SOURCE);
        if ((await machine.readFileIfExists(`${PROGRAM}/${DIGEST}`)) !== digest) {
          copied.push({
            do: 'call',
            say: `copy the program from ${SOURCE} and ${process.execPath} to ${PROGRAM} (replacing what is there at once)`,
            call: () => replaceTree(digest),
          });
        }
      }
      const packaged = SOURCE === PROGRAM && (await machine.stat(COMMAND)) !== null;
      return [
        ...copied,
        ...(packaged ? [] : await ensureFile({ path: COMMAND, content: COMMAND_TEXT, mode: 0o755 })),
      ];
    },
  };
}

/** What the installed program is, for the decision whether running ones have to be started again. */
export async function programVersion(): Promise<string> {
  const installed = await machine.readFileIfExists(`${PROGRAM}/${DIGEST}`);
  return installed ?? (await digestOf(PROGRAM));
}

/** Modules that the program needs when it runs, as paths below the tree, from the lock file; in a package all that there are. */
export async function productionModules(root: string): Promise<string[]> {
  const lock = await machine.readFileIfExists(`${root}/package-lock.json`);
  if (lock === null) return ['node_modules'];
  const { packages } = JSON.parse(lock) as {
    packages: Record<string, { dev?: boolean; devOptional?: boolean; optional?: boolean }>;
  };
  const wanted = Object.entries(packages).filter(([path, one]) => path && !one.dev && !one.devOptional);
  const found: string[] = [];
  for (const [path] of wanted) {
    // nested ones go with their parents; optional ones of other platforms are not there
    const nested = path.indexOf('/node_modules/') !== -1;
    if (!nested && (await machine.stat(`${root}/${path}`))) found.push(path);
  }
  return found;
}

async function replaceTree(digest: string): Promise<void> {
  const fresh = `${PROGRAM}.new`;
  await machine.removeTree(fresh);
  await machine.makeDirectory(`${fresh}/bin`, 0o755);
  const modules = await productionModules(SOURCE);
  for (const part of [...PARTS, ...modules]) {
    const parent = `${fresh}/${part.split('/').slice(0, -1).join('/')}`;
    await machine.makeDirectory(parent, 0o755);
    await machine.run('cp', ['-R', '--preserve=mode,links', `${SOURCE}/${part}`, parent], {
      timeoutMs: 300_000,
    });
  }
  await machine.run('cp', ['--dereference', process.execPath, `${fresh}/bin/node`]);
  await machine.run('chmod', ['-R', 'u=rwX,go=rX', fresh]);
  await machine.run('chown', ['-R', 'root:root', fresh]);
  // the digest says that all is there: what it speaks of must be on the disk first, or a power cut leaves it with empty files
  await machine.run('sync', ['-f', fresh], { timeoutMs: 300_000 });
  await machine.writeFile(`${fresh}/${DIGEST}`, digest, 0o644);
  // a running program keeps what it has open; one that starts between the two moves is started again by systemd
  await machine.removeTree(`${PROGRAM}.old`);
  if (await machine.stat(PROGRAM)) await machine.rename(PROGRAM, `${PROGRAM}.old`);
  await machine.rename(fresh, PROGRAM);
  await machine.removeTree(`${PROGRAM}.old`);
}

/** Of everything that differs between two versions: the code by its text, modules by their locked versions, Node by its own. */
async function digestOf(root: string): Promise<string> {
  const hash = createHash('sha256').update(process.version);
  for (const part of PARTS) {
    for (const file of await filesBelow(`${root}/${part}`)) {
      hash.update(`\0${file.slice(root.length)}\0`).update(await readFile(file));
    }
  }
  hash.update((await machine.readFileIfExists(`${root}/package-lock.json`)) ?? '');
  return `${hash.digest('hex')}\n`;
}

async function filesBelow(path: string): Promise<string[]> {
  const found = await machine.stat(path);
  if (!found?.isDirectory) return found ? [path] : [];
  const names = await readdir(path, { recursive: true, withFileTypes: true });
  return names
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.parentPath}/${entry.name}`)
    .sort();
}
