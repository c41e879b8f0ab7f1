import { parseKey } from '../../protocol/keys.js';
import type { ObjectReport } from '../../protocol/messages.js';
import { bindingsOfPorts, dhcpPort, setPortStatus } from '../../store/network/port.js';
import { withdrawalsOfRouters } from '../../store/network/router-place.js';
import { findRow } from '../../store/network/rows.js';
import { routerPorts } from '../../store/network/spec-rows.js';
import type { Tx } from '../../store/store.js';
import { endHolds } from '../address/settle.js';
import type { App } from '../app.js';
import { placeRouter } from '../router/place.js';
import { endWithdrawals, placeWaitingRouters } from '../router/sweep.js';

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
    if (kind === 'router') await onRouterReport(app, tx, id);
  }
  await placeWaitingRouters(tx, app);
}

/** A receipt lets the router's move go on; a router that its host found answered for elsewhere may have to be confirmed. */
async function onRouterReport(app: App, tx: Tx, routerId: string): Promise<void> {
  if (!(await app.tasks.wake(tx, { kind: 'router', id: routerId }))) await placeRouter(tx, app, routerId);
  await endWithdrawals(tx);
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
      // the report of a host that gives the router up says that it does not work there
      const leaving = (await withdrawalsOfRouters(tx, [id])).some((row) => row.host_id === hostId);
      if (router?.host_id !== hostId || leaving) return [];
      return (await routerPorts(tx, [id])).map((port) => port.id);
    }
  }
}
