import { findServer, type ServerRow, takeServer } from '../../store/compute/server.js';
import type { Reader, Tx } from '../../store/store.js';
import type { Context } from '../context.js';
import { type MaruError, notFound } from '../errors.js';

/** A server that the caller may see; 404 for others', as if they did not exist. */
export async function visibleServer(db: Reader, ctx: Context, id: string): Promise<ServerRow> {
  return seen(ctx, id, await findServer(db, id));
}

/** The same inside a transaction that is going to change it: nobody else does until it ends. */
export async function ownServer(tx: Tx, ctx: Context, id: string): Promise<ServerRow> {
  // looked at before it is taken: a stranger's request must not write
  seen(ctx, id, await findServer(tx, id));
  return seen(ctx, id, await takeServer(tx, id));
}

export function serverNotFound(id: string): MaruError {
  return notFound(`Instance ${id} could not be found.`);
}

function seen(ctx: Context, id: string, server: ServerRow | undefined): ServerRow {
  if (!server || !ctx.reaches(server.project_id)) throw serverNotFound(id);
  return server;
}
