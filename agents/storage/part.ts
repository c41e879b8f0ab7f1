import { objectKey, parseKey } from '../../src/protocol/keys.js';
import type { Logger } from '../../src/protocol/log.js';
import type { ObjectError, ObjectReport, PlanStep } from '../../src/protocol/messages.js';
import type {
  ImageRef,
  ObjectKey,
  ServerObject,
  Spec,
  SpecObject,
  VolumeObject,
} from '../../src/protocol/objects.js';
import type { Host } from '../host/host.js';
import type { Part } from '../part.js';
import { ImageCache } from './image-cache.js';
import { toObjectError } from './object-error.js';
import { removeStorageOrphan, storageOrphans } from './orphans.js';
import { serverDirectory, volumeFile } from './paths.js';
import { pruneImages } from './prune.js';
import { makeServerDisks, missingDisks } from './server-disks.js';
import { makeVolume, removeVolume, volumeStep } from './volumes.js';

export interface StorageOptions {
  readonly host: Host;
  readonly stateDir: string;
  /** Opens an image's bytes, as the controller has them. */
  readonly fetchImage: (imageId: string) => Promise<NodeJS.ReadableStream>;
  /** Name of a domain that has this file as a disk; null when there is none. The compute part knows. */
  readonly diskUser: (path: string) => Promise<string | null>;
  /** Days after which a base image without any disk is removed; null keeps them for ever. */
  readonly pruneAfterDays?: number | null;
  /** How long (ms) an image's transfer may bring nothing before it is given up; a minute unless given. */
  readonly stallMs?: number;
  readonly log: Logger;
}

/** What the compute part asks of storage. */
export interface ServerStorage {
  /** Null: every disk of the server was made; else why not. */
  disksReady(server: ServerObject, spec: Spec): Promise<ObjectError | null>;
  /** Destroys all files of a server. Only to be called when its domain is gone. */
  removeServer(serverId: string): Promise<void>;
}

/**
 * Image cache, server disks and volumes of this host. Reports volumes; what is wrong with a server's disks is told by
 * `disksReady` and becomes part of the compute part's report, so that a server has one report.
 */
export function createStoragePart(
  options: StorageOptions,
): Part & ServerStorage & { readonly images: ImageCache } {
  const { host, stateDir, log } = options;
  const images = new ImageCache(options);
  const shared = { host, stateDir, images, diskUser: options.diskUser };
  const failed = new Map<string, { readonly revision: string; readonly error: ObjectError }>();
  let prunedAt = 0;

  async function applyServer(key: ObjectKey, object: SpecObject<'server'>): Promise<void> {
    try {
      await makeServerDisks(object.body, shared);
      failed.delete(key);
    } catch (error) {
      const told = toObjectError(error, `disks of server ${object.body.id}`);
      log.error('disks not made', { key, ...told });
      failed.set(key, { revision: object.revision, error: told });
    }
  }

  async function applyVolume(key: ObjectKey, object: SpecObject<'volume'>): Promise<ObjectReport> {
    const { body, revision } = object;
    try {
      if (object.tombstone) {
        await removeVolume(body, shared);
        return { key, revision: null, state: 'gone' };
      }
      await makeVolume(body, shared);
      return { key, revision, state: 'applied' };
    } catch (error) {
      const told = toObjectError(error, `volume ${body.id}`);
      log.error('volume not applied', { key, ...told });
      return { key, revision, state: 'error', error: told };
    }
  }

  return {
    name: 'storage',
    images,

    async prepare({ spec, changed }) {
      const keys = changed ? [...changed] : (Object.keys(spec) as ObjectKey[]);
      const wanted = keys.flatMap((key) => imagesOf(key, spec[key]));
      await Promise.allSettled(wanted.map((image) => images.ensure(image)));
    },

    async apply({ spec, changed }) {
      const keys = changed ? [...changed] : (Object.keys(spec) as ObjectKey[]);
      const reports = await Promise.all(
        keys.map(async (key): Promise<ObjectReport | null> => {
          const object = spec[key];
          const { kind } = parseKey(key);
          if (kind === 'server' && (!object || object.tombstone)) failed.delete(key);
          if (!object) return null;
          if (kind === 'volume') return applyVolume(key, object as SpecObject<'volume'>);
          if (kind === 'server' && !object.tombstone) await applyServer(key, object as SpecObject<'server'>);
          return null;
        }),
      );
      return reports.filter((report) => report !== null);
    },

    async plan(spec) {
      const steps: PlanStep[] = [];
      for (const [key, object] of Object.entries(spec) as [ObjectKey, SpecObject][]) {
        const { kind } = parseKey(key);
        if (kind === 'server' && !object.tombstone) {
          for (const disk of await missingDisks(object.body as ServerObject, shared)) {
            steps.push({ object: key, action: `create ${disk.what}`, detail: disk.path });
          }
        }
        if (kind === 'volume') {
          const volume = object.body as VolumeObject;
          const path = volumeFile(stateDir, volume);
          const step = object.tombstone
            ? (await host.stat(path))
              ? 'destroy'
              : null
            : await volumeStep(volume, shared);
          if (step) steps.push({ object: key, action: `${step} volume`, detail: path });
        }
      }
      return steps;
    },

    orphans: (spec) => storageOrphans(shared, spec),

    removeOrphan: (orphan) => removeStorageOrphan(shared, orphan),

    async housekeeping(spec) {
      const days = options.pruneAfterDays ?? null;
      const now = host.now().getTime();
      if (days === null || now - prunedAt < 86_400_000) return;
      prunedAt = now;
      await pruneImages({ host, stateDir, images, log }, spec, days * 86_400_000);
    },

    async disksReady(server, spec) {
      const failure = failed.get(objectKey('server', server.id));
      if (failure) return failure.error;
      for (const disk of server.disks) {
        if (disk.role !== 'volume' || disk.volume_id === null) continue;
        const volume = spec[objectKey('volume', disk.volume_id)] as SpecObject<'volume'> | undefined;
        if (!volume || volume.tombstone || !(await host.stat(volumeFile(stateDir, volume.body)))) {
          return { message: `volume ${disk.volume_id} (${disk.device}) is not on this host yet` };
        }
      }
      const missing = await missingDisks(server, shared);
      if (missing[0]) return { message: `${missing[0].what} is not made yet: ${missing[0].path}` };
      return null;
    },

    async removeServer(serverId) {
      await host.removeTree(serverDirectory(stateDir, serverId));
      failed.delete(objectKey('server', serverId));
    },
  };
}

/** Base images that a server's disks or a volume are made from. */
function imagesOf(key: ObjectKey, object: SpecObject | undefined): ImageRef[] {
  if (!object || object.tombstone) return [];
  const { kind } = parseKey(key);
  if (kind === 'server') return (object.body as ServerObject).disks.flatMap(({ image }) => image ?? []);
  return kind === 'volume' ? [(object.body as VolumeObject).image ?? []].flat() : [];
}
