import type { Logger } from '../../src/protocol/log.js';
import type { ServerObject, Spec, VolumeObject } from '../../src/protocol/objects.js';
import type { Host } from '../host/host.js';
import type { ImageCache } from './image-cache.js';
import { noteFile } from './image-cache.js';
import { imageFile } from './paths.js';
import { inspect } from './qemu-img.js';

export interface PruneOptions {
  readonly host: Host;
  readonly stateDir: string;
  readonly images: ImageCache;
  /** The newest spec that any file is made for: it may change while disks are inspected. */
  readonly spec: () => Spec;
  readonly log: Logger;
}

/**
 * Removes base images that no disk of this host is based on and that the spec does not name, once they are older than `age`
 * milliseconds. What is in use is read from the disks themselves, and any doubt (a disk that cannot be read, an orphan)
 * ends it without removing anything: a base that is missing costs every guest on it.
 */
export async function pruneImages(options: PruneOptions, age: number): Promise<void> {
  const { host, stateDir, images, log } = options;
  const bases = (await host.listDirectory(`${stateDir}/images`)).filter(
    (name) => !/\.(json|part|tmp)$/.test(name),
  );
  if (bases.length === 0) return;
  const used = await imagesInUse(options);
  if (used === null) return;
  const now = host.now().getTime();
  for (const id of bases) {
    const path = imageFile(stateDir, id);
    if (used.has(path)) {
      // the note's time says when the image was last seen in use
      await host.writeFile(noteFile(stateDir, id), await host.readFile(noteFile(stateDir, id)), 0o644);
      continue;
    }
    const seen = await host.stat(noteFile(stateDir, id));
    if (!seen || now - seen.mtimeMs < age) continue;
    // a guest that came meanwhile may already have its disk on it; nothing may be awaited between this and the removal
    if (imagesNamed(stateDir, options.spec()).has(path)) continue;
    await host.removeFile(path);
    await host.removeFile(noteFile(stateDir, id));
    images.forget(id);
    log.info('unused base image removed', {
      image: id,
      unused_days: Math.floor((now - seen.mtimeMs) / 86_400_000),
    });
  }
}

async function imagesInUse(options: PruneOptions): Promise<Set<string> | null> {
  const { host, stateDir, log } = options;
  const spec = options.spec();
  const used = imagesNamed(stateDir, spec);
  for (const server of await host.listDirectory(`${stateDir}/servers`)) {
    if (!spec[`server/${server}`]) {
      log.warn('base images are not pruned while disks without a server exist', { server });
      return null;
    }
    for (const file of await host.listDirectory(`${stateDir}/servers/${server}`)) {
      if (!file.endsWith('.qcow2')) continue;
      const { backingFile } = await inspect(host, `${stateDir}/servers/${server}/${file}`, 'qcow2');
      if (backingFile) used.add(backingFile);
    }
  }
  return used;
}

function imagesNamed(stateDir: string, spec: Spec): Set<string> {
  const named = new Set<string>();
  for (const object of Object.values(spec)) {
    for (const disk of (object.body as Partial<ServerObject>).disks ?? []) {
      if (disk.image) named.add(imageFile(stateDir, disk.image.id));
    }
    const image = (object.body as Partial<VolumeObject>).image;
    if (image) named.add(imageFile(stateDir, image.id));
  }
  return named;
}
