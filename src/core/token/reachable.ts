import { type ProjectRow, projects, tagsOf } from '../../store/identity/projects.js';
import { listAssignments } from '../../store/identity/roles.js';
import { groupIdsOf } from '../../store/identity/users.js';
import type { Reader } from '../../store/store.js';
import { projectsWithRole } from '../role/effective.js';

/** A project or domain with its tags. */
export interface TaggedProject {
  readonly row: ProjectRow;
  readonly tags: readonly string[];
}

/** Enabled projects on which the user has a role: directly, by a group, or inherited. */
export async function reachableProjects(db: Reader, userId: string): Promise<TaggedProject[]> {
  const ids = await projectsWithRole(db, userId);
  const rows = await projects.list(db, { id: [...ids], enabled: 1 });
  const domains = await projects.list(db, { id: [...new Set(rows.map((row) => row.domain_id))] });
  const disabled = new Set(domains.filter((d) => !d.enabled).map((d) => d.id));
  return await tagged(
    db,
    rows.filter((row) => !disabled.has(row.domain_id)),
  );
}

/** Enabled domains on which the user has a role. */
export async function reachableDomains(db: Reader, userId: string): Promise<TaggedProject[]> {
  const grants = (await grantsOf(db, userId)).filter((g) => g.target_type === 'domain' && !g.inherited);
  const ids = [...new Set(grants.map((grant) => grant.target_id))];
  return await tagged(db, await projects.list(db, { id: ids, enabled: 1, is_domain: 1 }));
}

/** Adds the tags of each. */
export async function tagged(db: Reader, rows: readonly ProjectRow[]): Promise<TaggedProject[]> {
  const tags = await tagsOf(
    db,
    rows.map((row) => row.id),
  );
  return rows.map((row) => ({ row, tags: tags.get(row.id) ?? [] }));
}

async function grantsOf(db: Reader, userId: string) {
  const own = await listAssignments(db, { actor_type: 'user', actor_id: userId });
  const groups = await groupIdsOf(db, userId);
  return [...own, ...(await listAssignments(db, { actor_type: 'group', actor_id: groups }))];
}
