import type { Selectable } from 'kysely';
import type { Reader, Tx } from '../store.js';
import type { ServerActionTable } from '../tables/compute.js';

export type ServerActionRow = Selectable<ServerActionTable>;

/** Records what is being done to a server; the same request may do several things, of which the last is kept. */
export async function insertServerAction(tx: Tx, row: ServerActionRow): Promise<void> {
  const { server_id: _server, request_id: _request, ...values } = row;
  await tx
    .insertInto('server_action')
    .values(row)
    .onConflict((c) => c.columns(['server_id', 'request_id']).doUpdateSet(values))
    .execute();
}

export async function finishServerAction(
  tx: Tx,
  serverId: string,
  requestId: string,
  values: Pick<ServerActionRow, 'finish_time' | 'updated_at' | 'message' | 'result' | 'details' | 'host'>,
): Promise<void> {
  await tx
    .updateTable('server_action')
    .set(values)
    .where('server_id', '=', serverId)
    .where('request_id', '=', requestId)
    .execute();
}

/** Newest first. */
export async function listServerActions(db: Reader, serverId: string): Promise<ServerActionRow[]> {
  return await db
    .selectFrom('server_action')
    .selectAll()
    .where('server_id', '=', serverId)
    .orderBy('start_time', 'desc')
    .orderBy('request_id', 'desc')
    .execute();
}

export async function findServerAction(
  db: Reader,
  serverId: string,
  requestId: string,
): Promise<ServerActionRow | undefined> {
  return await db
    .selectFrom('server_action')
    .selectAll()
    .where('server_id', '=', serverId)
    .where('request_id', '=', requestId)
    .executeTakeFirst();
}
