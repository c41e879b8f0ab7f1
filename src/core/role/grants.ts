import { removeApplicationCredentials } from '../../store/identity/delegations.js';
import { projects } from '../../store/identity/projects.js';
import {
  type AssignmentRow,
  addAssignment,
  listAssignments,
  type RoleRow,
  removeAssignments,
  roles,
} from '../../store/identity/roles.js';
import { groups, users } from '../../store/identity/users.js';
import type { Reader } from '../../store/store.js';
import type { ActorType, TargetType } from '../../store/tables/identity.js';
import type { App } from '../app.js';
import { badRequest, forbidden, notFound } from '../errors.js';
import { missing, mustGet } from '../identity/rows.js';

/** Whose grants on what. */
export interface GrantPlace {
  readonly actor_type: ActorType;
  readonly actor_id: string;
  readonly target_type: TargetType;
  readonly target_id: string;
  readonly inherited: number;
}

/** Grants a role; granting it again changes nothing. */
export async function grantRole(app: App, place: GrantPlace, roleId: string): Promise<void> {
  await app.identity.write(async (tx) => {
    const role = await mustGet(roles, tx, roleId, 'role');
    await checkPlace(tx, place);
    await refuseForeignRole(tx, place, role);
    await addAssignment(tx, { ...place, role_id: roleId });
  });
}

/** Takes a role away: tokens do without it from the next request on. */
export async function revokeRole(app: App, place: GrantPlace, roleId: string): Promise<void> {
  await app.identity.write(async (tx) => {
    await mustGet(roles, tx, roleId, 'role');
    const removed = await removeAssignments(tx, { ...place, role_id: roleId });
    if (removed === 0) throw noGrant(place, roleId);
    if (place.actor_type === 'user' && place.target_type === 'project') {
      await removeApplicationCredentials(tx, place.actor_id, place.target_id);
    }
  });
}

/** 404 unless the role is granted there. */
export async function checkGrant(db: Reader, place: GrantPlace, roleId: string): Promise<void> {
  await mustGet(roles, db, roleId, 'role');
  await checkPlace(db, place);
  const found = await listAssignments(db, { ...place, role_id: roleId });
  if (found.length === 0) throw noGrant(place, roleId);
}

/** Roles granted there directly. */
export async function grantedRoles(db: Reader, place: GrantPlace): Promise<RoleRow[]> {
  await checkPlace(db, place);
  const found: AssignmentRow[] = await listAssignments(db, { ...place });
  return await roles.list(db, { id: found.map((row) => row.role_id) });
}

async function checkPlace(db: Reader, place: GrantPlace): Promise<void> {
  if (place.actor_type === 'user') await mustGet(users, db, place.actor_id, 'user');
  else await mustGet(groups, db, place.actor_id, 'group');
  if (place.target_type === 'system') return;
  const target = await mustGet(projects, db, place.target_id, place.target_type);
  if (place.target_type === 'domain' && !target.is_domain) throw missing('domain', place.target_id);
}

/** A domain's role may be granted only within that domain. */
async function refuseForeignRole(db: Reader, place: GrantPlace, role: RoleRow): Promise<void> {
  if (role.domain_id === '') return;
  if (place.target_type === 'system') {
    throw badRequest(
      `Role ${role.id} is a domain-specific role. Unable to use a domain-specific role in a system assignment.`,
    );
  }
  const target = await projects.get(db, place.target_id);
  const domainId = target?.is_domain ? target.id : target?.domain_id;
  if (domainId === role.domain_id) return;
  throw forbidden(
    `${place.target_type === 'domain' ? 'Domain' : 'Project'} ${place.target_id} must be in the same domain as the role ${role.id} being assigned.`,
  );
}

function noGrant(place: GrantPlace, roleId: string) {
  return notFound(
    `Could not find role assignment with role: ${roleId}, user or group: ${place.actor_id}, project, domain, or system: ${place.target_id}.`,
  );
}
