import { removeDelegationsOfUser } from '../../store/identity/delegations.js';
import { forgetFailures, noteActive, removeLogins } from '../../store/identity/logins.js';
import { projects } from '../../store/identity/projects.js';
import { removeAssignments } from '../../store/identity/roles.js';
import { removeMemberships, type UserRow, users } from '../../store/identity/users.js';
import { nowText, type Reader, type Tx } from '../../store/store.js';
import type { App } from '../app.js';
import type { Context } from '../context.js';
import { badRequest } from '../errors.js';
import { hashPassword } from '../identity/passwords.js';
import { extraOf, mergeOptions, missing, mustGet, newId, storing } from '../identity/rows.js';
import { ownDomain } from '../project/project.js';
import { today } from './activity.js';
import { checkPassword, keepPassword, newPassword } from './password.js';

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
  readonly id?: string;
  readonly name?: string;
  readonly domain_id?: string;
  readonly enabled?: boolean;
  readonly password?: string | null;
  readonly default_project_id?: string | null;
  readonly options?: Readonly<Record<string, unknown>>;
}

/** Makes a user. 400 for a password that the rules do not allow, 409 for a name that is taken. */
export async function createUser(app: App, ctx: Context, body: UserBody): Promise<UserRow> {
  const passwordHash = (await hashGiven(app, body.password)) ?? null;
  return await storing(app, 'user', async (tx) => {
    const domainId = body.domain_id ?? ownDomain(ctx);
    const domain = await projects.get(tx, domainId);
    if (!domain?.is_domain) throw missing('domain', domainId);
    await checkDefaultProject(tx, body.default_project_id);
    const options = mergeOptions('{}', body.options);
    const row: UserRow = {
      id: newId(),
      name: body.name!.trim(),
      domain_id: domainId,
      enabled: Number(body.enabled ?? true),
      default_project_id: body.default_project_id ?? null,
      options,
      extra: extraOf({ ...body }, KNOWN),
      created_at: nowText(),
      ...newPassword(app.config, options, passwordHash, 'administrator'),
    };
    await users.insert(tx, row);
    return row;
  });
}

/** Changes a user. A new password, and disabling, end the user's tokens; enabling, and a new password, end a lock. */
export async function updateUser(app: App, id: string, body: UserBody): Promise<UserRow> {
  if (body.id !== undefined && body.id !== id) throw badRequest('Cannot change user ID');
  const passwordHash = await hashGiven(app, body.password);
  return await storing(app, 'user', async (tx) => {
    // what others change meanwhile must not be written over
    await app.store.lockFamily(tx, id, 'user');
    const row = await mustGet(users, tx, id, 'user');
    if (body.domain_id !== undefined && body.domain_id !== row.domain_id) {
      throw badRequest('A user cannot move to another domain.');
    }
    await checkDefaultProject(tx, body.default_project_id);
    const options = mergeOptions(row.options, body.options);
    const changed: UserRow = {
      ...row,
      name: body.name?.trim() ?? row.name,
      enabled: body.enabled === undefined ? row.enabled : Number(body.enabled),
      default_project_id:
        body.default_project_id === undefined ? row.default_project_id : body.default_project_id,
      options,
      extra: extraOf({ ...body }, KNOWN, row.extra),
      ...(passwordHash !== undefined && newPassword(app.config, options, passwordHash, 'administrator')),
    };
    if (passwordHash !== undefined) await keepPassword(tx, app.config, row, nowText());
    await users.update(tx, id, changed);
    if (body.enabled || passwordHash !== undefined) await forgetFailures(tx, id, null);
    // else who is enabled after a long time would be found inactive at once
    if (body.enabled) await noteActive(tx, id, today());
    const ended = body.password !== undefined || (row.enabled && !changed.enabled);
    if (ended) await app.identity.tokens.revokeAll(tx, 'user', id);
    return changed;
  });
}

export async function deleteUser(app: App, id: string): Promise<void> {
  await app.identity.write(async (tx) => {
    await mustGet(users, tx, id, 'user');
    await removeUserRow(app, tx, id);
  });
}

/** Removes a user with grants, memberships and credentials, in a transaction of the caller. */
async function removeUserRow(app: App, tx: Tx, id: string): Promise<void> {
  await removeAssignments(tx, { actor_type: 'user', actor_id: id });
  await removeMemberships(tx, { user_id: id });
  await removeDelegationsOfUser(tx, id);
  await removeLogins(tx, id);
  await users.remove(tx, id);
  await app.identity.tokens.revokeAll(tx, 'user', id);
}

async function checkDefaultProject(db: Reader, id: string | null | undefined): Promise<void> {
  if (!id) return;
  const project = await projects.get(db, id);
  if (project?.is_domain) throw badRequest('A domain cannot be the default project of a user.');
}

/** The hash of a password that an administrator gives; null for none at all, undefined when it is not mentioned. */
async function hashGiven(
  { config }: App,
  password: string | null | undefined,
): Promise<string | null | undefined> {
  if (password === null || password === undefined) return password;
  checkPassword(config, password);
  return await hashPassword(password);
}
