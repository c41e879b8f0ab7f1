import { dirname, normalize } from 'node:path/posix';

/** Programs that run as sandboxed units of systemd. */
export type UnitProgram = 'controller' | 'agent';

/** A directory that a program writes to, and the key of the configuration that names it. */
export interface WrittenDirectory {
  readonly key: string;
  readonly path: string;
}

/** What `maru install` goes by, of a program's configuration. */
export interface WrittenPaths {
  readonly state_dir: string;
  readonly image_dir?: string;
  /** `sqlite:FILE`, or something that is no file here. */
  readonly database?: string;
  readonly log_file: string | null;
  readonly admin_password_file?: string;
  /** Of a public certificate that the controller renews by itself; null: it has none. */
  readonly own_tls_directory?: string | null;
}

/** Something that the sandbox of a unit keeps its program from writing to. */
export interface ClosedDirectory extends WrittenDirectory {
  /** hidden, forbidden: another directory has to be chosen. closed: the installation opens it. */
  readonly because: 'hidden' | 'forbidden' | 'closed';
}

export const UNIT_OF: Readonly<Record<UnitProgram, string>> = {
  controller: 'maru-controller.service',
  agent: 'maru-agent.service',
};

/** What brings a unit's paths in line with the configuration. */
export const OPENED_BY: Readonly<Record<UnitProgram, string>> = {
  controller: 'maru install controller',
  agent: 'maru install host',
};

/** Where a unit may write anyway; see templates/systemd. */
const OPEN: Readonly<Record<UnitProgram, readonly string[]>> = {
  controller: ['/var/lib/maru'],
  agent: ['/var/lib/maru-agent', '/run'],
};
/** What ProtectHome and PrivateTmp put something else in the place of. */
const HIDDEN = ['/home', '/root', '/run/user', '/tmp', '/var/tmp'];
/** What no program of ours shall be able to change. */
const FORBIDDEN = ['/etc', '/usr', '/boot', '/bin', '/sbin', '/lib', '/lib64', '/proc', '/sys', '/dev'];

/** Every directory that a program writes to. */
export function writtenDirectories(paths: WrittenPaths): WrittenDirectory[] {
  const { state_dir, image_dir, database, log_file, admin_password_file, own_tls_directory: tls } = paths;
  const file = /^sqlite:(.*)$/.exec(database ?? '')?.[1];
  const password = admin_password_file === undefined ? null : dirname(admin_password_file);
  const all: (WrittenDirectory | null)[] = [
    { key: 'state_dir', path: state_dir },
    image_dir === undefined ? null : { key: 'image_dir', path: image_dir },
    file ? { key: 'database', path: dirname(file) } : null,
    log_file === null ? null : { key: 'log_file', path: dirname(log_file) },
    // in /etc it is one that the operator has written
    password === null || isWithin(password, '/etc') ? null : { key: 'admin_password_file', path: password },
    // an earlier version had it in /etc, from where the installation takes it
    !tls || isWithin(tls, '/etc') ? null : { key: 'tls_cert_file', path: tls },
  ];
  return all.flatMap((one) => (one === null ? [] : [{ ...one, path: plain(one.path) }]));
}

/** Whether a unit as it is installed may write to a directory without anything being opened for it. */
export function isOpenAnyway(program: UnitProgram, path: string): boolean {
  return OPEN[program].some((open) => isWithin(path, open)) && !isHidden(path);
}

/** What of it the sandbox could not be made to let through; null: it could. */
export function whyNever(path: string): 'hidden' | 'forbidden' | null {
  if (isHidden(path)) return 'hidden';
  return path === '/' || FORBIDDEN.some((closed) => isWithin(path, closed)) ? 'forbidden' : null;
}

/** Directories that a program needs and its unit does not let it write to; `opened`: those that its drop-ins open. */
export function closedDirectories(
  program: UnitProgram,
  paths: WrittenPaths,
  opened: readonly string[],
): ClosedDirectory[] {
  return writtenDirectories(paths).flatMap((one): ClosedDirectory[] => {
    if (isOpenAnyway(program, one.path)) return [];
    const because = whyNever(one.path) ?? 'closed';
    const isOpened = because !== 'hidden' && opened.some((path) => isWithin(one.path, path));
    return isOpened ? [] : [{ ...one, because }];
  });
}

/** What is wrong with one of them, and the command that mends it. */
export function closedWords(
  program: UnitProgram,
  { path, because }: ClosedDirectory,
): { readonly what: string; readonly mend: string } {
  const unit = UNIT_OF[program];
  const then = `then sudo ${OPENED_BY[program]}`;
  if (because === 'closed')
    return {
      what: `is in ${path}, to which the sandbox of ${unit} does not let it write`,
      mend: `sudo ${OPENED_BY[program]}`,
    };
  return {
    what:
      because === 'hidden'
        ? `is in ${path}, which the sandbox of ${unit} hides`
        : `is in ${path}, which ${unit} must not be able to change`,
    mend: `choose a directory of its own such as /srv/maru, ${then}`,
  };
}

/** How to read this machine's files: a text or null, the names in a directory (none when there is no such). */
export interface UnitFiles {
  read(path: string): Promise<string | null>;
  list(path: string): Promise<readonly string[]>;
}

const DIRECTORIES = ['/usr/lib/systemd/system', '/lib/systemd/system', '/etc/systemd/system'];

/** Settings of systemd besides ReadWritePaths that change what a unit sees or may write to. */
const CHANGES_SANDBOX =
  /^[ \t]*(ProtectSystem|ProtectHome|PrivateTmp|BindPaths|(State|Cache|Logs|Runtime)Directory|RootDirectory|RootImage|ReadWriteDirectories)[ \t]*=/m;

/**
 * What the sandbox of a program's unit lets it write to in addition; null: no unit of ours is installed, it has no such sandbox, or
 * a drop-in makes another one of it, of which this cannot say what it lets through.
 */
export async function readOpened(
  program: UnitProgram,
  files: UnitFiles,
  directories: readonly string[] = DIRECTORIES,
): Promise<readonly string[] | null> {
  const name = UNIT_OF[program];
  let unit: string | null = null;
  const dropIns = new Map<string, string>();
  for (const directory of directories) {
    unit = (await files.read(`${directory}/${name}`)) ?? unit;
    for (const one of await files.list(`${directory}/${name}.d`)) {
      const text = one.endsWith('.conf') ? await files.read(`${directory}/${name}.d/${one}`) : null;
      // one of the same name in /etc stands for the other
      if (text !== null) dropIns.set(one, text);
    }
  }
  if (unit === null || !/^ProtectSystem=strict$/m.test(unit)) return null;
  const texts = [...dropIns].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, text]) => text);
  return texts.some((text) => CHANGES_SANDBOX.test(text)) ? null : openedBy([unit, ...texts]);
}

/** What ReadWritePaths of a unit's drop-ins open, in their order. */
export function openedBy(dropIns: readonly string[]): string[] {
  let opened: string[] = [];
  for (const text of dropIns) {
    for (const [, value = ''] of text.matchAll(/^\s*ReadWritePaths=(.*)$/gm)) {
      // an empty one takes back what was given before
      if (value.trim() === '') opened = [];
      else opened.push(...wordsOf(value));
    }
  }
  return opened;
}

export function isWithin(path: string, directory: string): boolean {
  return path === directory || path.startsWith(directory === '/' ? '/' : `${directory}/`);
}

/** Paths as systemd reads them: with quotes and escapes; `-` and `+` before one are not part of it. */
function wordsOf(value: string): string[] {
  const words = value.match(/(?:[-+]*"(?:[^"\\]|\\.)*"|\S+)/g) ?? [];
  return words.map((word) => {
    const bare = word.replace(/^[-+]+/, '').replace(/^"(.*)"$/, '$1');
    return plain(
      bare
        .replaceAll(/\\(.)/g, '$1')
        .replaceAll('%%', '%')
        .replace(/^[-+]+/, ''),
    );
  });
}

function isHidden(path: string): boolean {
  return HIDDEN.some((hidden) => isWithin(path, hidden));
}

function plain(path: string): string {
  const normal = normalize(path);
  return normal.length > 1 ? normal.replace(/\/$/, '') : normal;
}
