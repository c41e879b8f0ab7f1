import type { Selectable } from 'kysely';
import { oneOf } from '../one-of.js';
import type { Reader, Tx } from '../store.js';
import type { ActorType, ImpliedRoleTable, RoleAssignmentTable, RoleTable } from '../tables/identity.js';
import { FEW, idRows } from './table.js';

export type RoleRow = Selectable<RoleTable>;
export type AssignmentRow = Selectable<RoleAssignmentTable>;
export type ImpliedRoleRow = Selectable<ImpliedRoleTable>;

export const roles = idRows('role');

/** A role by name: of the cloud when the domain id is empty. */
export async function findRole(db: Reader, name: string, domainId = ''): Promise<RoleRow | undefined> {
  return await db
    .selectFrom('role')
    .selectAll()
    .where('domain_id', '=', domainId)
    .where('name', '=', name)
    .executeTakeFirst();
}

/** Every implication, or those of one prior role. */
export async function implications(db: Reader, priorRoleId?: string): Promise<ImpliedRoleRow[]> {
  const query = db.selectFrom('implied_role').selectAll().orderBy('prior_role_id').orderBy('implied_role_id');
  return await (priorRoleId === undefined ? query : query.where('prior_role_id', '=', priorRoleId)).execute();
}

export async function addImplication(tx: Tx, prior: string, implied: string): Promise<void> {
  await tx
    .insertInto('implied_role')
    .values({ prior_role_id: prior, implied_role_id: implied })
    .onConflict((c) => c.doNothing())
    .execute();
}

/** Removes an implication; false when there was none. */
export async function removeImplication(tx: Tx, prior: string, implied: string): Promise<boolean> {
  const result = await tx
    .deleteFrom('implied_role')
    .where('prior_role_id', '=', prior)
    .where('implied_role_id', '=', implied)
    .executeTakeFirst();
  return result.numDeletedRows > 0n;
}

/**
 * Whether a user (directly or by a group) or a group has a grant outside of a domain (the system is outside of each), or of
 * a role that is not one of the given.
 */
export async function hasGrantBeyond(
  db: Reader,
  actor: { readonly type: ActorType; readonly id: string },
  domainId: string,
  roleIds: readonly string[],
): Promise<boolean> {
  const found = await db
    .selectFrom('role_assignment')
    .select('role_id')
    .where((eb) => {
      const own = eb.and([eb('actor_type', '=', actor.type), eb('actor_id', '=', actor.id)]);
      const groups = eb.selectFrom('group_member').select('group_id').where('user_id', '=', actor.id);
      if (actor.type === 'group') return own;
      return eb.or([own, eb.and([eb('actor_type', '=', 'group'), eb('actor_id', 'in', groups)])]);
    })
    .where((eb) =>
      eb.or([
        eb('target_type', '=', 'system'),
        eb('target_id', 'not in', placesInDomain(db, domainId)),
        // no id is empty: an empty list would be no SQL
        eb('role_id', 'not in', ['', ...roleIds]),
      ]),
    )
    .limit(1)
    .executeTakeFirst();
  return found !== undefined;
}

/** Ids of a domain and of the projects in it. */
function placesInDomain(db: Reader, domainId: string) {
  return db
    .selectFrom('project')
    .select('id')
    .where((eb) => eb.or([eb('domain_id', '=', domainId), eb('id', '=', domainId)]));
}

/** Where a role may be granted. */
export type GrantPlace = Pick<AssignmentRow, 'target_type' | 'target_id' | 'inherited'>;

/** Ids of the roles that a user has on the places, directly or by a group: one statement, since every first token needs it. */
export async function grantedRoleIds(
  db: Reader,
  userId: string,
  places: readonly GrantPlace[],
): Promise<string[]> {
  const ids = places.map((place) => place.target_id);
  const columns = ['role_id', 'target_type', 'target_id', 'inherited'] as const;
  const rows = await db
    .selectFrom('role_assignment')
    .select(columns)
    .where('actor_type', '=', 'user')
    .where('actor_id', '=', userId)
    .where('target_id', 'in', ids)
    .unionAll((eb) =>
      eb
        .selectFrom('role_assignment')
        .select(columns)
        .where('actor_type', '=', 'group')
        .where(
          'actor_id',
          'in',
          eb.selectFrom('group_member').select('group_id').where('user_id', '=', userId),
        )
        .where('target_id', 'in', ids),
    )
    .execute();
  const granted = rows.filter((row) =>
    places.some(
      (place) =>
        place.target_type === row.target_type &&
        place.target_id === row.target_id &&
        place.inherited === row.inherited,
    ),
  );
  return [...new Set(granted.map((row) => row.role_id))];
}

/** Removes all that refers to a role which is about to go. */
export async function removeRoleUses(tx: Tx, roleId: string): Promise<void> {
  await tx
    .deleteFrom('implied_role')
    .where((eb) => eb.or([eb('prior_role_id', '=', roleId), eb('implied_role_id', '=', roleId)]))
    .execute();
  await tx.deleteFrom('role_assignment').where('role_id', '=', roleId).execute();
}

/** Columns of an assignment, each with the value it must have or the values of which it must have one. */
export type AssignmentFilter = {
  readonly [K in keyof AssignmentRow]?: AssignmentRow[K] | readonly AssignmentRow[K][];
};

/** The assignments that match; only those on a domain and on the projects in it when `withinDomain` names one. */
export async function listAssignments(
  db: Reader,
  filter: AssignmentFilter = {},
  withinDomain?: string,
): Promise<AssignmentRow[]> {
  let query = db.selectFrom('role_assignment').selectAll();
  if (withinDomain !== undefined) {
    query = query
      .where('target_type', '<>', 'system')
      .where('target_id', 'in', placesInDomain(db, withinDomain));
  }
  for (const [column, value] of Object.entries(filter)) {
    const values = (Array.isArray(value) ? value : [value]) as string[];
    if (values.length === 0) return [];
    // as many as there are projects in a tree: statements can only have so many parameters
    query =
      values.length > FEW
        ? query.where(oneOf(db, column, values))
        : query.where(column as 'actor_id', 'in', values);
  }
  return await query
    .orderBy('target_type')
    .orderBy('target_id')
    .orderBy('actor_type')
    .orderBy('actor_id')
    .orderBy('role_id')
    .orderBy('inherited')
    .execute();
}

export async function addAssignment(tx: Tx, row: AssignmentRow): Promise<void> {
  await tx
    .insertInto('role_assignment')
    .values(row)
    .onConflict((c) => c.doNothing())
    .execute();
}

/** Removes the assignments that match all given columns; returns how many there were. */
export async function removeAssignments(tx: Tx, filter: Partial<AssignmentRow>): Promise<number> {
  let query = tx.deleteFrom('role_assignment');
  for (const [column, value] of Object.entries(filter)) {
    query = query.where(column as 'actor_id', '=', value as string);
  }
  return Number((await query.executeTakeFirst()).numDeletedRows);
}
