import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { CommandError } from '../../agents/host/host.js';
import { RealHost } from '../../agents/host/real.js';

/** This machine: everything that the installation reads, runs and writes goes through it. */
export const machine = new RealHost();

/** One change that the installation makes. What is given to `look` functions as found right is not an action. */
export type Action =
  | {
      readonly do: 'write';
      readonly path: string;
      readonly content: string;
      readonly mode: number;
      /** `user:group`; root:root unless given. */
      readonly owner?: string;
      /** Its text is not shown. */
      readonly secret?: boolean;
      /** Its text as it may be shown, before and after; as it is unless given. */
      readonly shown?: (text: string) => string;
    }
  | { readonly do: 'remove'; readonly path: string }
  | { readonly do: 'directory'; readonly path: string; readonly mode: number; readonly owner?: string }
  | { readonly do: 'run'; readonly argv: readonly string[]; readonly timeoutMs?: number }
  /** What is neither a file nor a single command; `say` completes "would …". */
  | { readonly do: 'call'; readonly say: string; readonly call: () => Promise<void> }
  | { readonly do: 'warn'; readonly text: string };

/** What would be done, as text: commands as they can be pasted, files as a diff. */
export async function describe(action: Action): Promise<string> {
  switch (action.do) {
    case 'run':
      return `run ${quoted(action.argv)}`;
    case 'remove':
      return `remove ${action.path}`;
    case 'directory':
      return `make directory ${action.path} (${octal(action.mode)}, ${action.owner ?? 'root:root'})`;
    case 'call':
      return action.say;
    case 'warn':
      return `WARNING: ${action.text}`;
    case 'write': {
      const head = `write ${action.path} (${octal(action.mode)}, ${action.owner ?? 'root:root'})`;
      return action.secret ? `${head}, its text is secret` : `${head}\n${await difference(action)}`.trimEnd();
    }
  }
}

/** Does it. Throws CommandError, or what the file system says. */
export async function perform(action: Action): Promise<void> {
  switch (action.do) {
    case 'run': {
      const [command = '', ...args] = action.argv;
      await machine.run(command, args, { timeoutMs: action.timeoutMs ?? 120_000, env: QUIET });
      return;
    }
    case 'remove':
      await machine.removeTree(action.path);
      return;
    case 'directory':
      await machine.makeDirectory(dirname(action.path), 0o755);
      await machine.makeDirectory(action.path, action.mode);
      await own(action.path, action.owner);
      await machine.chmod(action.path, action.mode);
      return;
    case 'call':
      await action.call();
      return;
    case 'warn':
      return;
    case 'write':
      await machine.makeDirectory(dirname(action.path), 0o755);
      // nobody reads it before it is whose it shall be
      await machine.writeFile(action.path, action.content, 0o600);
      await own(action.path, action.owner);
      await machine.chmod(action.path, action.mode);
  }
}

/** The action that gives a file this content, mode and owner; none when it has them. */
export async function ensureFile(file: Omit<Extract<Action, { do: 'write' }>, 'do'>): Promise<Action[]> {
  const right =
    (await machine.readFileIfExists(file.path)) === file.content && (await isOwned(file.path, file));
  return right ? [] : [{ do: 'write', ...file }];
}

export async function ensureDirectory(path: string, mode: number, owner?: string): Promise<Action[]> {
  return (await isOwned(path, { mode, owner })) ? [] : [{ do: 'directory', path, mode, owner }];
}

export async function ensureGone(path: string): Promise<Action[]> {
  return (await machine.stat(path)) ? [{ do: 'remove', path }] : [];
}

/** A command's output; null when it fails or is not there. */
export async function ask(command: string, ...args: string[]): Promise<string | null> {
  try {
    return (await machine.read(command, args, { timeoutMs: 60_000 })).stdout;
  } catch (error) {
    if (error instanceof CommandError) return null;
    throw error;
  }
}

/** As it would be typed into a shell. */
export function quoted(argv: readonly string[]): string {
  return argv
    .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`))
    .join(' ');
}

const QUIET = { DEBIAN_FRONTEND: 'noninteractive', NEEDRESTART_SUSPEND: '1' };

async function isOwned(path: string, { mode, owner }: { mode: number; owner?: string }): Promise<boolean> {
  const found = await ask('stat', '-c', '%a %U:%G', path);
  return found?.trim() === `${mode.toString(8)} ${owner ?? 'root:root'}`;
}

async function own(path: string, owner = 'root:root'): Promise<void> {
  await machine.run('chown', [owner, path]);
}

async function difference({ path, content, shown }: Extract<Action, { do: 'write' }>): Promise<string> {
  const labels = ['--label', path, '--label', `${path} (new)`];
  const compare = async (before: string, input: string) =>
    (await machine.read('diff', ['-u', ...labels, before, '-'], { input, okCodes: [0, 1] })).stdout;
  if (!(await machine.stat(path))) return await compare('/dev/null', shown ? shown(content) : content);
  if (!shown) return await compare(path, content);
  const directory = await mkdtemp(join(tmpdir(), 'maru-install-'));
  try {
    await writeFile(`${directory}/before`, shown(await machine.readFile(path)), { mode: 0o600 });
    return await compare(`${directory}/before`, shown(content));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}
