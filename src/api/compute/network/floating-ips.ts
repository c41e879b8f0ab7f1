import type { Context } from '../../../core/context.js';
import { badRequest, conflict, MaruError, notFound } from '../../../core/errors.js';
import { createFloatingIp, updateFloatingIp } from '../../../core/floating-ip/floating-ip.js';
import { removeFloatingIp } from '../../../core/floating-ip/remove.js';
import { findVisible } from '../../../core/network/access.js';
import { portsOfServers } from '../../../core/port/of-servers.js';
import { visibleServer } from '../../../core/server/find.js';
import { listRows } from '../../../store/network/list.js';
import { findRows } from '../../../store/network/rows.js';
import type { Reader } from '../../../store/store.js';
import type { NetworkTables } from '../../../store/tables/network.js';
import type { Operation, OpRequest } from '../../shared/operation.js';
import { ANYBODY, MEMBER, policy, READER } from '../policy.js';

type FloatingIp = NetworkTables['floating_ip'];

const UNTIL = '2.35';

/** Floating IPs as Nova once had them: another view of the network service's. */
export const floatingIpOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/v2.1/os-floating-ips',
    policy: policy('os-floating-ips:list', READER),
    summary: 'List floating IPs',
    until: UNTIL,
    status: 200,
    handler: async ({ app, ctx }) => {
      const rows = await listRows(app.store.read, 'floating_ip', { visibleTo: ctx.projectId });
      return { floating_ips: await show(app.store.read, rows) };
    },
  },
  {
    method: 'GET',
    path: '/v2.1/os-floating-ips/:id',
    policy: policy('os-floating-ips:show', READER),
    summary: 'Show a floating IP',
    until: UNTIL,
    status: 200,
    handler: async ({ app, ctx, params }) => {
      const row = await findVisible(app.store.read, ctx, 'floating_ip', params.id!, missing);
      return { floating_ip: (await show(app.store.read, [row]))[0] };
    },
  },
  {
    method: 'POST',
    path: '/v2.1/os-floating-ips',
    policy: policy('os-floating-ips:create', MEMBER),
    summary: 'Take a floating IP',
    until: UNTIL,
    status: 200,
    handler: create,
  },
  {
    method: 'DELETE',
    path: '/v2.1/os-floating-ips/:id',
    policy: policy('os-floating-ips:delete', MEMBER),
    summary: 'Give a floating IP back',
    until: UNTIL,
    status: 202,
    handler: async ({ app, ctx, params }) => {
      await app.store.tx(async (tx) =>
        removeFloatingIp(tx, await findVisible(tx, ctx, 'floating_ip', params.id!, missing)),
      );
    },
  },
  {
    method: 'GET',
    path: '/v2.1/os-floating-ip-pools',
    policy: policy('os-floating-ip-pools', ANYBODY),
    summary: 'List networks that floating IPs come from',
    until: UNTIL,
    status: 200,
    handler: async ({ app, ctx }) => ({
      floating_ip_pools: (await pools(app.store.read, ctx.projectId)).map(({ name }) => ({ name })),
    }),
  },
];

async function create({ app, ctx, body }: OpRequest<{ pool?: unknown } | undefined>) {
  const pool = body?.pool === undefined || body.pool === null ? null : String(body.pool);
  const networks = await pools(app.store.read, ctx.projectId);
  const network = networks.find(({ id, name }) => pool === null || name === pool || id === pool);
  if (!network)
    throw notFound(pool === null ? 'No more floating IPs available.' : 'Floating IP pool not found.');
  const floating = await app.store.tx((tx) =>
    createFloatingIp(tx, app, ctx, {
      project_id: ctx.projectId,
      description: '',
      floating_network_id: network.id,
      dns_name: '',
      dns_domain: '',
    }),
  );
  return { floating_ip: (await show(app.store.read, [floating]))[0] };
}

/** Action addFloatingIp: leads an address that the server's project has to it; administrators may give it one of their own. */
export async function associateFloatingIp(
  { app, ctx }: OpRequest,
  serverId: string,
  address: string,
  fixed: string | null,
): Promise<void> {
  const db = app.store.read;
  const server = await visibleServer(db, ctx, serverId);
  const ports = (await portsOfServers(db, [server.id])).get(server.id) ?? [];
  const port = ports.find(({ addresses }) =>
    addresses.some(({ ip_address, version }) => version === 4 && (fixed === null || ip_address === fixed)),
  );
  if (!port) throw badRequest('No fixed IPs associated to instance');
  const fixed_ip_address = fixed ?? port.addresses.find(({ version }) => version === 4)?.ip_address ?? null;
  await app.store.tx(async (tx) => {
    const floating = await byAddress(tx, ctx, server.project_id, address);
    await inNovasWords(() =>
      updateFloatingIp(tx, app, ctx, floating, { port_id: port.port_id, fixed_ip_address }),
    );
  });
}

/** Action removeFloatingIp. */
export async function dissociateFloatingIp(
  { app, ctx }: OpRequest,
  serverId: string,
  address: string,
): Promise<void> {
  const server = await visibleServer(app.store.read, ctx, serverId);
  await app.store.tx(async (tx) => {
    const floating = await byAddress(tx, ctx, server.project_id, address);
    const [port] = await findRows(tx, 'port', [floating.fixed_port_id ?? '']);
    if (port?.server_id !== server.id) {
      throw conflict(`Floating IP ${address} is not associated with instance ${serverId}.`);
    }
    await updateFloatingIp(tx, app, ctx, floating, { port_id: null });
  });
}

async function byAddress(db: Reader, ctx: Context, projectId: string, address: string): Promise<FloatingIp> {
  for (const visibleTo of ctx.isAdmin ? [projectId, ctx.projectId] : [projectId]) {
    const rows = await listRows(db, 'floating_ip', { visibleTo });
    const found = rows.find((row) => row.floating_ip_address === address);
    if (found) return found;
  }
  throw notFound(`Floating IP not found for address ${address}.`);
}

async function pools(db: Reader, projectId: string) {
  return (await listRows(db, 'network', { visibleTo: projectId })).filter(({ external }) => external === 1);
}

async function show(db: Reader, rows: readonly FloatingIp[]) {
  const networks = await findRows(
    db,
    'network',
    rows.map((row) => row.floating_network_id),
  );
  const ports = await findRows(
    db,
    'port',
    rows.flatMap((row) => row.fixed_port_id ?? []),
  );
  return rows.map((row) => {
    const server = ports.find(({ id }) => id === row.fixed_port_id)?.server_id;
    return {
      id: row.id,
      ip: row.floating_ip_address,
      pool: networks.find(({ id }) => id === row.floating_network_id)?.name ?? null,
      fixed_ip: row.fixed_ip_address,
      instance_id: server ?? null,
    };
  });
}

function missing(id: string): MaruError {
  return notFound(`Floating IP not found for ID ${id}`);
}

async function inNovasWords<T>(body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    if (error instanceof MaruError && (error.code === 'conflict' || error.code === 'not-found')) {
      throw badRequest(error.message);
    }
    throw error;
  }
}
