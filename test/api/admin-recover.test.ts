import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createProgram } from '../../src/cli/program.js';
import { listAudits } from '../../src/store/audit.js';
import { findProject, projects } from '../../src/store/identity/projects.js';
import { findRole, implications, removeAssignments, removeRoleUses } from '../../src/store/identity/roles.js';
import { findUser, users } from '../../src/store/identity/users.js';
import { changePolicyOverrides, listPolicyOverrides } from '../../src/store/policies.js';
import { holdDatabase } from '../../src/store/sole.js';
import { ADMIN_PASSWORD, TestApp } from '../support/app.js';
import { DIALECTS } from '../support/stores.js';

const V3 = '/identity/v3';

describe.each(DIALECTS)('maru admin recover on %s', (dialect) => {
  const lockout = { lockout_failure_attempts: 2, lockout_duration: null };
  let directory: string;
  let config: string;
  let password: string;
  let cloud: TestApp;
  const opened: TestApp[] = [];

  beforeAll(async () => {
    cloud = await TestApp.open({ dialect, config: lockout });
    opened.push(cloud);
    directory = mkdtempSync(join(tmpdir(), 'maru-recover-'));
    config = join(directory, 'maru.yaml');
    password = join(directory, 'password');
    writeFileSync(password, 'from a file\n', { mode: 0o600 });
    configure(cloud.database);
  });
  afterAll(async () => {
    for (const each of opened.reverse()) await each.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const configure = (database: string) =>
    writeFileSync(config, JSON.stringify({ controller: { database, state_dir: directory } }));
  const recover = async (...args: string[]): Promise<string> => {
    let text = '';
    const out = vi.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
      text += chunk;
      return true;
    });
    try {
      await createProgram().parseAsync(['node', 'maru', 'admin', 'recover', '--config', config, ...args]);
    } finally {
      out.mockRestore();
    }
    return text;
  };
  /** A controller on PostgreSQL has run all the while; the one of SQLite has been started again. */
  const restarted = async (): Promise<TestApp> => {
    if (dialect === 'postgres') return cloud;
    const next = await TestApp.open({ beside: cloud, config: lockout });
    opened.push(next);
    return next;
  };
  const login = async (on: TestApp, name: string, secret: string, scope: object) =>
    await on.request('POST', `${V3}/auth/tokens`, {
      body: {
        auth: {
          identity: {
            methods: ['password'],
            password: { user: { name, domain: { id: 'default' }, password: secret } },
          },
          scope,
        },
      },
    });
  const PROJECT = { project: { name: 'admin', domain: { id: 'default' } } };

  it('lets in an administrator from whom everything was taken', async () => {
    const before = await cloud.admin();
    const { store } = cloud.app;
    const names = async (on: TestApp) => (await listPolicyOverrides(on.app.store.read)).map((r) => r.name);
    await cloud.app.identity.write(async (tx) => {
      const rule = { name: 'identity:list_users', rule: '"!"', own: 0, updated_by: null };
      await changePolicyOverrides(tx, [{ ...rule, updated_at: '2026-01-01T00:00:00.000Z' }], []);
      const options = {
        multi_factor_auth_enabled: true,
        multi_factor_auth_rules: [['password', 'totp']],
        lock_password: true,
        ignore_user_inactivity: true,
      };
      await users.update(tx, before.userId, { enabled: 0, options: JSON.stringify(options) });
      await tx
        .insertInto('user_login')
        .values({
          user_id: before.userId,
          failed_auth_count: 2,
          failed_auth_at: '2026-01-01T00:00:00.000Z',
          last_active_on: '2020-01-01',
        })
        .execute();
      await removeAssignments(tx, { actor_type: 'user', actor_id: before.userId });
      await removeRoleUses(tx, (await findRole(tx, 'manager'))!.id);
      for (const id of ['default', before.projectId]) await projects.update(tx, id, { enabled: 0 });
    });
    expect((await login(cloud, 'admin', ADMIN_PASSWORD, PROJECT)).status).toBe(401);

    const text = await recover('--drop-policy-overrides');
    expect(text).toContain('stored policy rules removed: identity:list_users\n');
    expect(text).toContain('option multi_factor_auth_rules removed\n');
    const file = join(directory, 'admin-password');
    expect(text).toContain(file);
    expect(statSync(file).mode & 0o777).toBe(0o600);

    const on = await restarted();
    const secret = readFileSync(file, 'utf8').trim();
    expect(text).not.toContain(secret);
    const project = await login(on, 'admin', secret, PROJECT);
    expect(project.status, project.text).toBe(201);
    const roles = project.json.token.roles.map((role: { name: string }) => role.name).toSorted();
    expect(roles).toEqual(['admin', 'manager', 'member', 'reader']);
    expect((await login(on, 'admin', secret, { system: { all: true } })).status).toBe(201);
    const token = project.headers['x-subject-token']!;
    expect((await on.request('GET', `${V3}/users`, { token })).status).toBe(200);
    expect((await on.request('GET', `${V3}/users`, { token: before.token })).status).toBe(401);
    expect(await names(on)).toEqual([]);
    const user = await users.get(store.read, before.userId);
    expect(JSON.parse(user!.options)).toEqual({ ignore_user_inactivity: true });

    const [record] = await listAudits(on.app.store.read, { action: 'identity:recover_administrator' }, 5);
    expect(record).toMatchObject({ service: 'controller', outcome: 'succeeded', target_id: before.userId });
    expect(record!.detail).toContain(' failed attempts forgotten');
    expect(JSON.stringify(record)).not.toContain(secret);
    const [dropped] = await listAudits(on.app.store.read, { target: 'identity:list_users' }, 5);
    expect(dropped!.detail).toBe('{"old":"!","new":null}');
  });

  it('makes a user who is gone, with the password of a file, and touches nothing else', async () => {
    const { store, identity } = cloud.app;
    const { id } = (await findUser(store.read, 'default', 'admin'))!;
    const implied = await implications(store.read);
    await identity.write(async (tx) => {
      await removeAssignments(tx, { actor_type: 'user', actor_id: id });
      await users.remove(tx, id);
    });
    const kept = readFileSync(join(directory, 'admin-password'), 'utf8');
    const text = await recover('--password-file', password, '--user', 'anna');
    expect(text.split('\n')[0]).toBe('the user was missing: made');
    const on = await restarted();
    expect((await login(on, 'anna', 'from a file', PROJECT)).status).toBe(201);
    expect(await findUser(store.read, 'default', 'admin')).toBeUndefined();
    expect(await implications(store.read)).toEqual(implied);
    expect(readFileSync(join(directory, 'admin-password'), 'utf8')).toBe(kept);
    expect((await findProject(store.read, 'default', 'admin'))!.enabled).toBe(1);
  });

  it('works only on the database of a cloud', async () => {
    configure(`sqlite:${directory}/other.db`);
    await expect(recover()).rejects.toThrow("was never a controller's");
    expect(() => statSync(join(directory, 'other.db'))).toThrow('ENOENT');
    configure(cloud.database);
  });

  it.runIf(dialect === 'sqlite')('is refused while the only controller runs', async () => {
    const held = holdDatabase(cloud.database);
    const user = await findUser(cloud.app.store.read, 'default', 'anna');
    try {
      await expect(recover('--user', 'anna')).rejects.toThrow(
        /process \d+\) uses the database .* systemctl stop maru-controller/s,
      );
    } finally {
      held.release();
    }
    expect(await findUser(cloud.app.store.read, 'default', 'anna')).toEqual(user);
    expect(() => statSync(join(directory, 'admin-password.new'))).toThrow('ENOENT');
  });
});
