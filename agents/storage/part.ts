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
import { MadeMarks } from './made.js';
import { HintedError, toObjectError } from './object-error.js';
import { removeStorageOrphan, storageOrphans } from './orphans.js';
import { serverDirectory, volumeFile } from './paths.js';
import { pruneImages } from './prune.js';
import { type MissingDisk, makeServerDisks, missingDisks, serverFiles } from './server-disks.js';
import { makeVolume, removeVolume, volumeStep } from './volumes.js';

export interface StorageOptions {
  readonly host: Host;
  readonly stateDir: string;
  /** Opens an image's bytes, as the controller has them. */
  readonly fetchImage: (imageId: string) => Promise<NodeJS.ReadableStream>;
  /** Name of a domain that has this file as a disk; null when there is none. The compute part knows. */
  readonly diskUser: (path: string) => Promise<string | null>;
  /** Days after which a base image without any disk is removed; 0, or without it, they are kept for ever. */
  readonly pruneAfterDays?: number | (() => number);
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
  /** The newest spec that was seen here. */
  let current: Spec = {};
  const files = new FileWatch(host);
  const made = new MadeMarks(host, stateDir);

  async function applyServer(
    key: ObjectKey,
    object: SpecObject<'server'>,
    look: DriftLook | undefined,
  ): Promise<void> {
    try {
      if ((await careForMade(key, object, look)) === 'heal') {
        await makeServerDisks(object.body, shared);
        await made.add(key);
      }
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

  /** Disks that were made once are never made anew behind a guest's back; what else differs is put right, or only reported. */
  async function careForMade(
    key: ObjectKey,
    object: SpecObject<'server'>,
    look: DriftLook | undefined,
  ): Promise<'heal' | 'leave'> {
    const record = await readRecord(host, stateDir, object.body.id);
    if (!(await made.has(key)) && !record?.launched_at) return 'heal';
    const { steps, lost, opened } = await diskDrift(host, key, serverFiles(object.body, shared));
    const [first] = lost;
    if (first) {
      look?.judge(key, steps, { healable: false });
      look?.complete();
      throw new HintedError(`${first.what} is gone: ${first.path}`, LOST);
    }
    const known = record?.revision === object.revision && steps.length > 0;
    const verdict = (known && look?.judge(key, steps)) || 'heal';
    look?.complete();
    if (verdict === 'heal') for (const path of opened) await host.chmod(path, DISK_MODE);
    return verdict;
  }

  async function applyVolume(
    key: ObjectKey,
    object: SpecObject<'volume'>,
    look: DriftLook | undefined,
    broughtAbout: boolean,
  ): Promise<ObjectReport> {
    const { body, revision } = object;
    const path = volumeFile(stateDir, body);
    try {
      if (object.tombstone) {
        await removeVolume(body, shared);
        await made.remove(key);
        return { key, revision, state: 'gone' };
      }
      if (broughtAbout || (await made.has(key))) {
        const { steps, lost, opened } = await diskDrift(host, key, [volumeAsFile(body)]);
        const verdict = steps.length > 0 ? look?.judge(key, steps, { healable: lost.length === 0 }) : 'heal';
        look?.complete();
        if (lost.length > 0) throw new HintedError(`its file is gone: ${path}`, LOST);
        if (verdict !== 'leave') for (const one of opened) await host.chmod(one, DISK_MODE);
      }
      await makeVolume(body, shared);
      await made.add(key);
      return { key, revision, state: 'applied' };
    } catch (error) {
      const told = toObjectError(error, `volume ${body.id}`);
      log.error('volume not applied', { key, ...told });
      return { key, revision, state: 'error', error: told };
    } finally {
      await files.note(key, object.tombstone ? [] : [path]);
    }
  }

  function volumeAsFile(volume: VolumeObject): MissingDisk {
    const path = volumeFile(stateDir, volume);
    return { path, what: `volume ${volume.id}`, holdsData: true, make: async () => {} };
  }

  return {
    name: 'storage',
    images,

    async prepare({ spec, changed }) {
      current = spec;
      const keys = changed ? [...changed] : (Object.keys(spec) as ObjectKey[]);
      const wanted = keys.flatMap((key) => imagesOf(key, spec[key]));
      await Promise.allSettled(wanted.map((image) => images.ensure(image)));
    },

    async apply({ spec, changed, look, settled }) {
      current = spec;
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
            // on a host that was set up before there were marks
            const broughtAbout = settled !== undefined && !settled.except.has(key);
            return applyVolume(key, object as SpecObject<'volume'>, look, broughtAbout);
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
          const record = await readRecord(host, stateDir, parseKey(key).id);
          if ((await made.has(key)) || record?.launched_at) {
            const ours = serverFiles(object.body as ServerObject, shared);
            steps.push(...(await diskDrift(host, key, ours)).steps);
          } else {
            for (const disk of await missingDisks(object.body as ServerObject, shared))
              steps.push({ object: key, action: `create ${disk.what}`, detail: disk.path });
          }
        }
        if (kind === 'volume') {
          const volume = object.body as VolumeObject;
          const path = volumeFile(stateDir, volume);
          if (!object.tombstone && (await made.has(key)) && !(await host.stat(path))) {
            steps.push(...(await diskDrift(host, key, [volumeAsFile(volume)])).steps);
            continue;
          }
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

    async removeOrphan(orphan) {
      await removeStorageOrphan(shared, orphan);
      await made.remove(objectKey(orphan.kind === 'server-disks' ? 'server' : 'volume', orphan.name));
    },

    async housekeeping(spec) {
      const { pruneAfterDays = 0 } = options;
      const days = typeof pruneAfterDays === 'function' ? pruneAfterDays() : pruneAfterDays;
      const now = host.now().getTime();
      if (days === 0 || now - prunedAt < 86_400_000) return;
      prunedAt = now;
      current = spec;
      await pruneImages({ host, stateDir, images, spec: () => current, log }, days * 86_400_000);
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
      const directory = serverDirectory(stateDir, serverId);
      if (await host.stat(directory)) await host.removeTree(directory);
      await made.remove(objectKey('server', serverId));
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
