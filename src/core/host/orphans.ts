import { parseKey } from '../../protocol/keys.js';
import type { ObjectKey } from '../../protocol/objects.js';
import { hostNames } from '../../store/compute/hosts.js';
import { findServers } from '../../store/compute/server.js';
import type { HostRow } from '../../store/hosts.js';
import { orphanTimes } from '../../store/orphans.js';
import type { Reader } from '../../store/store.js';
import { findVolume } from '../../store/volume.js';
import type { App } from '../app.js';
import type { Context } from '../context.js';
import { conflict } from '../errors.js';

/** Something on a host that no object of its spec names. */
export interface KnownOrphan {
  readonly host: string;
  readonly kind: string;
  readonly name: string;
  readonly detail: string;
  /** Key of the object that it once belonged to. */
  readonly object: string | null;
  /** When it was first heard of; null for what has just come up. */
  readonly since: string | null;
  /** What the database knows of that object, in words; null: nothing. */
  readonly database: string | null;
}

interface ToldOrphan {
  readonly kind: string;
  readonly name: string;
  readonly detail: string;
  readonly object?: string;
}

/** What a host last told of things that nothing names, with what the database knows of them. */
export async function orphansOf(app: App, host: HostRow): Promise<KnownOrphan[]> {
  const db = app.store.read;
  const told = JSON.parse(host.orphans ?? '[]') as ToldOrphan[];
  if (told.length === 0) return [];
  const times = await orphanTimes(db, host.id);
  return await Promise.all(
    told.map(async ({ kind, name, detail, object }) => ({
      host: host.name,
      kind,
      name,
      detail,
      object: object ?? null,
      since: times.get(`${kind}/${name}`) ?? null,
      database: object ? await wordsOf(db, object) : null,
    })),
  );
}

/**
 * Has a host remove one orphan. Looks again first whether nothing names it: what belongs to an object that the host should have, or
 * that the database has there, is refused.
 */
export async function removeOrphan(
  app: App,
  ctx: Context,
  host: HostRow,
  removal: { readonly kind: string; readonly name: string; readonly destroy_data: boolean },
): Promise<void> {
  const { kind, name } = removal;
  if (host.observe_only === 1) {
    throw conflict(
      `Host ${host.name} only observes since a backup was restored; accept it first (maru incarnation accept ${host.name}).`,
    );
  }
  const orphan = (await orphansOf(app, host)).find((one) => one.kind === kind && one.name === name);
  if (!orphan) {
    throw conflict(
      `Host ${host.name} has told of no orphan ${kind}/${name}; maru cleanup ${host.name} lists what there is.`,
    );
  }
  if (orphan.object !== null && (await isWanted(app, host, orphan.object as ObjectKey))) {
    throw conflict(
      `${kind}/${name} belongs to ${orphan.object}, which host ${host.name} should have: it is no orphan.`,
    );
  }
  await app.hosts.removeOrphan(host.id, removal);
  app.log.warn('orphan removed', {
    host: host.name,
    kind,
    name,
    object: orphan.object,
    request_id: ctx.requestId,
  });
}

/** By the spec worked out now, and by the rows themselves, should their spec be wrong. */
async function isWanted(app: App, host: HostRow, key: ObjectKey): Promise<boolean> {
  if (await app.hosts.isNamed(host.id, key)) return true;
  const { kind, id } = parseKey(key);
  if (kind === 'server') return (await liveServer(app.store.read, id))?.host_id === host.id;
  if (kind === 'volume') return (await findVolume(app.store.read, id))?.host_id === host.id;
  return false;
}

async function wordsOf(db: Reader, key: string): Promise<string | null> {
  const { kind, id } = parseKey(key);
  if (kind === 'server') {
    const server = await liveServer(db, id);
    if (!server) return null;
    const on = server.host_id === null ? 'no host' : (await hostNames(db)).get(server.host_id);
    return `server ${server.name}, ${server.status}, on ${on}`;
  }
  if (kind === 'volume') {
    const volume = await findVolume(db, id);
    return volume ? `volume ${volume.name ?? id}, ${volume.status}, on ${volume.host ?? 'no host'}` : null;
  }
  return null;
}

async function liveServer(db: Reader, id: string) {
  return (await findServers(db, [id])).find((server) => server.deleted_at === null);
}
