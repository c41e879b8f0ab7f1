import type { AnyHostKind } from '../../desired/kind.js';
import { networkKinds } from '../../desired/network-kinds.js';
import { parseKey, specObject } from '../../protocol/keys.js';
import type { ObjectReport } from '../../protocol/messages.js';
import { forgottenAddresses, freeUnheld } from '../../store/network/address.js';
import { heldObjects, oldHolds, releaseHolds, releaseHost } from '../../store/network/hold.js';
import { findReports } from '../../store/reports.js';
import type { Reader, Tx } from '../../store/store.js';
import type { App } from '../app.js';

/** After this long without a word about it, an object on a host that takes its specs counts as gone. */
const SETTLED_MS = 60_000;

/**
 * Called when a host reports: what is gone gives up its addresses, and so does what is as it should be now, since that is
 * without them.
 */
export async function endHolds(tx: Tx, hostId: string, reports: readonly ObjectReport[]): Promise<void> {
  const held = await heldObjects(tx, hostId);
  if (held.size === 0) return;
  const wanted = new Desired(tx, hostId);
  const ended: string[] = [];
  for (const report of reports) {
    if (!held.has(report.key)) continue;
    if (report.state === 'gone' ? true : await isCurrent(wanted, report)) ended.push(report.key);
  }
  await releaseHolds(tx, hostId, ended);
}

/**
 * Ends holds that no report will end: of hosts that were removed, of objects that their host never had, and of changes
 * that were taken back before the host saw them. Hosts that are down or do not take their specs keep theirs.
 */
export async function sweepAddressHolds(app: App, settledMs = SETTLED_MS): Promise<void> {
  const db = app.store.read;
  const before = new Date(Date.now() - settledMs).toISOString();
  const holds = await oldHolds(db, before);
  const lost = new Set(holds.filter((hold) => hold.known_host_id === null).map((hold) => hold.host_id));
  const settled = settledHosts(app, settledMs);
  const byHost = new Map<string, string[]>();
  for (const { host_id, object_key } of holds) {
    if (lost.has(host_id) || !settled(host_id)) continue;
    byHost.set(host_id, [...(byHost.get(host_id) ?? []), object_key]);
  }
  const forgotten = await forgottenAddresses(db);
  if (lost.size === 0 && byHost.size === 0 && forgotten.length === 0) return;
  await app.store.tx(async (tx) => {
    for (const hostId of lost) await releaseHost(tx, hostId);
    for (const [hostId, keys] of byHost) await releaseHolds(tx, hostId, await settledKeys(tx, hostId, keys));
    await freeUnheld(tx, forgotten);
  });
}

/** Of the objects, those of which nothing is left to wait for: never had and not wanted, or as they should be. */
async function settledKeys(tx: Tx, hostId: string, keys: readonly string[]): Promise<string[]> {
  const reports = new Map(
    (await findReports(tx, hostId, keys as ObjectReport['key'][])).map((r) => [r.key, r]),
  );
  const wanted = new Desired(tx, hostId);
  const settled: string[] = [];
  for (const key of keys) {
    const report = reports.get(key as ObjectReport['key']);
    if (report ? await isCurrent(wanted, report) : (await wanted.revision(key)) === null) settled.push(key);
  }
  return settled;
}

async function isCurrent(wanted: Desired, report: ObjectReport): Promise<boolean> {
  return report.state === 'applied' && report.revision === (await wanted.revision(report.key));
}

/** What a host should have of network objects now; each kind is worked out when it is asked for. */
class Desired {
  readonly #db: Reader;
  readonly #hostId: string;
  readonly #kinds = new Map<string, ReadonlyMap<string, unknown>>();

  constructor(db: Reader, hostId: string) {
    this.#db = db;
    this.#hostId = hostId;
  }

  /** Null: the host should not have it. */
  async revision(key: string): Promise<string | null> {
    const { kind, id } = parseKey(key);
    let objects = this.#kinds.get(kind);
    if (!objects) {
      const found: AnyHostKind | undefined = networkKinds.find((k) => k.kind === kind);
      objects = found ? await found.objects(this.#db, this.#hostId) : new Map();
      this.#kinds.set(kind, objects);
    }
    const body = objects.get(id);
    return body === undefined ? null : specObject(body as Parameters<typeof specObject>[0]).revision;
  }
}

/** Since when each host has answered and taken its specs whenever it was looked at. */
const wellSince = new WeakMap<App['store'], Map<string, number>>();

/** Tells of a host whether it has been well for so long that whatever it had to report would have come. */
function settledHosts(app: App, settledMs: number): (hostId: string) => boolean {
  const since = wellSince.get(app.store) ?? new Map<string, number>();
  wellSince.set(app.store, since);
  for (const hostId of since.keys()) if (!isWell(app, hostId)) since.delete(hostId);
  return (hostId) => {
    if (!isWell(app, hostId)) return false;
    const now = performance.now();
    const first = since.get(hostId) ?? now;
    since.set(hostId, first);
    return now - first >= settledMs;
  };
}

function isWell(app: App, hostId: string): boolean {
  return app.hosts.isUp(hostId) && app.hosts.deliveryFault(hostId) === null;
}
