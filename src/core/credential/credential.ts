import { createHash } from 'node:crypto';
import { type CredentialRow, credentials, removeTotpUse } from '../../store/identity/delegations.js';
import { projects } from '../../store/identity/projects.js';
import { users } from '../../store/identity/users.js';
import type { Reader, Tx } from '../../store/store.js';
import type { App } from '../app.js';
import type { Context } from '../context.js';
import { badRequest } from '../errors.js';
import { mustGet, newId, storing } from '../identity/rows.js';
import { refuseMore } from '../identity/user-limit.js';
import { forbiddenAction, isDelegated, refuseRestricted } from '../token/guards.js';

/** What clients may set on a credential. */
export interface CredentialBody {
  readonly user_id?: string;
  readonly project_id?: string | null;
  readonly type?: string;
  readonly blob?: string;
}

/** A credential with its secret open. */
export type OpenCredential = Omit<CredentialRow, 'blob'> & { readonly blob: string };

/** Attributes of an EC2 credential's blob that bind it to the delegation by which it was made. */
const BINDINGS = ['trust_id', 'app_cred_id', 'access_token_id'] as const;

/**
 * Makes a credential. An EC2 key pair made by a delegated token gives tokens of the same delegation, never more. Throws 409
 * when an EC2 access key is taken.
 */
export async function createCredential(
  app: App,
  ctx: Context,
  body: CredentialBody & { readonly user_id: string },
): Promise<OpenCredential> {
  const isEc2 = isEc2Type(body.type!);
  if (isEc2) refuseRestricted(ctx, 'additional credentials.');
  // any other kind (a TOTP seed) would let its maker in without the delegation
  if (isDelegated(ctx) && (!isEc2 || body.project_id !== ctx.projectId)) throw outOfReach();
  if (isEc2 && !body.project_id) throw badRequest('EC2 credentials need a project_id.');
  const blob = isEc2 ? bound(ctx, parseEc2(body.blob!)) : body.blob!;
  const id = isEc2 ? idOfAccess(parseEc2(blob).access) : newId();
  const row = { id, user_id: body.user_id, project_id: body.project_id ?? null, type: body.type! };
  const sealed = await app.identity.sealing.seal(blob, id);
  await storing(
    app,
    'credential',
    async (tx) => {
      await mustGet(users, tx, body.user_id, 'user');
      await refuseMore(tx, 'credential', body.user_id, app.config.credential_user_limit);
      if (isEc2) await mustGet(projects, tx, body.project_id!, 'project');
      await credentials.insert(tx, { ...row, blob: sealed });
    },
    { aside: true },
  );
  return { ...row, blob };
}

export async function updateCredential(
  app: App,
  ctx: Context,
  id: string,
  body: CredentialBody,
): Promise<OpenCredential> {
  if (isDelegated(ctx)) throw outOfReach();
  const before = await getCredential(app, ctx, id);
  const changed: OpenCredential = {
    id,
    user_id: body.user_id ?? before.user_id,
    project_id: body.project_id === undefined ? before.project_id : body.project_id,
    type: body.type ?? before.type,
    blob: body.blob ?? before.blob,
  };
  if (isEc2Type(before.type) !== isEc2Type(changed.type)) {
    throw badRequest('type can not be updated for credential');
  }
  if (isEc2Type(changed.type)) {
    if (!changed.project_id) throw badRequest('EC2 credentials need a project_id.');
    refuseUnbinding(before, changed.blob);
  }
  const sealed = await app.identity.sealing.seal(changed.blob, id);
  await storing(
    app,
    'credential',
    async (tx) => {
      await mustGet(credentials, tx, id, 'credential');
      await mustGet(users, tx, changed.user_id, 'user');
      await credentials.update(tx, id, { ...changed, blob: sealed });
    },
    { aside: true },
  );
  return changed;
}

/** A credential; delegated tokens see only EC2 key pairs that were made by the same delegation. */
export async function getCredential(app: App, ctx: Context, id: string): Promise<OpenCredential> {
  const row = await mustGet(credentials, app.store.read, id, 'credential');
  const found = await openCredential(app, row);
  if (!mayTouch(ctx, found)) throw outOfReach();
  return found;
}

export async function listCredentials(
  app: App,
  filters: Readonly<Record<string, string | number>>,
): Promise<OpenCredential[]> {
  const rows = await credentials.list(app.store.read, filters);
  const found = await Promise.all(rows.map((row) => openOrSkip(app, row)));
  return found.filter((credential) => credential !== null);
}

export async function deleteCredential(app: App, ctx: Context, id: string): Promise<void> {
  // what cannot be opened any more can still be deleted
  if (isDelegated(ctx)) await getCredential(app, ctx, id);
  await app.store.tx(async (tx) => {
    await mustGet(credentials, tx, id, 'credential');
    await credentials.remove(tx, id);
    await removeTotpUse(tx, id);
  });
}

/** One row that cannot be opened must not keep its user from all others. */
async function openOrSkip(app: App, row: CredentialRow): Promise<OpenCredential | null> {
  try {
    return await openCredential(app, row);
  } catch (error) {
    app.log.error('a credential cannot be opened: delete it', { credential: row.id, error: String(error) });
    return null;
  }
}

/** True when the token may have to do with a credential: a delegated one only with key pairs made by the same delegation. */
export function mayTouch(ctx: Context, { type, project_id, blob }: OpenCredential): boolean {
  if (!isDelegated(ctx)) return true;
  if (!isEc2Type(type) || project_id !== ctx.projectId) return false;
  const has: Readonly<Record<string, unknown>> = parseEc2(blob);
  const wants = bindingsOf(ctx);
  return BINDINGS.every((name) => (has[name] ?? null) === (wants[name] ?? null));
}

/** True for the owner of a secret, and for administrators: readers of the system see everything but secrets. */
export function maySeeSecret(ctx: Context, ownerId: string): boolean {
  return ctx.userId === ownerId || ctx.isAdmin;
}

/** Opens the secret of a row. */
export async function openCredential(app: App, row: CredentialRow): Promise<OpenCredential> {
  return { ...row, blob: await app.identity.sealing.open(row.blob, row.id) };
}

/** EC2 credentials are found by the hash of their access key. */
export function idOfAccess(access: string): string {
  return createHash('sha256').update(access).digest('hex');
}

/** Inserts a credential whose secret is given open. */
export async function insertCredential(tx: Tx, row: OpenCredential, sealed: string): Promise<void> {
  await credentials.insert(tx, { ...row, blob: sealed });
}

/** The row of an access key, if it is that of an EC2 key pair. */
export async function findEc2Row(db: Reader, access: string): Promise<CredentialRow | undefined> {
  const row = await credentials.get(db, idOfAccess(access));
  return row && isEc2Type(row.type) ? row : undefined;
}

/** What the blob of an EC2 credential says. Throws 400 when it is none. */
export function parseEc2(blob: string): Readonly<Record<string, unknown>> & { readonly access: string } {
  try {
    const parsed = JSON.parse(blob) as { access?: unknown } | null;
    if (typeof parsed === 'object' && typeof parsed?.access === 'string' && parsed.access !== '') {
      return { ...parsed, access: parsed.access };
    }
  } catch {
    // refused below
  }
  throw badRequest('Invalid blob in credential: an EC2 credential is JSON with access and secret.');
}

/** The blob with what binds it to the token's delegation; 400 when the client names another one. */
function bound(ctx: Context, blob: Readonly<Record<string, unknown>>): string {
  const wants = bindingsOf(ctx);
  for (const name of BINDINGS) {
    const given = blob[name] ?? null;
    if (given !== null && given !== wants[name]) throw badRequest(`${name} can not be given for credential`);
  }
  return JSON.stringify({ ...blob, ...wants });
}

function bindingsOf({ token }: Context): Readonly<Partial<Record<(typeof BINDINGS)[number], string>>> {
  return {
    ...(token.trust && { trust_id: token.trust.id }),
    ...(token.application_credential && { app_cred_id: token.application_credential.id }),
    ...(token.oauth1 && { access_token_id: token.oauth1.access_token_id }),
  };
}

function isEc2Type(type: string): boolean {
  return type.toLowerCase() === 'ec2';
}

function refuseUnbinding(before: OpenCredential, blob: string): void {
  const after = parseEc2(blob);
  const old = parseEc2(before.blob);
  for (const name of BINDINGS) {
    if ((old[name] ?? null) !== (after[name] ?? null)) {
      throw badRequest(`${name} can not be updated for credential`);
    }
  }
}

function outOfReach() {
  return forbiddenAction('Credential project does not match the project scope of the delegated token');
}
