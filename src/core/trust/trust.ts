import { type TrustRow, trusts } from '../../store/identity/delegations.js';
import { projects } from '../../store/identity/projects.js';
import { findRole, type RoleRow, roles } from '../../store/identity/roles.js';
import { users } from '../../store/identity/users.js';
import { nowText, type Reader, type Tx } from '../../store/store.js';
import type { App } from '../app.js';
import { refuseDelegated } from '../application-credential/application-credential.js';
import type { Context } from '../context.js';
import { badRequest, forbidden } from '../errors.js';
import { missing, mustGet, newId } from '../identity/rows.js';
import { effectiveRoles } from '../role/effective.js';
import { expiryOf, hasExpired } from '../token/times.js';

/** What clients say about a new trust. */
export interface TrustBody {
  readonly trustor_user_id: string;
  readonly trustee_user_id: string;
  readonly project_id?: string | null;
  readonly impersonation: boolean;
  readonly expires_at?: string | null;
  readonly remaining_uses?: number | null;
  readonly roles?: readonly { readonly id?: string; readonly name?: string }[];
}

/** Lets a trustee act in a project with some of the trustor's roles. Only the trustor can make it. */
export async function createTrust(app: App, ctx: Context, body: TrustBody): Promise<TrustRow> {
  refuseDelegated(ctx);
  if (body.trustor_user_id !== ctx.userId) {
    throw forbidden('Only the trustor can create a trust.');
  }
  const expires_at = expiryOf(body.expires_at);
  return await app.identity.write(async (tx) => {
    await mustGet(users, tx, body.trustee_user_id, 'user');
    const entrusted = await entrustedRoles(tx, body);
    const row: TrustRow = {
      id: newId(),
      trustor_user_id: body.trustor_user_id,
      trustee_user_id: body.trustee_user_id,
      project_id: body.project_id ?? null,
      impersonation: Number(body.impersonation),
      roles: JSON.stringify(entrusted),
      expires_at,
      remaining_uses: body.remaining_uses ?? null,
      deleted_at: null,
    };
    await trusts.insert(tx, row);
    return row;
  });
}

/** A trust that is in force; 404 once it is deleted or has expired. */
export async function getTrust(db: Reader, id: string): Promise<TrustRow> {
  const row = await trusts.get(db, id);
  if (!row || row.deleted_at !== null || hasExpired(row.expires_at)) throw missing('trust', id);
  return row;
}

/** Trusts in force, of all or of one trustor or trustee. */
export async function listTrusts(
  db: Reader,
  of: { readonly trustor_user_id?: string; readonly trustee_user_id?: string },
): Promise<TrustRow[]> {
  const rows = await trusts.list(db, { ...of });
  return rows.filter((row) => row.deleted_at === null && !hasExpired(row.expires_at));
}

/** Ends a trust and its tokens. */
export async function deleteTrust(app: App, id: string): Promise<void> {
  await app.identity.write(async (tx) => {
    await getTrust(tx, id);
    await trusts.update(tx, id, { deleted_at: nowText() });
  });
}

/** Roles that a trust hands over. */
export async function trustRoles(db: Reader, trust: TrustRow): Promise<RoleRow[]> {
  return await roles.list(db, { id: JSON.parse(trust.roles) as string[] });
}

async function entrustedRoles(tx: Tx, body: TrustBody): Promise<string[]> {
  if (!body.project_id) {
    if (body.roles?.length) throw badRequest('Roles can be entrusted in a project only.');
    return [];
  }
  if (!body.roles?.length) throw forbidden('At least one role should be specified.');
  const project = await mustGet(projects, tx, body.project_id, 'project');
  const own = await effectiveRoles(tx, body.trustor_user_id, { kind: 'project', project });
  const ids: string[] = [];
  for (const { id, name } of body.roles) {
    const role = id !== undefined ? await roles.get(tx, id) : await findRole(tx, name ?? '');
    if (!role) throw missing('role', id ?? name ?? '');
    if (!own.some((has) => has.id === role.id)) {
      throw forbidden(`The trustor does not have role ${role.id} on project ${project.id}.`);
    }
    ids.push(role.id);
  }
  return ids;
}
