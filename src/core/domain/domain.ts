import { removeDomainConfig } from '../../store/identity/domain-config.js';
import { removeLimits } from '../../store/identity/limits.js';
import { type ProjectRow, projects } from '../../store/identity/projects.js';
import { removeAssignments, removeRoleUses, roles } from '../../store/identity/roles.js';
import { groups, users } from '../../store/identity/users.js';
import type { Tx } from '../../store/store.js';
import type { App } from '../app.js';
import { forbidden } from '../errors.js';
import { removeGroupRow } from '../group/group.js';
import { missing, mustGet, refuseImmutable } from '../identity/rows.js';
import { removeProjectRow } from '../project/project.js';
import { removeUserRow } from '../user/user.js';

/** Deletes a disabled domain with its users, groups, projects and roles. */
export async function deleteDomain(app: App, id: string): Promise<void> {
  await app.identity.write(async (tx) => {
    const row = await mustGet(projects, tx, id, 'domain');
    if (!row.is_domain) throw missing('domain', id);
    await deleteDomainRow(app, tx, row);
  });
}

/** Deletes a disabled domain with its users, groups, projects and roles, in a transaction of the caller. */
export async function deleteDomainRow(app: App, tx: Tx, row: ProjectRow): Promise<void> {
  const { id } = row;
  refuseImmutable(row, 'domain');
  if (row.enabled) throw forbidden('Cannot delete a domain that is enabled, please disable it first.');
  for (const user of await users.list(tx, { domain_id: id })) await removeUserRow(app, tx, user.id);
  for (const group of await groups.list(tx, { domain_id: id })) await removeGroupRow(tx, group.id);
  for (const project of await projects.list(tx, { domain_id: id }))
    await removeProjectRow(app, tx, project.id);
  for (const role of await roles.list(tx, { domain_id: id })) {
    await removeRoleUses(tx, role.id);
    await roles.remove(tx, role.id);
  }
  await removeLimits(tx, { domain_id: id });
  await removeDomainConfig(tx, id);
  await removeAssignments(tx, { target_type: 'domain', target_id: id });
  await removeProjectRow(app, tx, id);
  await app.identity.tokens.revokeAll(tx, 'domain', id);
}
