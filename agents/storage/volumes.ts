import type { VolumeObject } from '../../src/protocol/objects.js';
import type { Host } from '../host/host.js';
import { makeOnce } from './disk-writer.js';
import type { ImageCache } from './image-cache.js';
import { HintedError } from './object-error.js';
import { volumeFile } from './paths.js';
import { convert, createEmpty, grow, inspect } from './qemu-img.js';

export interface VolumesOptions {
  readonly host: Host;
  readonly stateDir: string;
  readonly images: ImageCache;
  /** Name of a domain that has this file as a disk; null when there is none. */
  readonly diskUser: (path: string) => Promise<string | null>;
}

/** What is to be done for a volume, in words; empty when its file is as wanted. */
export type VolumeStep = 'create' | 'grow';

/** What a volume's file lacks. A file larger than wanted stays as it is: shrinking destroys data. */
export async function volumeStep(volume: VolumeObject, options: VolumesOptions): Promise<VolumeStep | null> {
  const path = volumeFile(options.stateDir, volume);
  if (!(await options.host.stat(path))) return 'create';
  const { virtualSize } = await inspect(options.host, path, volume.format);
  return virtualSize < volume.size_bytes ? 'grow' : null;
}

/** Makes or grows the file of a volume. */
export async function makeVolume(volume: VolumeObject, options: VolumesOptions): Promise<void> {
  const { host, stateDir } = options;
  const path = volumeFile(stateDir, volume);
  const step = await volumeStep(volume, options);
  if (step === 'create') {
    await host.makeDirectory(`${stateDir}/volumes`, 0o711);
    await makeOnce(host, path, (temporary) => fill(volume, temporary, options), 0o600);
  }
  if (step === 'grow') {
    const user = await options.diskUser(path);
    if (user !== null) {
      throw new HintedError(
        `volume ${volume.id} is in use by ${user} and cannot grow now`,
        'detach the volume, or stop the server',
      );
    }
    await grow(host, path, volume.format, volume.size_bytes);
  }
}

/** Destroys the file of a volume; refused while a domain has it. */
export async function removeVolume(volume: VolumeObject, options: VolumesOptions): Promise<void> {
  const path = volumeFile(options.stateDir, volume);
  const user = await options.diskUser(path);
  if (user !== null)
    throw new HintedError(`volume ${volume.id} is still in use by ${user}`, 'detach the volume first');
  await options.host.removeFile(`${path}.part`);
  await options.host.removeFile(path);
}

async function fill(volume: VolumeObject, path: string, options: VolumesOptions): Promise<void> {
  const { host } = options;
  if (!volume.image) return createEmpty(host, path, volume.format, volume.size_bytes);
  const base = await options.images.ensure(volume.image);
  if (base.virtualSize > volume.size_bytes) {
    throw new HintedError(
      `image ${volume.image.id} needs ${base.virtualSize} bytes, volume ${volume.id} has ${volume.size_bytes}`,
      'make a larger volume',
    );
  }
  await convert(host, base, { path, format: volume.format });
  if (base.virtualSize < volume.size_bytes) await grow(host, path, volume.format, volume.size_bytes);
}
