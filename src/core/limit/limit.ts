import {
  getLimit,
  type LimitRow,
  listLimits,
  projectLimits,
  registeredLimits,
} from '../../store/identity/limits.js';
import { projects } from '../../store/identity/projects.js';
import type { Reader, Tx } from '../../store/store.js';
import type { App } from '../app.js';
import { badRequest, forbidden, notFound } from '../errors.js';
import { newId, storing } from '../identity/rows.js';
import { LIMIT_MODELS, type ProposedLimit } from './model.js';
import { checkResource } from './registered-limit.js';

/** What clients may set on a limit. A project that is a domain makes it a domain's limit. */
export interface LimitBody {
  readonly project_id?: string | null;
  readonly domain_id?: string | null;
  readonly service_id: string;
  readonly region_id?: string | null;
  readonly resource_name: string;
  readonly resource_limit: number;
  readonly description?: string | null;
}

/** Creates all or none; each needs a registered limit of its resource. */
export async function createLimits(app: App, bodies: readonly LimitBody[]): Promise<LimitRow[]> {
  return await storing(
    app,
    'limit',
    async (tx) => {
      const proposed: ProposedLimit[] = [];
      for (const body of bodies) proposed.push(await propose(tx, body));
      const rows: LimitRow[] = [];
      for (const [i, limit] of proposed.entries()) {
        await modelOf(app).check(tx, limit, proposed);
        const { service_id, region_id, resource_name } = limit;
        const [registered] = await registeredLimits.list(tx, { service_id, region_id, resource_name });
        if (!registered) {
          throw forbidden('Unable to create a limit that has no corresponding registered limit.');
        }
        const row = {
          id: newId(),
          registered_limit_id: registered.id,
          project_id: limit.project_id,
          domain_id: limit.domain_id,
          resource_limit: limit.resource_limit,
          description: bodies[i]!.description ?? null,
        };
        await projectLimits.insert(tx, row);
        rows.push({ ...row, service_id, region_id, resource_name });
      }
      return rows;
    },
    { aside: true },
  );
}

/** Changes the value or the description of a limit. */
export async function updateLimit(
  app: App,
  id: string,
  body: { readonly resource_limit?: number; readonly description?: string | null },
): Promise<LimitRow> {
  return await app.store.tx(async (tx) => {
    const row = await mustGetLimit(tx, id);
    const changed: LimitRow = {
      ...row,
      resource_limit: body.resource_limit ?? row.resource_limit,
      description: body.description === undefined ? row.description : body.description,
    };
    await modelOf(app).check(tx, changed, [changed]);
    const { resource_limit, description } = changed;
    await projectLimits.update(tx, id, { resource_limit, description });
    return changed;
  });
}

export async function deleteLimit(app: App, id: string): Promise<void> {
  await app.store.tx(async (tx) => {
    await mustGetLimit(tx, id);
    await projectLimits.remove(tx, id);
  });
}

/** The limit; 404 in Keystone's words when there is none. */
export async function mustGetLimit(db: Reader, id: string): Promise<LimitRow> {
  const row = await getLimit(db, id);
  if (!row) throw notFound(`Could not find limit for ${id}.`);
  return row;
}

/** The limits of each of the projects, by project. */
export async function limitsOfProjects(
  db: Reader,
  projectIds: readonly string[],
): Promise<ReadonlyMap<string, readonly LimitRow[]>> {
  const found = new Map<string, LimitRow[]>(projectIds.map((id) => [id, []]));
  for (const row of await listLimits(db, { project_id: projectIds })) found.get(row.project_id)?.push(row);
  return found;
}

/** How the configured model calls itself. */
export function modelOf(app: App) {
  return LIMIT_MODELS[app.config.unified_limit_model];
}

async function propose(tx: Tx, body: LimitBody): Promise<ProposedLimit> {
  await checkResource(tx, body);
  const id = body.project_id ?? body.domain_id;
  const owner = id ? await projects.get(tx, id) : undefined;
  if (!owner || (!body.project_id && !owner.is_domain)) {
    throw badRequest(`Could not find ${body.project_id ? 'project' : 'domain'}: ${id}.`);
  }
  return {
    project_id: owner.is_domain ? '' : owner.id,
    domain_id: owner.is_domain ? owner.id : '',
    service_id: body.service_id,
    region_id: body.region_id ?? '',
    resource_name: body.resource_name,
    resource_limit: body.resource_limit,
  };
}
