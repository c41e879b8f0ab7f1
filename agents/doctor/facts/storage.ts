import type { ControllerSettings, FileFacts, FileSystemFacts, Settings } from '../facts.js';
import type { Look } from '../look.js';
import { ownTlsDirectory } from './own-tls.js';

/** File systems that must have room: of state, logs and temporary files. */
export async function readFileSystems(look: Look, settings: Settings): Promise<FileSystemFacts[]> {
  const wanted = [
    ...(settings.host ? [settings.host.state_dir, '/var/lib/libvirt'] : []),
    ...(settings.controller ? [settings.controller.state_dir, settings.controller.image_dir] : []),
    '/var/log',
    '/tmp',
    '/run',
    '/',
  ];
  const found: FileSystemFacts[] = [];
  for (const path of new Set(wanted)) {
    const facts = await readFileSystem(look, path);
    if (facts && !found.some(({ mount }) => mount === facts.mount)) found.push(facts);
  }
  return found;
}

/** null: the path does not exist yet. */
async function readFileSystem(look: Look, path: string): Promise<FileSystemFacts | null> {
  if (!(await look.exists(path))) return null;
  const columns = 'size,avail,used,itotal,iused,source,target';
  const [line = ''] = (await look.output('df', ['-B1', `--output=${columns}`, path]))
    .trim()
    .split('\n')
    .slice(1);
  const [size, free, used, inodes, inodesUsed, source = '', mount = ''] = line.trim().split(/\s+/);
  const options = await mountOptions(look, path);
  return {
    path,
    mount,
    source,
    bytes: Number(size),
    free: Number(free),
    used: share(Number(used), Number(used) + Number(free)),
    inodesUsed: share(Number(inodesUsed), Number(inodes)),
    readOnly: options.split(',').includes('ro'),
  };
}

/** As the first process sees them: in an agent's sandbox nearly everything is read-only, which is no fault. */
async function mountOptions(look: Look, path: string): Promise<string> {
  const args = ['-n', '-o', 'OPTIONS', '-T', path];
  const first = await look.command('findmnt', ['-N', '1', ...args]);
  const text = first.exitCode === 0 ? first.stdout : await look.output('findmnt', args);
  return text.trim().split('\n').at(-1) ?? '';
}

/** Percent, rounded up as df does; 0 where there is no total (file systems without a table of inodes). */
function share(part: number, whole: number): number {
  return Number.isFinite(part) && whole > 0 ? Math.ceil((part / whole) * 100) : 0;
}

/** Owner and mode of files that hold keys, passwords or state. */
export async function readFiles(look: Look, settings: Settings): Promise<FileFacts[]> {
  const files: FileFacts[] = [];
  const add = async (path: string, secret: boolean, wanted: string | null) => {
    const found = await readFile(look, path, secret, wanted);
    if (found) files.push(found);
    return found;
  };
  const password = /:\/\/[^/@\s]*:[^@\s]+@|password\s*:/.test(
    (await look.file(settings.file).catch(() => '')) ?? '',
  );
  await add(settings.file, password, 'root');
  if (settings.host) {
    const { state_dir } = settings.host;
    await add(state_dir, false, 'root');
    for (const name of ['identity.json', 'join-key.pem', 'spec.json'])
      await add(`${state_dir}/${name}`, true, 'root');
  }
  if (settings.controller) await controllerFiles(look, settings.controller, add);
  return files;
}

async function controllerFiles(
  look: Look,
  { state_dir, database, image_dir, tls_cert_file }: ControllerSettings,
  add: (path: string, secret: boolean, wanted: string | null) => Promise<FileFacts | null>,
): Promise<void> {
  const owner = (await add(state_dir, false, null))?.owner ?? null;
  const authorities = (await look.list(state_dir)).filter((name) => /^ca-\d+\.json$/.test(name));
  for (const name of ['admin-password', ...authorities]) await add(`${state_dir}/${name}`, true, owner);
  const tls = await ownTlsDirectory(look, tls_cert_file);
  // those that were made here; given ones belong to whoever renews them
  if (tls !== null) for (const name of ['ca.key', 'api.key']) await add(`${tls}/${name}`, true, owner);
  await add(image_dir, false, owner);
  if (!database.startsWith('sqlite:')) return;
  const file = database.slice('sqlite:'.length);
  for (const path of [file, `${file}-wal`, `${file}-shm`]) await add(path, true, owner);
}

async function readFile(
  look: Look,
  path: string,
  secret: boolean,
  wanted: string | null,
): Promise<FileFacts | null> {
  const { stdout, exitCode } = await look.command('stat', ['-L', '-c', '%U %G %a %F', path]);
  if (exitCode !== 0) return null;
  const [owner = '', group = '', mode = '0', ...kind] = stdout.trim().split(' ');
  return {
    path,
    owner,
    group,
    mode: Number.parseInt(mode, 8),
    directory: kind.join(' ') === 'directory',
    secret,
    wanted,
  };
}
