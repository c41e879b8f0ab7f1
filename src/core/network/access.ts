import { listRows } from '../../store/network/list.js';
import type { ResourceRow, ResourceTable } from '../../store/network/rows.js';
import type { Reader } from '../../store/store.js';
import type { Context } from '../context.js';
import type { MaruError } from '../errors.js';

/** A row that the caller may see; else what `missing` makes of its id (404): whether it exists is nobody else's business. */
export async function findVisible<T extends ResourceTable>(
  db: Reader,
  ctx: Context,
  table: T,
  id: string,
  missing: (id: string) => MaruError,
): Promise<ResourceRow<T>> {
  const [row] = await listRows(db, table, { visibleTo: viewOf(ctx), id });
  if (!row) throw missing(id);
  return row;
}

/** Whose view a caller has: an administrator's (null) or a project's. */
export function viewOf(ctx: Context): string | null {
  return ctx.isAdmin ? null : ctx.projectId;
}

/** True when the caller owns the row or is an administrator. */
export function owns(ctx: Context, row: { readonly project_id: string }): boolean {
  return ctx.isAdmin || (row.project_id !== '' && row.project_id === ctx.projectId);
}
