import type { Selectable } from 'kysely';
import type { Reader, Tx } from '../store.js';
import type { ProjectLimitTable, RegisteredLimitTable } from '../tables/limits.js';
import { type Inexact, idRows, resembling } from './table.js';

export type RegisteredLimitRow = Selectable<RegisteredLimitTable>;
export type ProjectLimitRow = Selectable<ProjectLimitTable>;

/** A limit with what its registered limit says about the resource. */
export interface LimitRow extends ProjectLimitRow {
  readonly service_id: string;
  readonly region_id: string;
  readonly resource_name: string;
}

/** Columns of a limit, each with the value it must have or the values of which it must have one. */
export type LimitFilter = {
  readonly [K in keyof LimitRow]?: LimitRow[K] | readonly LimitRow[K][];
};

export const registeredLimits = idRows('registered_limit');
export const projectLimits = idRows('project_limit');

/** Limits that match; with a domain only those on it and on its projects. */
export async function listLimits(
  db: Reader,
  filter: LimitFilter = {},
  inexact: readonly Inexact[] = [],
  inDomain?: string,
): Promise<LimitRow[]> {
  let query = limitQuery(db);
  for (const [column, value] of Object.entries(filter)) {
    const values = (Array.isArray(value) ? value : [value]) as string[];
    if (values.length === 0) return [];
    query = query.where(qualified(column), 'in', values);
  }
  if (inDomain !== undefined) {
    query = query.where((eb) =>
      eb.or([
        eb('project_limit.domain_id', '=', inDomain),
        eb(
          'project_limit.project_id',
          'in',
          eb.selectFrom('project').select('project.id').where('project.domain_id', '=', inDomain),
        ),
      ]),
    );
  }
  const conditions = inexact.map((condition) => ({ ...condition, column: qualified(condition.column) }));
  return await resembling(query, conditions).orderBy('project_limit.id').execute();
}

export async function getLimit(db: Reader, id: string): Promise<LimitRow | undefined> {
  return await limitQuery(db).where('project_limit.id', '=', id).executeTakeFirst();
}

/** Removes the limits that match; those of a registered limit, a project or a domain. */
export async function removeLimits(
  tx: Tx,
  of: Partial<Pick<ProjectLimitRow, 'registered_limit_id' | 'project_id' | 'domain_id'>>,
): Promise<void> {
  let query = tx.deleteFrom('project_limit');
  for (const [column, value] of Object.entries(of)) query = query.where(column as 'project_id', '=', value);
  await query.execute();
}

function limitQuery(db: Reader) {
  return db
    .selectFrom('project_limit')
    .innerJoin('registered_limit', 'registered_limit.id', 'project_limit.registered_limit_id')
    .selectAll('project_limit')
    .select(['registered_limit.service_id', 'registered_limit.region_id', 'registered_limit.resource_name']);
}

function qualified(column: string): 'project_limit.id' {
  const registered = ['service_id', 'region_id', 'resource_name'].includes(column);
  return `${registered ? 'registered_limit' : 'project_limit'}.${column}` as 'project_limit.id';
}
