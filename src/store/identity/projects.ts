import type { Selectable } from 'kysely';
import type { Reader, Tx } from '../store.js';
import type { ProjectTable } from '../tables/identity.js';
import { idRows } from './table.js';

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

/** Every project below the given one. */
export async function descendants(db: Reader, id: string): Promise<ProjectRow[]> {
  const found: ProjectRow[] = [];
  let level = [id];
  while (level.length) {
    const children = await projects.list(db, { parent_id: level });
    found.push(...children);
    level = children.map((child) => child.id);
  }
  return found;
}

/** Tags of each of the projects. */
export async function tagsOf(db: Reader, ids: readonly string[]): Promise<Map<string, string[]>> {
  const tags = new Map<string, string[]>(ids.map((id) => [id, []]));
  if (ids.length === 0) return tags;
  const rows = await db
    .selectFrom('project_tag')
    .selectAll()
    .where('project_id', 'in', ids)
    .orderBy('name')
    .execute();
  for (const row of rows) tags.get(row.project_id)?.push(row.name);
  return tags;
}

/** Makes the project have exactly these tags. */
export async function setTags(tx: Tx, projectId: string, names: readonly string[]): Promise<void> {
  await tx.deleteFrom('project_tag').where('project_id', '=', projectId).execute();
  const rows = [...new Set(names)].map((name) => ({ project_id: projectId, name }));
  if (rows.length) await tx.insertInto('project_tag').values(rows).execute();
}
