import type { Context } from '../../core/context.js';
import { badRequest, MaruError } from '../../core/errors.js';
import { routerNotFound } from '../../core/network/problems.js';
import { addInterface, type InterfaceRequest, removeInterface } from '../../core/router/interfaces.js';
import {
  changeRoutes,
  createRouter,
  deleteRouter,
  type Route,
  type RouterAttributes,
  updateRouter,
} from '../../core/router/router.js';
import { groupBy } from '../../group-by.js';
import { addressesOfPorts } from '../../store/network/address.js';
import { tagsOf } from '../../store/network/tag.js';
import type { NetworkTables } from '../../store/tables/network.js';
import type { Operation, OpRequest } from '../shared/operation.js';
import { object, orNull, toBoolean, uuid } from './converters.js';
import { fixedIps } from './ports.js';
import {
  ADMIN_RULE,
  findWritable,
  type Json,
  type Resource,
  render,
  type ViewContext,
  WRITE_RULE,
} from './resource.js';
import { ids, STANDARD_ATTRIBUTES, STANDARD_FILTERS, standardView } from './standard.js';
import { hostRoutes } from './subnets.js';

const gatewayInfo = orNull(
  object({
    network_id: { convert: uuid },
    enable_snat: { convert: toBoolean },
    external_fixed_ips: { convert: fixedIps },
  }),
);

export const routers: Resource<'router'> = {
  table: 'router',
  name: 'router',
  plural: 'routers',
  path: 'routers',
  notFound: routerNotFound,
  attributes: {
    ...STANDARD_ATTRIBUTES,
    admin_state_up: { post: true, put: true, convert: toBoolean, fallback: true },
    external_gateway_info: { post: true, put: true, convert: gateway },
    routes: { put: true, convert: hostRoutes },
    status: {},
  },
  filters: {
    ...STANDARD_FILTERS,
    admin_state_up: { column: 'admin_state_up', type: 'boolean' },
    status: { constant: 'ACTIVE' },
  },
  view: viewRouters,
  create(tx, app, ctx, given) {
    checkGatewayRights(ctx, given, 'create');
    return createRouter(tx, app, ctx, given as unknown as RouterAttributes);
  },
  update(tx, app, ctx, row, changes) {
    checkGatewayRights(ctx, changes, 'update');
    return updateRouter(tx, app, ctx, row, changes as Partial<RouterAttributes>);
  },
  remove: deleteRouter,
};

/** Rules about parts of the gateway, which only administrators may choose. */
export const gatewayPolicies = ['create', 'update'].flatMap((action) =>
  ['enable_snat', 'external_fixed_ips'].map((part) => ({
    name: `${action}_router:external_gateway_info:${part}`,
    rule: ADMIN_RULE,
  })),
);

/** What routers have besides the five usual operations. */
export const routerOperations: readonly Operation[] = [
  action('add_router_interface', 'Connect a router to a subnet', (request) =>
    changeInterface(request, addInterface),
  ),
  action('remove_router_interface', 'Disconnect a router from a subnet', (request) =>
    changeInterface(request, removeInterface),
  ),
  action('add_extraroutes', 'Add routes to a router', (request) => changeExtraRoutes(request, 'add')),
  action('remove_extraroutes', 'Remove routes from a router', (request) =>
    changeExtraRoutes(request, 'remove'),
  ),
];

function action(name: string, summary: string, handler: (request: OpRequest) => Promise<Json>): Operation {
  return {
    method: 'PUT',
    path: `/v2.0/routers/:id/${name}`,
    policy: { name, rule: WRITE_RULE },
    summary,
    status: 200,
    handler,
  };
}

async function changeInterface(request: OpRequest, change: typeof addInterface): Promise<Json> {
  const { app, ctx, params } = request;
  const wanted = interfaceRequest(request.body);
  return await app.store.tx(async (tx) => {
    const router = await findWritable(tx, ctx, routers, params.id!, 'update');
    const { port, subnetIds } = await change(tx, app, ctx, router, wanted);
    return {
      id: router.id,
      tenant_id: router.project_id,
      project_id: router.project_id,
      port_id: port.id,
      network_id: port.network_id,
      subnet_id: wanted.subnet_id ?? subnetIds[0],
      subnet_ids: subnetIds,
      tags: [],
    };
  });
}

function interfaceRequest(body: unknown): InterfaceRequest {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw badRequest('Bad router request: Either subnet_id or port_id must be specified.', 'BadRequest');
  }
  return object({ subnet_id: { convert: uuid }, port_id: { convert: uuid } })(
    body,
    'router interface',
  ) as InterfaceRequest;
}

async function changeExtraRoutes(request: OpRequest, key: 'add' | 'remove'): Promise<Json> {
  const { app, ctx, params } = request;
  const body = (request.body as { router?: { routes?: unknown } } | undefined)?.router;
  if (!body) throw badRequest("Unable to find 'router' in request body", 'HTTPBadRequest');
  const routes = hostRoutes(body.routes ?? [], 'routes') as Route[];
  const row = await app.store.tx(async (tx) => {
    const router = await findWritable(tx, ctx, routers, params.id!, 'update');
    return await changeRoutes(tx, app, ctx, router, { [key]: routes });
  });
  return { router: (await render(routers, request, [row]))[0] };
}

function gateway(value: unknown, attribute: string): unknown {
  const info = gatewayInfo(value, attribute) as Json | null;
  if (info === null || Object.keys(info).length === 0) return null;
  if (info.network_id === undefined) {
    throw badRequest(
      `Invalid input for ${attribute}. Reason: Validation of dictionary's keys failed. Expected keys: {'network_id'} Provided keys: {${Object.keys(
        info,
      )
        .map((key) => `'${key}'`)
        .join(', ')}}.`,
      'HTTPBadRequest',
    );
  }
  return info;
}

function checkGatewayRights(ctx: Context, given: Json, verb: 'create' | 'update'): void {
  const info = given.external_gateway_info as Json | null | undefined;
  for (const part of ['enable_snat', 'external_fixed_ips']) {
    if (info?.[part] === undefined) continue;
    const rule = `${verb}_router:external_gateway_info:${part}`;
    if (ctx.allows(rule)) continue;
    throw new MaruError('forbidden', `(rule:${verb}_router and rule:${rule}) is disallowed by policy`, {
      type: 'PolicyNotAuthorized',
    });
  }
}

async function viewRouters(rows: readonly NetworkTables['router'][], { db }: ViewContext): Promise<Json[]> {
  const gatewayPorts = rows.flatMap((row) => row.gateway_port_id ?? []);
  const addresses = groupBy(await addressesOfPorts(db, gatewayPorts), (a) => a.port_id ?? '');
  const tags = await tagsOf(db, ids(rows));
  return rows.map((row) => ({
    id: row.id,
    name: row.name,
    admin_state_up: row.admin_state_up === 1,
    status: 'ACTIVE',
    external_gateway_info: row.gateway_port_id
      ? {
          network_id: row.gateway_network_id,
          external_fixed_ips: (addresses.get(row.gateway_port_id) ?? []).map(({ subnet_id, ip_address }) => ({
            subnet_id,
            ip_address,
          })),
          enable_snat: row.enable_snat === 1,
        }
      : null,
    routes: JSON.parse(row.routes),
    ...standardView(row, tags),
  }));
}
