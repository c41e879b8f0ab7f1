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
    .where('security_group_id', 'in', [...groupIds])
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

/** The rule of a group that equals another in what it allows. */
export async function sameRule(db: Reader, rule: NewRow<'security_group_rule'>): Promise<Rule | null> {
  let query = db
    .selectFrom('security_group_rule')
    .selectAll()
    .where('security_group_id', '=', rule.security_group_id)
    .where('direction', '=', rule.direction)
    .where('ethertype', '=', rule.ethertype);
  for (const column of [
    'protocol',
    'port_range_min',
    'port_range_max',
    'remote_ip_prefix',
    'remote_group_id',
  ] as const) {
    const value = rule[column];
    query = value === null ? query.where(column, 'is', null) : query.where(column, '=', value);
  }
  return (await query.executeTakeFirst()) ?? null;
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
