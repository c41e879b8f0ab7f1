import { listRows } from '../../store/network/list.js';
import type { ResourceRow, ResourceTable } from '../../store/network/rows.js';
import { findRow } from '../../store/network/rows.js';
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
  const row = await findRow(db, table, id);
  if (!row) throw missing(id);
  if (owns(ctx, row)) return row;
  // what others share with the token's project
  const [seen] = await listRows(db, table, { visibleTo: ctx.projectId, id });
  if (!seen) throw missing(id);
  return seen;
}

/** Whose view a caller has: an administrator's (null) or a project's. */
export function viewOf(ctx: Context): string | null {
  return ctx.isAdmin ? null : ctx.projectId;
}

/** True when the caller may do with the row what its owner may: it is its project's, or one that the request reaches. */
export function owns(ctx: Context, row: { readonly project_id: string }): boolean {
  return ctx.reaches(row.project_id);
}
