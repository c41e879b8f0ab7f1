import type { Selectable } from 'kysely';
import type { Reader, Tx } from '../store.js';
import type {
  EndpointGroupTable,
  EndpointTable,
  PolicyTable,
  ProjectEndpointTable,
  RegionTable,
  ServiceTable,
} from '../tables/identity.js';
import { idRows } from './table.js';

export type RegionRow = Selectable<RegionTable>;
export type ServiceRow = Selectable<ServiceTable>;
export type EndpointRow = Selectable<EndpointTable>;
export type EndpointGroupRow = Selectable<EndpointGroupTable>;
export type ProjectEndpointRow = Selectable<ProjectEndpointTable>;
export type PolicyRow = Selectable<PolicyTable>;

export const regions = idRows('region');
export const services = idRows('service');
export const endpoints = idRows('endpoint');
export const endpointGroups = idRows('endpoint_group');
export const policies = idRows('policy');

/** Associations of projects with endpoints and endpoint groups that match the given columns. */
export async function listProjectEndpoints(
  db: Reader,
  filter: Partial<ProjectEndpointRow>,
): Promise<ProjectEndpointRow[]> {
  let query = db.selectFrom('project_endpoint').selectAll();
  for (const [column, value] of Object.entries(filter))
    query = query.where(column as 'kind', '=', value as 'endpoint');
  return await query.orderBy('project_id').orderBy('target_id').execute();
}

export async function addProjectEndpoint(tx: Tx, row: ProjectEndpointRow): Promise<void> {
  await tx
    .insertInto('project_endpoint')
    .values(row)
    .onConflict((c) => c.doNothing())
    .execute();
}

/** Removes the associations that match all given columns; returns how many there were. */
export async function removeProjectEndpoints(tx: Tx, filter: Partial<ProjectEndpointRow>): Promise<number> {
  let query = tx.deleteFrom('project_endpoint');
  for (const [column, value] of Object.entries(filter))
    query = query.where(column as 'kind', '=', value as 'endpoint');
  return Number((await query.executeTakeFirst()).numDeletedRows);
}
