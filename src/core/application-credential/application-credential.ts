import { randomBytes } from 'node:crypto';
import {
  type AccessRuleRow,
  type ApplicationCredentialRow,
  accessRules,
  applicationCredentials,
  removeUnusedAccessRules,
} from '../../store/identity/delegations.js';
import { findRole, roles } from '../../store/identity/roles.js';
import { nowText, type Reader, type Tx } from '../../store/store.js';
import type { App } from '../app.js';
import type { Context } from '../context.js';
import { badRequest, forbidden } from '../errors.js';
import { hashPassword } from '../identity/passwords.js';
import { missing, newId, storing } from '../identity/rows.js';
import { refuseMore } from '../identity/user-limit.js';
import { refuseRestricted, refuseTrustOrOauth } from '../token/guards.js';
import { expiryOf } from '../token/times.js';

/** Access rules of a user beyond which those go that no application credential uses any more. */
const MOST_ACCESS_RULES = 200;

/** What clients say about a new application credential. */
export interface ApplicationCredentialBody {
  readonly name: string;
  readonly description?: string | null;
  readonly secret?: string | null;
  readonly expires_at?: string | null;
  readonly roles?: readonly { readonly id?: string; readonly name?: string }[];
  readonly unrestricted?: boolean;
  readonly access_rules?: readonly {
    readonly id?: string;
    readonly service?: string;
    readonly method?: string;
    readonly path?: string;
  }[];
}

/**
 * Makes a credential with which programs act as the caller in the project of the caller's token, with no more than the
 * caller's roles there. The secret is in the result and nowhere else.
 */
export async function createApplicationCredential(
  app: App,
  ctx: Context,
  body: ApplicationCredentialBody,
): Promise<{ row: ApplicationCredentialRow; secret: string }> {
  refuseTrustOrOauth(ctx, 'application credentials');
  refuseRestricted(ctx, 'additional application credentials.');
  if (!ctx.token.project) {
    throw badRequest('An application credential needs a token that is scoped to a project.');
  }
  const secret = body.secret ?? randomBytes(64).toString('base64url');
  const secretHash = await hashPassword(secret);
  const expiresAt = expiryOf(body.expires_at);
  const row = await storing(
    app,
    'application credential',
    async (tx) => {
      await refuseMore(
        tx,
        'application_credential',
        ctx.userId,
        app.config.application_credential_user_limit,
      );
      const row: ApplicationCredentialRow = {
        id: newId(),
        user_id: ctx.userId,
        project_id: ctx.projectId,
        name: body.name,
        description: body.description ?? null,
        secret_hash: secretHash,
        roles: JSON.stringify(await roleIds(tx, ctx, body.roles)),
        access_rules: body.access_rules
          ? JSON.stringify(await ruleIds(tx, ctx.userId, body.access_rules))
          : null,
        unrestricted: Number(body.unrestricted ?? false),
        expires_at: expiresAt,
        created_at: nowText(),
      };
      await applicationCredentials.insert(tx, row);
      return row;
    },
    { aside: true },
  );
  return { row, secret };
}

/** A credential of a user; 404 for those of others. */
export async function getApplicationCredential(
  db: Reader,
  userId: string,
  id: string,
): Promise<ApplicationCredentialRow> {
  const row = await applicationCredentials.get(db, id);
  if (row?.user_id !== userId) throw missing('application credential', id);
  return row;
}

/** Deletes a credential: its tokens end with it. */
export async function deleteApplicationCredential(
  app: App,
  ctx: Context,
  userId: string,
  id: string,
): Promise<void> {
  refuseTrustOrOauth(ctx, 'application credentials');
  refuseRestricted(ctx, 'additional application credentials.');
  await app.identity.write(async (tx) => {
    await getApplicationCredential(tx, userId, id);
    await applicationCredentials.remove(tx, id);
    // rules stay for the next credential, but nobody fills the database with them
    const rules = await accessRules.list(tx, { user_id: userId }, { limit: MOST_ACCESS_RULES + 1 });
    if (rules.length > MOST_ACCESS_RULES) await removeUnusedAccessRules(tx, userId);
  });
}

export async function getAccessRule(db: Reader, userId: string, id: string): Promise<AccessRuleRow> {
  const row = await accessRules.get(db, id);
  if (row?.user_id !== userId) throw missing('access rule', id);
  return row;
}

/** Deletes an access rule that no application credential uses. */
export async function deleteAccessRule(app: App, ctx: Context, userId: string, id: string): Promise<void> {
  refuseTrustOrOauth(ctx, 'application credentials');
  await app.identity.write(async (tx) => {
    await getAccessRule(tx, userId, id);
    for (const credential of await applicationCredentials.list(tx, { user_id: userId })) {
      const used = JSON.parse(credential.access_rules ?? '[]') as string[];
      if (used.includes(id)) {
        throw forbidden(`Access rule ${id} is in use by application credential ${credential.id}.`);
      }
    }
    await accessRules.remove(tx, id);
  });
}

/** The roles of the credential: those asked for, which the caller must have, else all of the caller's. */
async function roleIds(tx: Tx, ctx: Context, asked: ApplicationCredentialBody['roles']): Promise<string[]> {
  const own = ctx.token.roles.map((role) => role.id);
  if (!asked?.length) return own;
  const ids: string[] = [];
  for (const { id, name } of asked) {
    const role = id !== undefined ? await roles.get(tx, id) : await findRole(tx, name ?? '');
    if (!role) throw missing('role', id ?? name ?? '');
    if (!own.includes(role.id)) {
      throw badRequest(
        'Invalid application credential: Cannot create an application credential with unassigned role',
      );
    }
    ids.push(role.id);
  }
  return [...new Set(ids)];
}

/** Ids of the rules, which are made when the user has none like them. */
async function ruleIds(
  tx: Tx,
  userId: string,
  rules: NonNullable<ApplicationCredentialBody['access_rules']>,
): Promise<string[]> {
  const ids: string[] = [];
  for (const { id, service, method, path } of rules) {
    if (id !== undefined) {
      ids.push((await getAccessRule(tx, userId, id)).id);
      continue;
    }
    if (!service || !method || !path) {
      throw badRequest('An access rule needs an id, or service, method and path.');
    }
    const values = { user_id: userId, service, method, path };
    const [found] = await accessRules.list(tx, values);
    const row = found ?? { id: newId(), ...values };
    if (!found) await accessRules.insert(tx, row);
    ids.push(row.id);
  }
  // one that comes twice counts once
  return [...new Set(ids)];
}
