import { removeDelegationsOfUser } from '../../store/identity/delegations.js';
import { projects } from '../../store/identity/projects.js';
import { removeAssignments } from '../../store/identity/roles.js';
import { removeMemberships, type UserRow, users } from '../../store/identity/users.js';
import { nowText, type Reader, type Tx } from '../../store/store.js';
import type { App } from '../app.js';
import type { Context } from '../context.js';
import { badRequest, forbidden } from '../errors.js';
import { hashPassword, verifyPassword } from '../identity/passwords.js';
import { extraOf, mergeOptions, missing, mustGet, newId, storing } from '../identity/rows.js';
import { ownDomain } from '../project/project.js';
import { unauthorized } from '../token/authenticate.js';

const KNOWN = [
  'id',
  'name',
  'domain_id',
  'enabled',
  'password',
  'original_password',
  'default_project_id',
  'options',
  'password_expires_at',
];

/** What clients may set on a user. */
export interface UserBody {
  readonly name?: string;
  readonly domain_id?: string;
  readonly enabled?: boolean;
  readonly password?: string | null;
  readonly default_project_id?: string | null;
  readonly options?: Readonly<Record<string, unknown>>;
}

export async function createUser(app: App, ctx: Context, body: UserBody): Promise<UserRow> {
  const password = body.password ?? null;
  const passwordHash = password === null ? null : await hashPassword(password);
  return await storing(app, 'user', async (tx) => {
    const domainId = body.domain_id ?? ownDomain(ctx);
    const domain = await projects.get(tx, domainId);
    if (!domain?.is_domain) throw missing('domain', domainId);
    await checkDefaultProject(tx, body.default_project_id);
    const row: UserRow = {
      id: newId(),
      name: body.name!.trim(),
      domain_id: domainId,
      enabled: Number(body.enabled ?? true),
      default_project_id: body.default_project_id ?? null,
      options: mergeOptions('{}', body.options),
      extra: extraOf({ ...body }, KNOWN),
      password_hash: passwordHash,
      password_changed_at: passwordHash === null ? null : nowText(),
      password_expires_at: null,
    };
    await users.insert(tx, row);
    return row;
  });
}

/** Changes a user. A new password, and disabling, end the user's tokens. */
export async function updateUser(app: App, id: string, body: UserBody): Promise<UserRow> {
  const passwordHash =
    typeof body.password === 'string' ? await hashPassword(body.password) : (body.password ?? undefined);
  return await storing(app, 'user', async (tx) => {
    const row = await mustGet(users, tx, id, 'user');
    if (body.domain_id !== undefined && body.domain_id !== row.domain_id) {
      throw badRequest('A user cannot move to another domain.');
    }
    await checkDefaultProject(tx, body.default_project_id);
    const changed: UserRow = {
      ...row,
      name: body.name?.trim() ?? row.name,
      enabled: body.enabled === undefined ? row.enabled : Number(body.enabled),
      default_project_id:
        body.default_project_id === undefined ? row.default_project_id : body.default_project_id,
      options: mergeOptions(row.options, body.options),
      extra: extraOf({ ...body }, KNOWN, row.extra),
      ...(body.password !== undefined && {
        password_hash: passwordHash ?? null,
        password_changed_at: nowText(),
        password_expires_at: null,
      }),
    };
    await users.update(tx, id, changed);
    const ended = body.password !== undefined || (row.enabled && !changed.enabled);
    if (ended) await app.identity.tokens.revokeAll(tx, 'user', id);
    return changed;
  });
}

/** Lets users replace their own password, proving that they know the old one. */
export async function changePassword(
  app: App,
  id: string,
  passwords: { readonly original: string; readonly next: string },
  address: string,
): Promise<void> {
  const user = await users.get(app.store.read, id);
  const proved = await app.identity.throttle.run(`${id}/${address}`, () =>
    verifyPassword(user?.password_hash ?? null, passwords.original),
  );
  if (!user?.enabled || !proved) throw unauthorized();
  if ((JSON.parse(user.options) as { lock_password?: boolean }).lock_password) {
    throw forbidden('Changing this user’s password is not allowed (option lock_password).');
  }
  const next = await hashPassword(passwords.next);
  await app.identity.write(async (tx) => {
    const change = { password_hash: next, password_changed_at: nowText(), password_expires_at: null };
    await users.update(tx, id, change);
    await app.identity.tokens.revokeAll(tx, 'user', id);
  });
}

export async function deleteUser(app: App, id: string): Promise<void> {
  await app.identity.write(async (tx) => {
    await mustGet(users, tx, id, 'user');
    await removeUserRow(app, tx, id);
  });
}

/** Removes a user with grants, memberships and credentials, in a transaction of the caller. */
export async function removeUserRow(app: App, tx: Tx, id: string): Promise<void> {
  await removeAssignments(tx, { actor_type: 'user', actor_id: id });
  await removeMemberships(tx, { user_id: id });
  await removeDelegationsOfUser(tx, id);
  await users.remove(tx, id);
  await app.identity.tokens.revokeAll(tx, 'user', id);
}

async function checkDefaultProject(db: Reader, id: string | null | undefined): Promise<void> {
  if (!id) return;
  const project = await projects.get(db, id);
  if (project?.is_domain) throw badRequest('A domain cannot be the default project of a user.');
}
