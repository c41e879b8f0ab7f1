import type { Reader, Tx } from './store.js';

/** Limits stored for a project and service, by resource; what is absent has its default. */
export async function readLimits(
  db: Reader,
  projectId: string,
  service: string,
): Promise<Record<string, number>> {
  const rows = await db
    .selectFrom('quota')
    .select(['resource', 'hard_limit'])
    .where('project_id', '=', projectId)
    .where('service', '=', service)
    .execute();
  return Object.fromEntries(rows.map((row) => [row.resource, row.hard_limit]));
}

/** Stores limits of a project, resource by resource; others stay. */
export async function writeLimits(
  tx: Tx,
  projectId: string,
  service: string,
  limits: Readonly<Record<string, number>>,
): Promise<void> {
  const rows = Object.entries(limits).map(([resource, hard_limit]) => ({
    project_id: projectId,
    service,
    resource,
    hard_limit,
  }));
  if (rows.length === 0) return;
  await tx
    .insertInto('quota')
    .values(rows)
    .onConflict((c) =>
      c
        .columns(['project_id', 'service', 'resource'])
        .doUpdateSet((eb) => ({ hard_limit: eb.ref('excluded.hard_limit') })),
    )
    .execute();
}

/** Forgets a project's limits of a service: the defaults hold again. */
export async function deleteLimits(tx: Tx, projectId: string, service: string): Promise<void> {
  await tx.deleteFrom('quota').where('project_id', '=', projectId).where('service', '=', service).execute();
}

/** Projects that have limits of their own in a service. */
export async function projectsWithLimits(db: Reader, service: string): Promise<string[]> {
  const rows = await db
    .selectFrom('quota')
    .select('project_id')
    .distinct()
    .where('service', '=', service)
    .orderBy('project_id')
    .execute();
  return rows.map((row) => row.project_id);
}
