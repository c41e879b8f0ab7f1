import { hasRoleBeyond } from '../../store/identity/roles.js';
import type { Reader } from '../../store/store.js';
import type { ActorType } from '../../store/tables/identity.js';

/** Roles that reach beyond the domain in which they are granted. */
const BEYOND = ['admin', 'service'];

/**
 * Whether a user or group may do more, in any place, than the manager of its domain can grant: it has `admin` or `service`
 * somewhere, or a role on the system. Managers who could set such a user's password, or join such a group, would have that
 * right themselves.
 */
export async function isPrivileged(db: Reader, type: ActorType, id: string): Promise<boolean> {
  return await hasRoleBeyond(db, { type, id }, BEYOND);
}
