import { hostname } from 'node:os';
import { forgetFailures, noteActive, readLogin } from '../../store/identity/logins.js';
import { projects } from '../../store/identity/projects.js';
import { implications, listAssignments } from '../../store/identity/roles.js';
import { findUser, users } from '../../store/identity/users.js';
import { changePolicyOverrides, listPolicyOverrides, lockPolicies } from '../../store/policies.js';
import { nowText, type Tx } from '../../store/store.js';
import type { App } from '../app.js';
import { POLICY_API } from '../policy/stored.js';
import { today } from '../user/activity.js';
import { optionOf } from '../user/options.js';
import { keepPassword, newPassword } from '../user/password.js';
import { ensureAdministrator } from './bootstrap.js';
import { hashPassword } from './passwords.js';

/** Options that keep somebody with the right password out, or from choosing another. */
const BARRIERS = ['multi_factor_auth_rules', 'multi_factor_auth_enabled', 'lock_password'] as const;

export interface Recovery {
  /** Of a user in the default domain, who is made when missing. */
  readonly user: string;
  readonly password: string;
  /** Removes every rule that is stored in the database. */
  readonly dropPolicyOverrides: boolean;
}

export interface Recovered {
  readonly userId: string;
  /** What was not as it has to be, in words. */
  readonly done: readonly string[];
}

/**
 * Makes a user the cloud's administrator again, whatever became of it: enabled with its domain and project, not locked, with that
 * password alone, role `admin` on project `admin` and the system, and the built-in roles with what they imply. Its tokens end. The password
 * is not held against `password_regex`. Leaves a record; on PostgreSQL, running controllers know of it with the next request.
 */
export async function recoverAdministrator(
  app: Pick<App, 'config' | 'store' | 'identity' | 'audit'>,
  { user: name, password, dropPolicyOverrides }: Recovery,
): Promise<Recovered> {
  const hash = await hashPassword(password);
  return await app.identity.write(async (tx) => {
    const before = await findUser(tx, 'default', name);
    if (before) await app.store.lockFamily(tx, before.id, 'user');
    const [impliedBefore, grantsBefore] = [await implications(tx), await grantsOf(tx, before?.id)];
    const { userId, projectId } = await ensureAdministrator(tx, name, hash);
    const done = [
      ...(before ? [] : ['the user was missing: made']),
      ...(await enable(tx, 'default', 'the domain')),
      ...(await enable(tx, projectId, 'the project')),
      ...(await openAccount(app, tx, userId, hash)),
    ];
    if ((await grantsOf(tx, userId)) > grantsBefore) done.push('role admin given on project and system');
    if ((await implications(tx)).length > impliedBefore.length) done.push('implied roles restored');
    const target = { type: 'user', id: userId, name };
    if (dropPolicyOverrides) done.push(...(await dropOverrides(app, tx)));
    const detail = { host: hostname(), done };
    await app.audit.record({ action: 'identity:recover_administrator', target, detail }, tx);
    return { userId, done };
  });
}

async function grantsOf(tx: Tx, userId: string | undefined): Promise<number> {
  if (userId === undefined) return 0;
  return (await listAssignments(tx, { actor_type: 'user', actor_id: userId })).length;
}

async function enable(tx: Tx, projectId: string, what: string): Promise<string[]> {
  if ((await projects.get(tx, projectId))?.enabled) return [];
  await projects.update(tx, projectId, { enabled: 1 });
  return [`${what} was disabled: enabled`];
}

/** Sets the password, and removes all that keeps the user from authenticating by it alone. */
async function openAccount(
  { config, identity }: Pick<App, 'config' | 'identity'>,
  tx: Tx,
  id: string,
  hash: string,
): Promise<string[]> {
  const row = (await users.get(tx, id))!;
  const barriers = BARRIERS.filter((option) => optionOf(row, option) !== undefined);
  const options = JSON.parse(row.options) as Record<string, unknown>;
  for (const option of barriers) delete options[option];
  const columns = newPassword(config, JSON.stringify(options), hash, 'user');
  if (row.password_hash !== hash) await keepPassword(tx, config, row, nowText());
  await users.update(tx, id, {
    enabled: 1,
    options: JSON.stringify(options),
    ...columns,
    // it may be changed at once, whatever the minimum age
    password_self_service: 0,
  });
  const failures = (await readLogin(tx, id))?.failed_auth_count ?? 0;
  await forgetFailures(tx, id, null);
  // else it would be found inactive at once
  await noteActive(tx, id, today());
  await identity.tokens.revokeAll(tx, 'user', id);
  return [
    ...(row.enabled ? [] : ['the user was disabled: enabled']),
    ...(failures > 0 ? [`${failures} failed attempts forgotten`] : []),
    ...barriers.map((option) => `option ${option} removed`),
    'the password was set, tokens of the user ended',
  ];
}

async function dropOverrides({ store, audit }: Pick<App, 'store' | 'audit'>, tx: Tx): Promise<string[]> {
  await lockPolicies(store, tx);
  const rows = await listPolicyOverrides(tx);
  if (rows.length === 0) return [];
  const names = rows.map((row) => row.name);
  await changePolicyOverrides(tx, [], names);
  for (const { name, rule } of rows) {
    const target = { type: 'policy', id: name, name };
    const detail = { old: JSON.parse(rule) as unknown, new: null };
    await audit.record({ action: POLICY_API.unset, target, detail }, tx);
  }
  return [`stored policy rules removed: ${names.join(', ')}`];
}
