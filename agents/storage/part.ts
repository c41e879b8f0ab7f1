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
import { readRecord } from '../compute/record.js';
import type { DriftLook } from '../drift/look.js';
import type { Host } from '../host/host.js';
import type { Part } from '../part.js';
import { DISK_MODE, diskDrift, FileWatch } from './drift.js';
import { ImageCache } from './image-cache.js';
import { HintedError, toObjectError } from './object-error.js';
import { removeStorageOrphan, storageOrphans } from './orphans.js';
import { serverDirectory, volumeFile } from './paths.js';
import { pruneImages } from './prune.js';
import { makeServerDisks, missingDisks, serverFiles } from './server-disks.js';
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

/** What to do about a file that is gone. */
const LOST =
  'put the file back from a backup; a guest that runs still has it open until it stops, so copy its data off first';

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
  const files = new FileWatch(host);
  /** Volumes whose files were made, and may hold data. */
  const madeVolumes = new Set<string>();

  async function applyServer(
    key: ObjectKey,
    object: SpecObject<'server'>,
    look: DriftLook | undefined,
  ): Promise<void> {
    try {
      if ((await careForMade(key, object, look)) === 'heal') await makeServerDisks(object.body, shared);
      failed.delete(key);
    } catch (error) {
      const told = toObjectError(error, `disks of server ${object.body.id}`);
      log.error('disks not made', { key, ...told });
      failed.set(key, { revision: object.revision, error: told });
    }
    await files.note(
      key,
      serverFiles(object.body, shared).map(({ path }) => path),
    );
  }

  /** Disks that a guest has used are never made anew behind its back; what else differs is put right, or only reported. */
  async function careForMade(
    key: ObjectKey,
    object: SpecObject<'server'>,
    look: DriftLook | undefined,
  ): Promise<'heal' | 'leave'> {
    const record = await readRecord(host, stateDir, object.body.id);
    if (record === null || record.launched_at === null) return 'heal';
    const { steps, lost, opened } = await diskDrift(host, key, serverFiles(object.body, shared));
    const [first] = lost;
    if (first) {
      look?.judge(key, steps, { healable: false });
      look?.complete();
      throw new HintedError(`${first.what} is gone: ${first.path}`, LOST);
    }
    const known = record.revision === object.revision && steps.length > 0;
    const verdict = (known && look?.judge(key, steps)) || 'heal';
    look?.complete();
    if (verdict === 'heal') for (const path of opened) await host.chmod(path, DISK_MODE);
    return verdict;
  }

  async function applyVolume(
    key: ObjectKey,
    object: SpecObject<'volume'>,
    look: DriftLook | undefined,
  ): Promise<ObjectReport> {
    const { body, revision } = object;
    const path = volumeFile(stateDir, body);
    try {
      if (object.tombstone) {
        await removeVolume(body, shared);
        madeVolumes.delete(body.id);
        return { key, revision, state: 'gone' };
      }
      if (madeVolumes.has(body.id)) {
        const file = { path, what: `volume ${body.id}`, holdsData: true, make: async () => {} };
        const { steps, lost, opened } = await diskDrift(host, key, [file]);
        const verdict = steps.length > 0 ? look?.judge(key, steps, { healable: lost.length === 0 }) : 'heal';
        look?.complete();
        if (lost.length > 0) throw new HintedError(`its file is gone: ${path}`, LOST);
        if (verdict !== 'leave') for (const one of opened) await host.chmod(one, DISK_MODE);
      }
      await makeVolume(body, shared);
      madeVolumes.add(body.id);
      return { key, revision, state: 'applied' };
    } catch (error) {
      const told = toObjectError(error, `volume ${body.id}`);
      log.error('volume not applied', { key, ...told });
      return { key, revision, state: 'error', error: told };
    } finally {
      await files.note(key, object.tombstone ? [] : [path]);
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

    async apply({ spec, changed, look, settled }) {
      const keys = changed ? [...changed] : (Object.keys(spec) as ObjectKey[]);
      const reports = await Promise.all(
        keys.map(async (key): Promise<ObjectReport | null> => {
          const object = spec[key];
          const { kind } = parseKey(key);
          if (!object || object.tombstone) {
            if (kind === 'server') failed.delete(key);
            await files.note(key, []);
          }
          if (!object) return null;
          if (kind === 'volume') {
            if (settled && !settled.except.has(key)) madeVolumes.add(parseKey(key).id);
            return applyVolume(key, object as SpecObject<'volume'>, look);
          }
          if (kind === 'server' && !object.tombstone)
            await applyServer(key, object as SpecObject<'server'>, look);
          return null;
        }),
      );
      return reports.filter((report) => report !== null);
    },

    watch: (changed) => files.start(changed),

    async close() {
      files.close();
    },

    async plan(spec, keys) {
      const steps: PlanStep[] = [];
      for (const [key, object] of Object.entries(spec) as [ObjectKey, SpecObject][]) {
        const { kind } = parseKey(key);
        if (keys && !keys.has(key)) continue;
        if (kind === 'server' && !object.tombstone) {
          for (const disk of await missingDisks(object.body as ServerObject, shared)) {
            steps.push({ object: key, action: `create ${disk.what}`, detail: disk.path });
          }
          const made = await readRecord(host, stateDir, parseKey(key).id);
          if (made !== null) {
            const { steps: wrong } = await diskDrift(
              host,
              key,
              serverFiles(object.body as ServerObject, shared),
            );
            steps.push(...wrong.filter(({ action }) => action === 'chmod'));
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
