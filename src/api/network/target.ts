import type { PolicyTarget } from '../../core/context.js';
import { listRows } from '../../store/network/list.js';
import { findRow, type ResourceTable } from '../../store/network/rows.js';
import type { Reader } from '../../store/store.js';
import type { OpRequest } from '../shared/operation.js';

const TABLES: Readonly<Record<string, ResourceTable>> = {
  networks: 'network',
  subnets: 'subnet',
  ports: 'port',
  routers: 'router',
  floatingips: 'floating_ip',
  'security-groups': 'security_group',
  'security-group-rules': 'security_group_rule',
};

/**
 * The attributes of the resource that a request is about, and as `network:…` those of its network; undefined when it is about
 * none, or there is none. Booleans are true and false, as `field:networks:shared=True` wants them.
 */
export async function networkTarget(request: OpRequest): Promise<PolicyTarget | undefined> {
  const { app, params } = request;
  const table = tableOf(request);
  if (!table || params.id === undefined) return undefined;
  const row = await findTarget(app.store.read, table, params.id);
  const networkId = row?.network_id;
  if (!row || typeof networkId !== 'string') return row;
  const network = await findTarget(app.store.read, 'network', networkId);
  const parent = Object.entries(network ?? {}).map(([name, value]) => [`network:${name}`, value]);
  return { ...row, ...Object.fromEntries(parent) };
}

/** Whether a resource of another project is shown to the token's: it is shared, external, or on a network of its own. */
export async function isSharedResource(request: OpRequest): Promise<boolean> {
  const { app, ctx, params } = request;
  const table = tableOf(request);
  if (!table || params.id === undefined) return false;
  return (await listRows(app.store.read, table, { visibleTo: ctx.projectId, id: params.id })).length > 0;
}

/** What the route's path names; the URL may be spelt otherwise. */
function tableOf({ raw }: OpRequest): ResourceTable | undefined {
  const [, kind = ''] = /\/v2\.0\/([a-z-]+)\/:id\b/.exec(raw.routeOptions.url ?? '') ?? [];
  return Object.hasOwn(TABLES, kind) ? TABLES[kind] : undefined;
}

/** Columns that hold 0 and 1. */
const BOOLEANS = [
  'admin_state_up',
  'shared',
  'external',
  'is_default',
  'enable_dhcp',
  'port_security_enabled',
];

async function findTarget(
  db: Reader,
  table: ResourceTable,
  id: string,
): Promise<Record<string, unknown> | undefined> {
  const row = (await findRow(db, table, id)) as unknown as Record<string, unknown> | null;
  if (!row) return undefined;
  const booleans = BOOLEANS.filter((name) => name in row).map((name) => [name, row[name] === 1]);
  const target: Record<string, unknown> = { ...row, ...Object.fromEntries(booleans) };
  if ('project_id' in target) target.tenant_id = target.project_id;
  if ('external' in target) target['router:external'] = target.external;
  return target;
}
