import type { Host } from '../host/host.js';
import { HintedError } from './object-error.js';

export type ImageFormat = 'qcow2' | 'raw';

export interface ImageInfo {
  readonly virtualSize: number;
  readonly backingFile: string | null;
  readonly dataFile: string | null;
}

/** What qemu-img says of a file, read as `format` and never as what its content pretends to be. */
export async function inspect(host: Host, path: string, format: ImageFormat): Promise<ImageInfo> {
  // -U: a running guest holds a lock on its disks, and reading their header is harmless
  const { stdout } = await host.read('qemu-img', ['info', '-U', '-f', format, '--output=json', path]);
  const info = JSON.parse(stdout) as {
    'virtual-size': number;
    'backing-filename'?: string;
    'full-backing-filename'?: string;
    'format-specific'?: { data?: { 'data-file'?: string } };
  };
  return {
    virtualSize: info['virtual-size'],
    backingFile: info['full-backing-filename'] ?? info['backing-filename'] ?? null,
    dataFile: info['format-specific']?.data?.['data-file'] ?? null,
  };
}

/** Refuses an image that would make QEMU open other files of this host. */
export function refuseReferences(info: ImageInfo, path: string): void {
  const referred = info.backingFile ?? info.dataFile;
  if (referred === null) return;
  throw new HintedError(
    `${path} refers to another file (${referred})`,
    'upload the image without backing or external data file',
  );
}

/** An overlay that keeps its changes apart from `base`; both formats are named so that QEMU never guesses. */
export async function createOverlay(
  host: Host,
  path: string,
  base: { readonly path: string; readonly format: ImageFormat },
  sizeBytes: number,
): Promise<void> {
  await host.run('qemu-img', [
    'create',
    '-q',
    '-f',
    'qcow2',
    '-F',
    base.format,
    '-b',
    base.path,
    path,
    String(sizeBytes),
  ]);
}

/** An empty disk. */
export async function createEmpty(
  host: Host,
  path: string,
  format: ImageFormat,
  sizeBytes: number,
): Promise<void> {
  await host.run('qemu-img', ['create', '-q', '-f', format, path, String(sizeBytes)]);
}

/** A full copy of `source` in another file. */
export async function convert(
  host: Host,
  source: { readonly path: string; readonly format: ImageFormat },
  target: { readonly path: string; readonly format: ImageFormat },
): Promise<void> {
  const args = ['convert', '-q', '-f', source.format, '-O', target.format, source.path, target.path];
  await host.run('qemu-img', args, { timeoutMs: 6 * 3_600_000 });
}

/** Grows a disk that no guest has open. */
export async function grow(host: Host, path: string, format: ImageFormat, sizeBytes: number): Promise<void> {
  await host.run('qemu-img', ['resize', '-q', '-f', format, path, String(sizeBytes)]);
}
