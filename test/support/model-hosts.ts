import { onServerGone } from '../../src/core/server/delete.js';
import { onServerReports } from '../../src/core/server/report.js';
import { serverObjects } from '../../src/desired/server.js';
import { specObject } from '../../src/protocol/keys.js';
import type { ObjectReport } from '../../src/protocol/messages.js';
import type { ObjectKey } from '../../src/protocol/objects.js';
import type { ServerRow } from '../../src/store/compute/server.js';
import { deleteTombstones, listTombstones } from '../../src/store/hosts.js';
import { findReports, storeReports } from '../../src/store/reports.js';
import { nowText } from '../../src/store/store.js';
import type { ComputeCloud } from './compute-cloud.js';

/**
 * Hosts that do what the database asks of them, as agents would: start, switch and destroy guests, and report what the controller
 * does not know yet, again and again until it is stored. They remember which guests run, so that one that runs twice is seen.
 */
export class ModelHosts {
  readonly #cloud: ComputeCloud;
  readonly #hostIds: readonly string[];
  /** Guests of each host. */
  readonly guests = new Map<string, Set<string>>();
  /** Servers that ran on two hosts at once. */
  readonly twice: string[] = [];
  /** Whether a host fails to build a server. */
  fails: (server: ServerRow, hostId: string) => boolean = () => false;

  constructor(cloud: ComputeCloud, hostIds: readonly string[]) {
    this.#cloud = cloud;
    this.#hostIds = hostIds;
    for (const id of hostIds) this.guests.set(id, new Set());
  }

  /** Each host looks at its spec once, acts, and reports. */
  async round(): Promise<void> {
    for (const hostId of this.#hostIds) await this.#actOn(hostId);
  }

  async #actOn(hostId: string): Promise<void> {
    const { app } = this.#cloud.cloud;
    const db = app.store.read;
    const guests = this.guests.get(hostId)!;
    const tombstones = (await listTombstones(db, hostId)).map(({ object_key }) => object_key);
    for (const key of tombstones) {
      const id = key.slice('server/'.length);
      guests.delete(id);
      await app.store.tx(async (tx) => {
        await storeReports(tx, hostId, [{ key, revision: null, state: 'gone' }]);
        const gone = await deleteTombstones(tx, hostId, [key]);
        for (const _ of gone) await onServerGone(app, tx, hostId, id);
      });
    }
    const servers = await db
      .selectFrom('server')
      .selectAll()
      .where('host_id', '=', hostId)
      .where('deleted_at', 'is', null)
      .where('delete_requested_at', 'is', null)
      .execute();
    for (const server of servers) {
      if (tombstones.includes(`server/${server.id}`)) continue;
      // even a host that fails in the end may have begun
      guests.add(server.id);
      if ([...this.guests.values()].filter((set) => set.has(server.id)).length > 1)
        this.twice.push(server.id);
      await this.#report(hostId, server);
    }
  }

  async #report(hostId: string, server: ServerRow): Promise<void> {
    const { app } = this.#cloud.cloud;
    const key: ObjectKey = `server/${server.id}`;
    const object = (await serverObjects(app.store.read, [server])).get(server.id)!;
    const { revision } = specObject<'server'>(object);
    const failed = this.fails(server, hostId);
    const report: ObjectReport = failed
      ? { key, revision, state: 'error', error: { message: 'no space left' } }
      : {
          key,
          revision,
          state: 'applied',
          observed: {
            power_state: object.power === 'running' ? 'running' : 'shutdown',
            launched_at: server.launched_at ?? nowText(),
          },
        };
    const [known] = await findReports(app.store.read, hostId, [key]);
    if (known?.revision === revision && known.state === report.state) return;
    await app.store.tx(async (tx) => {
      await storeReports(tx, hostId, [report]);
      await onServerReports(app, tx, hostId, [report]);
    });
  }
}
