import { type Selectable, sql } from 'kysely';
import { oneOf } from '../one-of.js';
import type { Reader, Tx } from '../store.js';
import type { ProjectTable } from '../tables/identity.js';
import { FEW, idRows, type ListOptions, paged, resembling } from './table.js';

export type ProjectRow = Selectable<ProjectTable>;

/** Projects and domains. */
export const projects = idRows('project');

/** A project by its name in a domain; a domain when the domain id is empty. */
export async function findProject(
  db: Reader,
  domainId: string,
  name: string,
): Promise<ProjectRow | undefined> {
  return await db
    .selectFrom('project')
    .selectAll()
    .where('domain_id', '=', domainId)
    .where('name', '=', name)
    .executeTakeFirst();
}

/** Which tags a project must or must not have. */
export interface TagFilter {
  readonly all?: readonly string[];
  readonly any?: readonly string[];
  readonly notAll?: readonly string[];
  readonly notAny?: readonly string[];
}

/** Projects whose columns have the given values (or one of several) and whose tags are as wanted. */
export async function listProjects(
  db: Reader,
  filters: Readonly<Record<string, string | number | readonly string[]>>,
  options: ListOptions = {},
  tags: TagFilter = {},
): Promise<ProjectRow[]> {
  let query = db.selectFrom('project').selectAll();
  for (const [column, value] of Object.entries(filters)) {
    const values = (Array.isArray(value) ? value : [value]) as string[];
    if (values.length === 0) return [];
    query =
      values.length > FEW
        ? query.where(oneOf(db, column, values))
        : query.where(column as 'id', 'in', values);
  }
  const having = (names: readonly string[]) => {
    const distinct = [...new Set(names)];
    return sql<number>`(select count(*) from project_tag where project_tag.project_id = project.id and project_tag.name in (${sql.join(distinct)}))`;
  };
  const distinct = (names: readonly string[]) => new Set(names).size;
  if (tags.all) query = query.where(having(tags.all), '=', distinct(tags.all));
  if (tags.any) query = query.where(having(tags.any), '>', 0);
  if (tags.notAll) query = query.where(having(tags.notAll), '<', distinct(tags.notAll));
  if (tags.notAny) query = query.where(having(tags.notAny), '=', 0);
  return await paged(resembling(query, options.inexact ?? []), options).execute();
}

/** The project's parents, nearest first; the domain is the last when the chain is whole. */
export async function ancestors(db: Reader, project: ProjectRow): Promise<ProjectRow[]> {
  const found: ProjectRow[] = [];
  let parentId = project.parent_id;
  while (parentId !== null && found.length < 32) {
    const parent = await projects.get(db, parentId);
    if (!parent) break;
    found.push(parent);
    parentId = parent.parent_id;
  }
  return found;
}

/** Every project below the given one, or below any of several, level by level; below several maybe more than once. */
export async function descendants(db: Reader, of: string | readonly string[]): Promise<ProjectRow[]> {
  const ids = typeof of === 'string' ? [of] : of;
  if (ids.length === 0) return [];
  return await db
    .withRecursive('below', (qc) =>
      qc
        .selectFrom('project')
        .select(['project.id', sql<number>`1`.as('level')])
        .where(oneOf(db, 'project.parent_id', ids))
        .unionAll((eb) =>
          eb
            .selectFrom('project')
            .innerJoin('below', 'below.id', 'project.parent_id')
            .select(['project.id', sql<number>`below.level + 1`.as('level')])
            .where('below.level', '<', 64),
        ),
    )
    .selectFrom('project')
    .innerJoin('below', 'below.id', 'project.id')
    .selectAll('project')
    .orderBy('below.level')
    .orderBy('project.id')
    .execute();
}

/** Tags of each of the projects. */
export async function tagsOf(db: Reader, ids: readonly string[]): Promise<Map<string, string[]>> {
  const tags = new Map<string, string[]>(ids.map((id) => [id, []]));
  if (ids.length === 0) return tags;
  const query = db.selectFrom('project_tag').selectAll().orderBy('name');
  const rows = await query.where(oneOf(db, 'project_id', ids)).execute();
  for (const row of rows) tags.get(row.project_id)?.push(row.name);
  return tags;
}

/** Adds one tag; again does nothing. */
export async function addTag(tx: Tx, projectId: string, name: string): Promise<void> {
  await tx
    .insertInto('project_tag')
    .values({ project_id: projectId, name })
    .onConflict((c) => c.doNothing())
    .execute();
}

/** Removes one tag; false when the project does not have it. */
export async function removeTag(tx: Tx, projectId: string, name: string): Promise<boolean> {
  const result = await tx
    .deleteFrom('project_tag')
    .where('project_id', '=', projectId)
    .where('name', '=', name)
    .executeTakeFirst();
  return result.numDeletedRows > 0n;
}

/** Makes the project have exactly these tags. */
export async function setTags(tx: Tx, projectId: string, names: readonly string[]): Promise<void> {
  await tx.deleteFrom('project_tag').where('project_id', '=', projectId).execute();
  const rows = [...new Set(names)].map((name) => ({ project_id: projectId, name }));
  if (rows.length) await tx.insertInto('project_tag').values(rows).execute();
}
