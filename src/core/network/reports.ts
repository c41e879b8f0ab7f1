import { parseKey } from '../../protocol/keys.js';
import type { ObjectReport } from '../../protocol/messages.js';
import { oldHolds, releaseHolds, releaseHost } from '../../store/network/address.js';
import { bindingsOfPorts, dhcpPort, setPortStatus } from '../../store/network/port.js';
import { findRow } from '../../store/network/rows.js';
import { routerPorts } from '../../store/network/spec-rows.js';
import type { Tx } from '../../store/store.js';
import { endHolds } from '../address/give-back.js';
import type { App } from '../app.js';
import { placeWaitingRouters } from '../router/place.js';

/** After this long without a word about it, an object on a reachable host counts as gone or settled. */
const SETTLED_MS = 60_000;

/** Takes what a host reports about network objects: statuses of ports, and addresses that may be given out again. */
export async function onNetworkReports(
  app: App,
  tx: Tx,
  hostId: string,
  reports: readonly ObjectReport[],
): Promise<void> {
  await endHolds(tx, hostId, reports);
  for (const report of reports) {
    const { kind, id } = parseKey(report.key);
    if (kind !== 'port' && kind !== 'dhcp' && kind !== 'router') continue;
    const ports = await portsBehind(tx, hostId, kind, id);
    await setPortStatus(tx, ports, report.state === 'applied' ? 'ACTIVE' : 'DOWN');
  }
  await placeWaitingRouters(tx, app);
}

/**
 * Ends holds that no report will end: of hosts that were removed, of objects that their host never had, and of changes
 * that were taken back before the host saw them. Hosts that are down or not up to date keep theirs.
 */
export async function sweepAddressHolds(app: App): Promise<void> {
  const before = new Date(Date.now() - SETTLED_MS).toISOString();
  const holds = await oldHolds(app.store.read, before);
  if (holds.length === 0) return;
  await app.store.tx(async (tx) => {
    for (const hold of holds) {
      if (hold.known_host_id === null) await releaseHost(tx, hold.host_id);
      else if (app.hosts.isUp(hold.host_id) && app.hosts.deliveryFault(hold.host_id) === null) {
        const settled = hold.reported_revision === null || hold.object_key.startsWith('router/');
        if (settled && hold.reported_state !== 'error') {
          await releaseHolds(tx, hold.host_id, [hold.object_key]);
        }
      }
    }
  });
}

/** The ports that an object of a host makes work, as far as they are that host's. */
async function portsBehind(
  tx: Tx,
  hostId: string,
  kind: 'port' | 'dhcp' | 'router',
  id: string,
): Promise<string[]> {
  switch (kind) {
    case 'port': {
      const bindings = await bindingsOfPorts(tx, [id]);
      return bindings.some((b) => b.host_id === hostId && b.status === 'active') ? [id] : [];
    }
    case 'dhcp': {
      const port = await dhcpPort(tx, id);
      return port ? [port.id] : [];
    }
    case 'router': {
      const router = await findRow(tx, 'router', id);
      if (router?.host_id !== hostId) return [];
      return (await routerPorts(tx, [id])).map((port) => port.id);
    }
  }
}
