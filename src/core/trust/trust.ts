import { type TrustRow, trusts } from '../../store/identity/delegations.js';
import { projects } from '../../store/identity/projects.js';
import { findRole, type RoleRow, roles } from '../../store/identity/roles.js';
import { users } from '../../store/identity/users.js';
import { nowText, type Reader, type Tx } from '../../store/store.js';
import type { App } from '../app.js';
import type { Context } from '../context.js';
import { badRequest, forbidden } from '../errors.js';
import { missing, mustGet, newId } from '../identity/rows.js';
import { refuseMore } from '../identity/user-limit.js';
import { effectiveRoles } from '../role/effective.js';
import { forbiddenAction, refuseApplicationCredential } from '../token/guards.js';
import { expiryOf, hasExpired } from '../token/times.js';
import { isChainGood, isEnded, isOver, trustChain } from './chain.js';
import { checkRedelegation } from './redelegation.js';

/** What clients say about a new trust. */
export interface TrustBody {
  readonly trustor_user_id: string;
  readonly trustee_user_id: string;
  readonly project_id?: string | null;
  readonly impersonation: boolean;
  readonly expires_at?: string | null;
  readonly remaining_uses?: number | null;
  readonly allow_redelegation?: boolean;
  readonly redelegation_count?: number | null;
  readonly roles?: readonly { readonly id?: string; readonly name?: string }[];
}

/**
 * Lets a trustee act in a project with some of the trustor's roles. Only the trustor can make it, or, by a token of a trust
 * that allows redelegation, its trustee. Throws 403, and 404 for roles that the trustor does not have.
 */
export async function createTrust(app: App, ctx: Context, body: TrustBody): Promise<TrustRow> {
  refuseApplicationCredential(ctx, 'trusts.');
  if (body.project_id && !body.roles?.length) throw forbiddenAction('At least one role should be specified');
  if (body.trustor_user_id !== ctx.userId) {
    throw forbiddenAction('The authenticated user should match the trustor');
  }
  if (ctx.token.oauth1) throw forbiddenAction('Redelegation allowed for delegated by trust only');
  const asked = expiryOf(body.expires_at);
  // no token depends on a trust that is new
  return await app.store.tx(async (tx) => {
    await mustGet(users, tx, body.trustee_user_id, 'user');
    await refuseMore(tx, 'trust', body.trustor_user_id, app.config.trust_user_limit);
    const roleIds = await askedRoles(tx, body.roles ?? []);
    const parent = ctx.token.trust ? await getTrust(tx, ctx.token.trust.id) : null;
    const found = await checkRedelegation(tx, app.config, body, { parent, roleIds, expiresAt: asked });
    await mustHaveRoles(tx, found.trustorId, body.project_id ?? null, roleIds);
    const row: TrustRow = {
      id: newId(),
      trustor_user_id: body.trustor_user_id,
      trustee_user_id: body.trustee_user_id,
      project_id: body.project_id ?? null,
      impersonation: Number(body.impersonation),
      roles: JSON.stringify(roleIds),
      expires_at: found.expiresAt,
      remaining_uses: body.remaining_uses ?? null,
      redelegated_trust_id: parent?.id ?? null,
      redelegation_count: found.count,
      deleted_at: null,
    };
    await trusts.insert(tx, row);
    return row;
  });
}

/** A trust that is in force; 404 once it is deleted, used up or has expired, 403 when one that it comes from is over. */
export async function getTrust(db: Reader, id: string): Promise<TrustRow> {
  const row = await trusts.get(db, id);
  if (!row || isOver(row)) throw missing('trust', id);
  if (row.redelegated_trust_id === null) return row;
  const chain = await trustChain(db, row);
  if (!chain) throw missing('trust', id);
  if (!(await isChainGood(db, chain))) throw forbidden('One of the trust agents is disabled or deleted');
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

/** Ends a trust, those that were made of it, and the tokens of all. */
export async function deleteTrust(app: App, ctx: Context, id: string): Promise<void> {
  refuseApplicationCredential(ctx, 'trusts.');
  await app.identity.write(async (tx) => {
    const row = await trusts.get(tx, id);
    if (!row || isEnded(row)) throw missing('trust', id);
    if (!isOwnTrust(ctx, row)) throw forbiddenAction('Trusts of others than the token itself');
    await end(tx, id);
  });
}

/** Which trusts a token has to do with: one of a trust with that and those made by it, one of OAuth1 with none. */
export function isOwnTrust({ token }: Context, trust: TrustRow): boolean {
  if (token.oauth1) return false;
  return !token.trust || token.trust.id === trust.id || token.trust.id === trust.redelegated_trust_id;
}

/** Roles that a trust hands over. */
export async function trustRoles(db: Reader, trust: TrustRow): Promise<RoleRow[]> {
  return await roles.list(db, { id: JSON.parse(trust.roles) as string[] });
}

async function end(tx: Tx, id: string): Promise<void> {
  await trusts.update(tx, id, { deleted_at: nowText() });
  const below = await trusts.list(tx, { redelegated_trust_id: id, deleted_at: null });
  for (const trust of below) await end(tx, trust.id);
}

async function askedRoles(tx: Tx, asked: NonNullable<TrustBody['roles']>): Promise<string[]> {
  const ids: string[] = [];
  for (const { id, name } of asked) {
    if (id === undefined && name === undefined) throw badRequest('A role is named by its id or its name.');
    const role = id !== undefined ? await roles.get(tx, id) : await findRole(tx, name!);
    if (!role) throw missing('role', id ?? name!);
    ids.push(role.id);
  }
  return [...new Set(ids)];
}

async function mustHaveRoles(
  tx: Tx,
  userId: string,
  projectId: string | null,
  roleIds: readonly string[],
): Promise<void> {
  if (projectId === null) {
    if (roleIds[0] !== undefined) throw missing('role', roleIds[0]);
    return;
  }
  const project = await mustGet(projects, tx, projectId, 'project');
  const own = await effectiveRoles(tx, userId, { kind: 'project', project });
  const lacking = roleIds.find((id) => !own.some((role) => role.id === id));
  if (lacking !== undefined) throw missing('role', lacking);
}
