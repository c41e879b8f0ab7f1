import type { Tx } from '../store.js';

/** Whose tokens end with a domain. */
export interface DomainContents {
  readonly userIds: readonly string[];
  readonly projectIds: readonly string[];
}

/**
 * Removes the users, groups, projects and roles of a domain with all that refers to them, and what refers to the domain itself, but
 * not the domain. The number of statements is the same however many there are, since nothing else writes meanwhile on SQLite.
 */
export async function removeDomainContents(tx: Tx, domainId: string): Promise<DomainContents> {
  const { users, groups, projects, places, roles } = within(tx, domainId);
  const userIds = (await users.execute()).map(({ id }) => id);
  const projectIds = (await projects.execute()).map(({ id }) => id);

  await tx
    .deleteFrom('role_assignment')
    .where((eb) =>
      eb.or([
        eb.and([eb('actor_type', '=', 'user'), eb('actor_id', 'in', users)]),
        eb.and([eb('actor_type', '=', 'group'), eb('actor_id', 'in', groups)]),
        eb.and([eb('target_type', '<>', 'system'), eb('target_id', 'in', places)]),
        eb('role_id', 'in', roles),
      ]),
    )
    .execute();
  await tx
    .deleteFrom('group_member')
    .where((eb) => eb.or([eb('user_id', 'in', users), eb('group_id', 'in', groups)]))
    .execute();
  await tx
    .deleteFrom('implied_role')
    .where((eb) => eb.or([eb('prior_role_id', 'in', roles), eb('implied_role_id', 'in', roles)]))
    .execute();
  for (const table of [
    'application_credential',
    'credential',
    'oauth_access_token',
    'oauth_request_token',
  ] as const) {
    await tx
      .deleteFrom(table)
      .where((eb) => eb.or([eb('user_id', 'in', users), eb('project_id', 'in', places)]))
      .execute();
  }
  await tx
    .deleteFrom('trust')
    .where((eb) =>
      eb.or([
        eb('trustor_user_id', 'in', users),
        eb('trustee_user_id', 'in', users),
        eb('project_id', 'in', places),
      ]),
    )
    .execute();
  for (const table of ['access_rule', 'user_login', 'password_history', 'totp_use'] as const) {
    await tx.deleteFrom(table).where('user_id', 'in', users).execute();
  }
  await tx
    .deleteFrom('project_limit')
    .where((eb) => eb.or([eb('domain_id', '=', domainId), eb('project_id', 'in', places)]))
    .execute();
  for (const table of ['project_endpoint', 'project_tag'] as const) {
    await tx.deleteFrom(table).where('project_id', 'in', places).execute();
  }
  await tx
    .updateTable('user')
    .set({ default_project_id: null })
    .where('default_project_id', 'in', places)
    .execute();
  for (const table of ['user', 'group', 'role', 'project'] as const) {
    await tx.deleteFrom(table).where('domain_id', '=', domainId).execute();
  }
  return { userIds, projectIds };
}

/** Ids of what is in a domain; of places, also its own. */
function within(tx: Tx, domainId: string) {
  const projects = tx.selectFrom('project').select('id').where('domain_id', '=', domainId);
  return {
    users: tx.selectFrom('user').select('id').where('domain_id', '=', domainId),
    groups: tx.selectFrom('group').select('id').where('domain_id', '=', domainId),
    roles: tx.selectFrom('role').select('id').where('domain_id', '=', domainId),
    projects,
    places: tx
      .selectFrom('project')
      .select('id')
      .where((eb) => eb.or([eb('domain_id', '=', domainId), eb('id', '=', domainId)])),
  };
}
