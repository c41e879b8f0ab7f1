import { objectKey } from '../../src/protocol/keys.js';
import type { Spec } from '../../src/protocol/objects.js';
import type { Host } from '../host/host.js';
import { OrphanRefused } from '../orphans.js';
import type { Orphan } from '../part.js';
import { serverDirectory } from './paths.js';

export interface StorageOrphanOptions {
  readonly host: Host;
  readonly stateDir: string;
  /** Name of a domain that has this file as a disk; null when there is none. */
  readonly diskUser: (path: string) => Promise<string | null>;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** A volume's file, or what was left of making one. */
const VOLUME_FILE = /^([0-9a-f-]{36})\.(qcow2|raw)(\.part)?$/;

/** Directories of servers and files of volumes that the spec does not name. Files with other names are not ours. */
export async function storageOrphans(options: StorageOrphanOptions, spec: Spec): Promise<readonly Orphan[]> {
  const { host, stateDir } = options;
  const servers = (await host.listDirectory(`${stateDir}/servers`))
    .filter((id) => UUID.test(id) && !spec[objectKey('server', id)])
    .map(
      (id): Orphan => ({
        kind: 'server-disks',
        name: id,
        object: objectKey('server', id),
        detail: serverDirectory(stateDir, id),
      }),
    );
  const volumes = new Map<string, string[]>();
  for (const path of await volumeFiles(options)) {
    const id = volumeOf(path);
    if (!spec[objectKey('volume', id)]) volumes.set(id, [...(volumes.get(id) ?? []), path]);
  }
  return [
    ...servers,
    ...[...volumes].map(
      ([id, paths]): Orphan => ({
        kind: 'volume-file',
        name: id,
        object: objectKey('volume', id),
        detail: paths.join(' '),
      }),
    ),
  ];
}

/** Destroys a server's directory or a volume's files; refused while a domain has one of them as a disk. */
export async function removeStorageOrphan(
  options: StorageOrphanOptions,
  { kind, name }: Orphan,
): Promise<void> {
  const { host, stateDir } = options;
  const directory = serverDirectory(stateDir, name);
  const paths =
    kind === 'server-disks'
      ? (await host.listDirectory(directory)).map((file) => `${directory}/${file}`)
      : (await volumeFiles(options)).filter((path) => volumeOf(path) === name);
  for (const path of paths) {
    const user = await options.diskUser(path);
    if (user !== null)
      throw new OrphanRefused(`domain ${user} has ${path} as a disk: remove the domain first`);
  }
  if (kind === 'server-disks') await host.removeTree(directory);
  else for (const path of paths) await host.removeFile(path);
}

async function volumeFiles({ host, stateDir }: StorageOrphanOptions): Promise<string[]> {
  const files = await host.listDirectory(`${stateDir}/volumes`);
  return files
    .filter((file) => UUID.test(VOLUME_FILE.exec(file)?.[1] ?? ''))
    .map((file) => `${stateDir}/volumes/${file}`);
}

function volumeOf(path: string): string {
  return VOLUME_FILE.exec(path.slice(path.lastIndexOf('/') + 1))?.[1] ?? '';
}
