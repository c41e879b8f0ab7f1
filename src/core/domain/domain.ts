import { removeDomainConfig } from '../../store/identity/domain-config.js';
import { removeDomainContents } from '../../store/identity/domain-contents.js';
import { type ProjectRow, projects } from '../../store/identity/projects.js';
import type { Tx } from '../../store/store.js';
import type { App } from '../app.js';
import { forbidden } from '../errors.js';
import { missing, mustGet, refuseImmutable } from '../identity/rows.js';

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
  const { userIds, projectIds } = await removeDomainContents(tx, id);
  await removeDomainConfig(tx, id);
  await projects.remove(tx, id);
  for (const userId of userIds) await app.identity.tokens.revokeAll(tx, 'user', userId);
  for (const projectId of [...projectIds, id]) await app.identity.tokens.revokeAll(tx, 'project', projectId);
  await app.identity.tokens.revokeAll(tx, 'domain', id);
}
