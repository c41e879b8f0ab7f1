import type { Selectable } from 'kysely';
import type { Reader, Tx } from '../store.js';
import type { ServerGroupTable } from '../tables/compute.js';

export type ServerGroupRow = Selectable<ServerGroupTable>;

export async function findServerGroup(db: Reader, id: string): Promise<ServerGroupRow | undefined> {
  return await db.selectFrom('server_group').selectAll().where('id', '=', id).executeTakeFirst();
}

export async function addGroupMember(tx: Tx, groupId: string, serverId: string): Promise<void> {
  await tx.insertInto('server_group_member').values({ group_id: groupId, server_id: serverId }).execute();
}

/** Hosts of the given servers. */
export async function serverHosts(db: Reader, serverIds: readonly string[]): Promise<string[]> {
  if (serverIds.length === 0) return [];
  const rows = await db
    .selectFrom('server')
    .select('host_id')
    .distinct()
    .where('id', 'in', serverIds)
    .where('host_id', 'is not', null)
    .where('deleted_at', 'is', null)
    .execute();
  return rows.map((row) => row.host_id!);
}

/** A server group's policy, and how many members other than the given server each host has. */
export async function serverGroupHosts(
  db: Reader,
  groupId: string,
  exceptServerId: string | null,
): Promise<{ policy: string; members: Record<string, number>; max_per_host: number } | null> {
  const group = await db
    .selectFrom('server_group')
    .select(['policy', 'rules'])
    .where('id', '=', groupId)
    .executeTakeFirst();
  if (!group) return null;
  let query = db
    .selectFrom('server_group_member')
    .innerJoin('server', 'server.id', 'server_group_member.server_id')
    .select(['server.host_id', (eb) => eb.fn.countAll<number>().as('n')])
    .where('server_group_member.group_id', '=', groupId)
    .where('server.host_id', 'is not', null)
    .where('server.deleted_at', 'is', null);
  if (exceptServerId !== null) query = query.where('server.id', '!=', exceptServerId);
  const rows = await query.groupBy('server.host_id').execute();
  return {
    policy: group.policy,
    members: Object.fromEntries(rows.map((row) => [row.host_id!, Number(row.n)])),
    max_per_host: (JSON.parse(group.rules) as { max_server_per_host?: number }).max_server_per_host ?? 1,
  };
}

/** The group a server belongs to, if any. */
export async function groupOfServer(db: Reader, serverId: string): Promise<string | null> {
  const row = await db
    .selectFrom('server_group_member')
    .select('group_id')
    .where('server_id', '=', serverId)
    .executeTakeFirst();
  return row?.group_id ?? null;
}

export async function countGroups(db: Reader, projectId: string): Promise<number> {
  const row = await db
    .selectFrom('server_group')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .where('project_id', '=', projectId)
    .executeTakeFirstOrThrow();
  return Number(row.n);
}

export async function insertGroup(tx: Tx, row: ServerGroupRow): Promise<void> {
  await tx.insertInto('server_group').values(row).execute();
}

export async function deleteGroupRow(tx: Tx, id: string): Promise<void> {
  await tx.deleteFrom('server_group_member').where('group_id', '=', id).execute();
  await tx.deleteFrom('server_group').where('id', '=', id).execute();
}

/** A project's groups, or everybody's (null), oldest first. */
export async function listGroups(
  db: Reader,
  projectId: string | null,
  page: { readonly limit: number; readonly offset: number },
): Promise<ServerGroupRow[]> {
  let query = db.selectFrom('server_group').selectAll();
  if (projectId !== null) query = query.where('project_id', '=', projectId);
  return await query.orderBy('created_at').orderBy('id').limit(page.limit).offset(page.offset).execute();
}

/** Ids of the servers in each group that are not gone. */
export async function groupMembers(db: Reader, groupIds: readonly string[]): Promise<Map<string, string[]>> {
  const members = new Map<string, string[]>(groupIds.map((id) => [id, []]));
  if (groupIds.length === 0) return members;
  const rows = await db
    .selectFrom('server_group_member')
    .innerJoin('server', 'server.id', 'server_group_member.server_id')
    .select(['server_group_member.group_id', 'server_group_member.server_id'])
    .where('server_group_member.group_id', 'in', groupIds)
    .where('server.deleted_at', 'is', null)
    .orderBy('server.internal_id')
    .execute();
  for (const { group_id, server_id } of rows) members.get(group_id)!.push(server_id);
  return members;
}
