import { hasGrantBeyond, type RoleRow, roles } from '../../store/identity/roles.js';
import { groups, users } from '../../store/identity/users.js';
import type { Reader } from '../../store/store.js';
import type { ActorType } from '../../store/tables/identity.js';
import { closure, impliedBy } from './effective.js';

/** The roles of the cloud that the manager of a domain grants, by their names. */
const GRANTED_BY_MANAGERS = ['manager', 'member', 'reader'];

/**
 * Whether a user or group may do more, in any place, than the manager of its domain can grant: a role on the system or in
 * another domain, or one that reaches further than manager, member and reader do. Managers who could set such a user's
 * password, or join such a group, would have that right themselves. False for one that does not exist.
 */
export async function isPrivileged(db: Reader, type: ActorType, id: string): Promise<boolean> {
  const row = await (type === 'user' ? users : groups).get(db, id);
  if (!row) return false;
  return await hasGrantBeyond(db, { type, id }, row.domain_id, await rolesWithin(db, row.domain_id));
}

/**
 * Ids of the roles that reach no further than what the manager of a domain grants. Rules may give any other role of the
 * cloud any power, so these are known by what they are, not by what they are not.
 */
async function rolesWithin(db: Reader, domainId: string): Promise<string[]> {
  const all = await roles.list(db);
  const implied = await impliedBy(db);
  const isGranted = (role: RoleRow) => role.domain_id === '' && GRANTED_BY_MANAGERS.includes(role.name);
  // what these imply comes with them, so a manager grants that too
  const within = new Set(
    closure(
      all.filter(isGranted).map(({ id }) => id),
      implied,
    ),
  );
  const ofDomain = new Set(all.filter((role) => role.domain_id === domainId).map(({ id }) => id));
  for (const id of ofDomain) {
    if ([...closure([id], implied)].every((other) => within.has(other) || ofDomain.has(other)))
      within.add(id);
  }
  return [...within];
}
