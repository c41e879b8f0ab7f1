import type { ServerObject } from '../../protocol/objects.js';
import { tombstonesOf } from '../../store/hosts.js';
import { holdsOfObjects } from '../../store/network/hold.js';
import { findReportsOf } from '../../store/reports.js';
import type { App } from '../app.js';

/** What hosts still owe a server that was deleted, or that left them, in words; empty when nobody owes anything. */
export async function owedFor(
  app: App,
  serverId: string,
  names: ReadonlyMap<string, string>,
): Promise<string[]> {
  const db = app.store.read;
  const nameOf = (hostId: string) => {
    const name = names.get(hostId) ?? hostId;
    return app.hosts.isUp(hostId) ? name : `${name} (down)`;
  };
  const owed: string[] = [];
  const tombstones = await tombstonesOf(db, `server/${serverId}`);
  const reports = await findReportsOf(db, `server/${serverId}`);
  for (const { host_id, created_at } of tombstones) {
    const report = reports.find((r) => r.host_id === host_id);
    const error = report?.state === 'error' && report.error ? `: ${report.error.message}` : '';
    owed.push(`${nameOf(host_id)} has to destroy its guest and disks, asked since ${created_at}${error}`);
  }
  const ports = tombstones.flatMap(({ body }) =>
    (JSON.parse(body) as ServerObject).nics.map((nic) => `port/${nic.port_id}` as const),
  );
  for (const { host_id, ip_address, mac_address, object_key, created_at } of await holdsOfObjects(
    db,
    ports,
  )) {
    const what = ip_address === '' ? `MAC ${mac_address}` : `address ${ip_address}`;
    owed.push(
      `${nameOf(host_id)} has to report ${object_key} gone before ${what} is given out again, since ${created_at}`,
    );
  }
  return owed;
}
