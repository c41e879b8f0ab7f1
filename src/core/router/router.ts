import { randomUUID } from 'node:crypto';
import { cidrContains } from '../../net/cidr.js';
import { ipVersion } from '../../net/ip.js';
import { addressesOfPorts } from '../../store/network/address.js';
import { portsOfDevice } from '../../store/network/port.js';
import { deleteRow, findRow, insertRow, updateRow } from '../../store/network/rows.js';
import { deleteTags } from '../../store/network/tag.js';
import { recordChange, type Tx } from '../../store/store.js';
import type { NetworkTables } from '../../store/tables/network.js';
import type { App } from '../app.js';
import type { Context } from '../context.js';
import { badRequest, conflict, MaruError } from '../errors.js';
import { flag } from '../network/network.js';
import { claimNetworkQuota } from '../network/quota.js';
import { clearGateway, type GatewayInfo, setGateway } from './gateway.js';
import { connectedSubnets } from './interfaces.js';

type Router = NetworkTables['router'];

export interface Route {
  readonly destination: string;
  readonly nexthop: string;
}

export interface RouterAttributes {
  readonly project_id: string;
  readonly name: string;
  readonly description: string;
  readonly admin_state_up: boolean;
  readonly external_gateway_info?: GatewayInfo | null;
  readonly routes?: readonly Route[];
}

export async function createRouter(tx: Tx, app: App, ctx: Context, given: RouterAttributes): Promise<Router> {
  await claimNetworkQuota(app, tx, given.project_id, 'router');
  const router = await insertRow(tx, 'router', {
    id: randomUUID(),
    project_id: given.project_id,
    name: given.name,
    description: given.description,
    admin_state_up: given.admin_state_up ? 1 : 0,
    host_id: null,
    host_epoch: 0,
    next_host_id: null,
    gateway_port_id: null,
    gateway_network_id: null,
    enable_snat: 1,
    routes: '[]',
  });
  if (!router) throw new MaruError('conflict', 'The router was created by a parallel request.');
  if (given.external_gateway_info) await setGateway(tx, app, ctx, router, given.external_gateway_info);
  await recordChange(tx, 'router', router.id, ctx.requestId);
  return (await findRow(tx, 'router', router.id))!;
}

export async function updateRouter(
  tx: Tx,
  app: App,
  ctx: Context,
  router: Router,
  changes: Partial<RouterAttributes>,
): Promise<Router> {
  const { name, description } = changes;
  await updateRow(tx, 'router', router.id, {
    ...(name === undefined ? {} : { name }),
    ...(description === undefined ? {} : { description }),
    ...flag('admin_state_up', changes.admin_state_up),
  });
  if (changes.external_gateway_info !== undefined) {
    await setGateway(tx, app, ctx, router, changes.external_gateway_info);
  }
  if (changes.routes) await setRoutes(tx, router, changes.routes);
  await recordChange(tx, 'router', router.id, ctx.requestId);
  return (await findRow(tx, 'router', router.id))!;
}

/** Adds and removes single routes, leaving those alone that others may be adding meanwhile. */
export async function changeRoutes(
  tx: Tx,
  app: App,
  ctx: Context,
  router: Router,
  change: { readonly add?: readonly Route[]; readonly remove?: readonly Route[] },
): Promise<Router> {
  await app.store.lockFamily(tx, router.id, 'router');
  const current = JSON.parse((await findRow(tx, 'router', router.id))!.routes) as Route[];
  const same = (a: Route) => (b: Route) => a.destination === b.destination && a.nexthop === b.nexthop;
  const kept = current.filter((route) => !change.remove?.some(same(route)));
  const added = (change.add ?? []).filter((route) => !kept.some(same(route)));
  await setRoutes(tx, router, [...kept, ...added]);
  await recordChange(tx, 'router', router.id, ctx.requestId);
  return (await findRow(tx, 'router', router.id))!;
}

/** Deletes a router that has no interfaces; its gateway goes with it. */
export async function deleteRouter(tx: Tx, app: App, ctx: Context, router: Router): Promise<void> {
  await app.store.lockFamily(tx, router.id, 'router');
  const ports = await portsOfDevice(tx, router.id);
  if (ports.some((port) => port.device_owner === 'network:router_interface')) {
    throw conflict(`Router ${router.id} still has ports`, 'RouterInUse');
  }
  await clearGateway(tx, router);
  await deleteTags(tx, [router.id]);
  await deleteRow(tx, 'router', router.id);
  await recordChange(tx, 'router', router.id, ctx.requestId);
}

/** Neutron's max_routes. */
const MOST_ROUTES = 30;

async function setRoutes(tx: Tx, router: Router, routes: readonly Route[]): Promise<void> {
  if (routes.length > MOST_ROUTES) {
    throw badRequest(
      `Unable to complete operation for ${router.id}. The number of routes exceeds the maximum ${MOST_ROUTES}.`,
      'RoutesExhausted',
    );
  }
  const owners = ['network:router_interface', 'network:router_gateway'];
  const subnets = await connectedSubnets(tx, router.id, owners);
  const ports = await portsOfDevice(tx, router.id);
  const own = await addressesOfPorts(
    tx,
    ports.map((port) => port.id),
  );
  const invalid = (reason: string) =>
    badRequest(`Invalid format for routes: ${JSON.stringify(routes)}, ${reason}`, 'InvalidRoutes');
  for (const route of routes) {
    if (ipVersion(route.nexthop) === null) throw invalid('the nexthop is not an IP address');
    if (!subnets.some((subnet) => cidrContains(subnet.cidr, route.nexthop))) {
      throw invalid('the nexthop is not connected with router');
    }
    if (own.some((a) => a.ip_address === route.nexthop)) throw invalid('the nexthop is used by router');
  }
  await updateRow(tx, 'router', router.id, { routes: JSON.stringify(routes) });
}
