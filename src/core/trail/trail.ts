import { hostNames } from '../../store/compute/hosts.js';
import { findServerAnywhere } from '../../store/compute/server.js';
import { listHosts } from '../../store/hosts.js';
import { findNetworksAnywhere } from '../../store/network/trace.js';
import { nowText, type Reader } from '../../store/store.js';
import { listTrail, pruneTrail, type TrailRow } from '../../store/trail.js';
import type { App } from '../app.js';
import { conflict, notFound } from '../errors.js';
import type { TrailKind } from './kinds.js';

/** One thing that happened, as operators read it. */
export interface TrailEntry {
  /** Rises; entries with lower numbers are older. */
  readonly number: number;
  readonly at: string;
  readonly what: string;
  readonly detail: string;
  readonly host: string | null;
  readonly request_id: string | null;
  readonly user_id: string | null;
  readonly project_id: string | null;
  /** Milliseconds since the entry before; null for the first that is shown. */
  readonly after: number | null;
  /** Milliseconds since its request was made, where this is how it ended and the beginning is shown too. */
  readonly took: number | null;
}

export interface Trail {
  /** `kind/id`. */
  readonly object: string;
  readonly entries: readonly TrailEntry[];
  /** There are older ones. */
  readonly more: boolean;
}

/**
 * What happened to an object, oldest first: also after it is gone, as long as it is kept. Servers, networks and hosts are found by their
 * names, too, while they exist. `before`: only entries with lower numbers.
 */
export async function readTrail(
  app: App,
  kind: TrailKind,
  idOrName: string,
  options: { readonly limit: number; readonly before?: number },
): Promise<Trail> {
  const db = app.store.read;
  const id = await idOf(db, kind, idOrName);
  const rows = await listTrail(db, kind, id, { ...options, limit: options.limit + 1 });
  if (rows.length === 0) {
    throw notFound(
      `Nothing is known of ${kind} '${idOrName}': there is none, or what it left is no longer kept.`,
    );
  }
  const shown = rows.slice(-options.limit);
  const names = await hostNames(db);
  return {
    object: `${kind}/${id}`,
    entries: shown.map((row, index) => entryOf(row, shown, index, names)),
    more: rows.length > shown.length,
  };
}

/** Entries of one object that are kept: one that never comes to rest must not cost the others theirs. */
const KEPT_PER_OBJECT = 2_000;
const PRUNED_AT_ONCE = 2_000;
/** So that a first run after a long time does not hold others up: the next one goes on. */
const MOST_RUNS = 100;

/** Forgets what is older, or more, than the configuration says. */
export async function pruneTrails(app: App): Promise<number> {
  const { trail_days, trail_entries } = app.config;
  const before = new Date(Date.parse(nowText()) - trail_days * 86_400_000).toISOString();
  const retention = { before, perObject: KEPT_PER_OBJECT, total: trail_entries };
  let gone = 0;
  for (let run = 0; run < MOST_RUNS; run++) {
    const some = await app.store.tx((tx) => pruneTrail(tx, retention, PRUNED_AT_ONCE));
    if (some === 0) break;
    gone += some;
  }
  return gone;
}

function entryOf(
  row: TrailRow,
  rows: readonly TrailRow[],
  index: number,
  hosts: ReadonlyMap<string, string>,
): TrailEntry {
  const at = Date.parse(row.at);
  const before = rows[index - 1];
  const began =
    row.what === 'ended' && row.request_id !== null
      ? rows.find((one) => one.request_id === row.request_id && one.what === 'action')
      : undefined;
  return {
    number: row.seq,
    at: row.at,
    what: row.what,
    detail: row.detail,
    host: row.host_id === null ? null : (hosts.get(row.host_id) ?? row.host_id),
    request_id: row.request_id,
    user_id: row.user_id,
    project_id: row.project_id,
    after: before ? at - Date.parse(before.at) : null,
    took: began ? at - Date.parse(began.at) : null,
  };
}

async function idOf(db: Reader, kind: TrailKind, idOrName: string): Promise<string> {
  const found =
    kind === 'server'
      ? await findServerAnywhere(db, idOrName)
      : kind === 'network'
        ? await findNetworksAnywhere(db, idOrName)
        : kind === 'host'
          ? (await listHosts(db)).filter(({ id, name }) => id === idOrName || name === idOrName)
          : [];
  const exact = found.find(({ id }) => id === idOrName);
  if (exact) return exact.id;
  if (found.length > 1) {
    throw conflict(`More than one ${kind} is named ${idOrName}: ${found.map(({ id }) => id).join(', ')}`);
  }
  return found[0]?.id ?? idOrName;
}
