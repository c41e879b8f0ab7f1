import { oneOf } from '../one-of.js';
import type { Reader, Tx } from '../store.js';
import type { NetworkTables } from '../tables/network.js';
import { insertRow, type NewRow, type ResourceRow } from './rows.js';

type Group = NetworkTables['security_group'];
type Rule = NetworkTables['security_group_rule'];

export async function defaultGroup(db: Reader, projectId: string): Promise<Group | null> {
  const row = await db
    .selectFrom('security_group')
    .selectAll()
    .where('project_id', '=', projectId)
    .where('name', '=', 'default')
    .executeTakeFirst();
  return row ?? null;
}

export async function groupsOfProject(db: Reader, projectId: string): Promise<Group[]> {
  return await db.selectFrom('security_group').selectAll().where('project_id', '=', projectId).execute();
}

export async function rulesOfGroups(db: Reader, groupIds: readonly string[]): Promise<Rule[]> {
  if (groupIds.length === 0) return [];
  return await db
    .selectFrom('security_group_rule')
    .selectAll()
    .where(oneOf(db, 'security_group_id', groupIds))
    .orderBy('created_at')
    .orderBy('id')
    .execute();
}

/** Adds a rule; null when the group has the same one. */
export async function insertRule(
  tx: Tx,
  rule: NewRow<'security_group_rule'>,
): Promise<ResourceRow<'security_group_rule'> | null> {
  return await insertRow(tx, 'security_group_rule', rule);
}

/** Rules that name a group as their remote. */
export async function rulesWithRemote(db: Reader, groupId: string): Promise<Rule[]> {
  return await db
    .selectFrom('security_group_rule')
    .selectAll()
    .where('remote_group_id', '=', groupId)
    .execute();
}

/** Ports that use a group. */
export async function countGroupPorts(db: Reader, groupId: string): Promise<number> {
  const row = await db
    .selectFrom('port_security_group')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .where('security_group_id', '=', groupId)
    .executeTakeFirstOrThrow();
  return Number(row.n);
}
