import {
  addProjectEndpoint,
  type EndpointGroupRow,
  type EndpointRow,
  endpointGroups,
  endpoints,
  listProjectEndpoints,
  removeProjectEndpoints,
} from '../../store/identity/catalog.js';
import { projects } from '../../store/identity/projects.js';
import type { Reader } from '../../store/store.js';
import type { App } from '../app.js';
import { badRequest, notFound } from '../errors.js';
import { mustGet, newId, storing } from '../identity/rows.js';

/** Attributes of endpoints that groups may choose by. */
const FILTERS = ['service_id', 'region_id', 'interface'] as const;

/** What clients may set on an endpoint group. */
export interface EndpointGroupBody {
  readonly name?: string;
  readonly description?: string | null;
  readonly filters?: Readonly<Record<string, string>>;
}

/** What a project's catalogue may be confined to. */
export type FilterKind = 'endpoint' | 'endpoint_group';

export async function createEndpointGroup(app: App, body: EndpointGroupBody): Promise<EndpointGroupRow> {
  checkFilters(body.filters);
  return await storing(app, 'endpoint group', async (tx) => {
    const row: EndpointGroupRow = {
      id: newId(),
      name: body.name!,
      description: body.description ?? null,
      filters: JSON.stringify(body.filters),
    };
    await endpointGroups.insert(tx, row);
    return row;
  });
}

export async function updateEndpointGroup(
  app: App,
  id: string,
  body: EndpointGroupBody,
): Promise<EndpointGroupRow> {
  checkFilters(body.filters);
  return await storing(app, 'endpoint group', async (tx) => {
    const row = await mustGet(endpointGroups, tx, id, 'endpoint group');
    const changed: EndpointGroupRow = {
      ...row,
      name: body.name ?? row.name,
      description: body.description === undefined ? row.description : body.description,
      filters: body.filters ? JSON.stringify(body.filters) : row.filters,
    };
    await endpointGroups.update(tx, id, changed);
    return changed;
  });
}

export async function deleteEndpointGroup(app: App, id: string): Promise<void> {
  await app.identity.write(async (tx) => {
    await mustGet(endpointGroups, tx, id, 'endpoint group');
    await removeProjectEndpoints(tx, { kind: 'endpoint_group', target_id: id });
    await endpointGroups.remove(tx, id);
  });
}

/** The endpoints that a group chooses. */
export async function endpointsOfGroup(db: Reader, group: EndpointGroupRow): Promise<EndpointRow[]> {
  return await endpoints.list(db, JSON.parse(group.filters) as Record<string, string>);
}

/** Puts an endpoint or a group into a project's catalogue, which from then on has only what was put there. */
export async function associate(app: App, projectId: string, kind: FilterKind, id: string): Promise<void> {
  await app.identity.write(async (tx) => {
    await mustGet(projects, tx, projectId, 'project');
    await mustExist(tx, kind, id);
    await addProjectEndpoint(tx, { project_id: projectId, kind, target_id: id });
  });
}

export async function dissociate(app: App, projectId: string, kind: FilterKind, id: string): Promise<void> {
  await app.identity.write(async (tx) => {
    const removed = await removeProjectEndpoints(tx, { project_id: projectId, kind, target_id: id });
    if (removed === 0) throw notAssociated(projectId, id);
  });
}

/** 404 unless the project is associated with it. */
export async function checkAssociation(
  db: Reader,
  projectId: string,
  kind: FilterKind,
  id: string,
): Promise<void> {
  await mustGet(projects, db, projectId, 'project');
  await mustExist(db, kind, id);
  const found = await listProjectEndpoints(db, { project_id: projectId, kind, target_id: id });
  if (found.length === 0) throw notAssociated(projectId, id);
}

/** Ids of the endpoints that a project's catalogue is confined to; null when it has them all. */
export async function confinedEndpoints(db: Reader, projectId: string): Promise<ReadonlySet<string> | null> {
  const associations = await listProjectEndpoints(db, { project_id: projectId });
  if (associations.length === 0) return null;
  const ids = new Set<string>();
  for (const { kind, target_id } of associations) {
    if (kind === 'endpoint') {
      ids.add(target_id);
      continue;
    }
    const group = await endpointGroups.get(db, target_id);
    for (const endpoint of group ? await endpointsOfGroup(db, group) : []) ids.add(endpoint.id);
  }
  return ids;
}

async function mustExist(db: Reader, kind: FilterKind, id: string): Promise<void> {
  if (kind === 'endpoint') await mustGet(endpoints, db, id, 'endpoint');
  else await mustGet(endpointGroups, db, id, 'endpoint group');
}

function notAssociated(projectId: string, id: string) {
  return notFound(`${id} is not associated with project ${projectId}.`);
}

function checkFilters(filters: EndpointGroupBody['filters']): void {
  if (filters === undefined) return;
  const unknown = Object.keys(filters).find((name) => !(FILTERS as readonly string[]).includes(name));
  if (unknown !== undefined || Object.keys(filters).length === 0) {
    throw badRequest(
      `Endpoint groups choose by ${FILTERS.join(', ')}${unknown ? `, not by ${unknown}` : ''}.`,
    );
  }
}
