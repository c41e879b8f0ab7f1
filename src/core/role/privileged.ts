import { hasRoleBeyond, roles } from '../../store/identity/roles.js';
import type { Reader } from '../../store/store.js';
import type { ActorType } from '../../store/tables/identity.js';
import { closure, impliedBy } from './effective.js';

/** Roles that reach beyond the domain in which they are granted. Rules compare names without regard to case. */
const BEYOND = ['admin', 'service'];

/**
 * Whether a user or group may do more, in any place, than the manager of its domain can grant: it has `admin` or `service`
 * somewhere, or a role that implies one, or a role on the system. Managers who could set such a user's password, or join
 * such a group, would have that right themselves.
 */
export async function isPrivileged(db: Reader, type: ActorType, id: string): Promise<boolean> {
  return await hasRoleBeyond(db, { type, id }, await rolesBeyond(db));
}

async function rolesBeyond(db: Reader): Promise<string[]> {
  const all = await roles.list(db);
  const implied = await impliedBy(db);
  const beyond = new Set(
    all
      .filter(({ name, domain_id }) => !domain_id && BEYOND.includes(name.toLowerCase()))
      .map(({ id }) => id),
  );
  return all
    .filter((role) => [...closure([role.id], implied)].some((id) => beyond.has(id)))
    .map(({ id }) => id);
}
