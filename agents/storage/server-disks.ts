import type { DiskBody, ServerObject } from '../../src/protocol/objects.js';
import type { Host } from '../host/host.js';
import { configDriveFiles } from '../metadata/config-drive.js';
import { buildConfigDrive } from './config-drive.js';
import { makeOnce } from './disk-writer.js';
import type { ImageCache } from './image-cache.js';
import { HintedError } from './object-error.js';
import { configDriveFile, diskFile, serverDirectory } from './paths.js';
import { convert, createEmpty, createOverlay } from './qemu-img.js';

export interface ServerDisksOptions {
  readonly host: Host;
  readonly stateDir: string;
  readonly images: ImageCache;
}

/** One file that a server needs. */
export interface MissingDisk {
  readonly path: string;
  readonly what: string;
  /** A guest writes to it: made anew it is empty, or as its image. */
  readonly holdsData: boolean;
  make(): Promise<void>;
}

/**
 * The files of a server's own disks that are missing, in the order of the disks. A file that exists is never listed: it may hold data.
 * Volumes are objects of their own and not listed.
 */
export async function missingDisks(
  server: ServerObject,
  options: ServerDisksOptions,
): Promise<readonly MissingDisk[]> {
  const missing: MissingDisk[] = [];
  for (const file of serverFiles(server, options))
    if (!(await options.host.stat(file.path))) missing.push(file);
  return missing;
}

/** All files of a server's own disks, in the order of the disks. */
export function serverFiles(server: ServerObject, options: ServerDisksOptions): readonly MissingDisk[] {
  const files = server.disks.map((disk) => diskStep(server, disk, options)).filter((file) => file !== null);
  if (!server.config_drive) return files;
  const path = configDriveFile(options.stateDir, server.id);
  const make = () => buildConfigDrive(options.host, path, configDriveFiles(server.metadata));
  return [...files, { path, what: 'config drive', holdsData: false, make }];
}

/** Makes the directory and the missing files of a server's disks. */
export async function makeServerDisks(server: ServerObject, options: ServerDisksOptions): Promise<void> {
  const missing = await missingDisks(server, options);
  if (missing.length === 0) return;
  // QEMU's user must pass through, but not list
  await options.host.makeDirectory(serverDirectory(options.stateDir, server.id), 0o711);
  for (const disk of missing) await disk.make();
}

function diskStep(server: ServerObject, disk: DiskBody, options: ServerDisksOptions): MissingDisk | null {
  const { host, stateDir, images } = options;
  const { path } = diskFile(stateDir, server.id, disk);
  const what = `${disk.role} disk ${disk.device}`;
  switch (disk.role) {
    case 'volume':
      return null;
    case 'cdrom': {
      const { image } = disk;
      if (!image) return null;
      return { path, what, holdsData: false, make: async () => void (await images.ensure(image)) };
    }
    case 'root':
      return {
        path,
        what,
        holdsData: true,
        make: () =>
          makeOnce(
            host,
            path,
            async (temporary) => {
              if (!disk.image) return createEmpty(host, temporary, 'qcow2', positive(disk));
              const base = await images.ensure(disk.image);
              await createOverlay(host, temporary, base, Math.max(disk.size_bytes, base.virtualSize));
            },
            0o600,
          ),
      };
    default:
      return {
        path,
        what,
        holdsData: true,
        make: () => makeOnce(host, path, (temporary) => makeFormatted(host, disk, temporary), 0o600),
      };
  }
}

/** Ephemeral and swap disks come formatted: the file system tools want a plain file, guests get qcow2. */
async function makeFormatted(host: Host, disk: DiskBody, path: string): Promise<void> {
  const raw = `${path}.raw`;
  await host.removeFile(raw);
  try {
    await createEmpty(host, raw, 'raw', positive(disk));
    if (disk.role === 'swap') await host.run('mkswap', [raw]);
    else await host.run('mkfs.ext4', ['-q', '-F', '-L', 'ephemeral0', raw], { timeoutMs: 600_000 });
    await convert(host, { path: raw, format: 'raw' }, { path, format: 'qcow2' });
  } finally {
    await host.removeFile(raw);
  }
}

function positive(disk: DiskBody): number {
  if (disk.size_bytes > 0) return disk.size_bytes;
  throw new HintedError(
    `${disk.role} disk ${disk.device} has neither an image nor a size`,
    'use a flavor with a disk size, or boot from an image or a volume',
  );
}
