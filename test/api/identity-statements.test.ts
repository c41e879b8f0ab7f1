import type { Kysely, KyselyPlugin } from 'kysely';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { deleteDomainRow } from '../../src/core/domain/domain.js';
import { reachableProjects } from '../../src/core/token/reachable.js';
import type { Database } from '../../src/store/database.js';
import { accessRules } from '../../src/store/identity/delegations.js';
import { projects } from '../../src/store/identity/projects.js';
import { roles } from '../../src/store/identity/roles.js';
import type { Reader, Tx } from '../../src/store/store.js';
import { TestApp, type TestUser } from '../support/app.js';
import { DIALECTS } from '../support/stores.js';

/** Statements of the database for what grows: as many for a few rows as for many. */
describe.each(DIALECTS)('statements on %s', (dialect) => {
  let cloud: TestApp;
  let admin: TestUser;

  beforeAll(async () => {
    cloud = await TestApp.open({ dialect });
    admin = await cloud.admin();
  });
  afterEach(() => vi.restoreAllMocks());
  afterAll(() => cloud?.close());

  const ask = async (method: string, path: string, body?: unknown, token = admin.token) => {
    const reply = await cloud.request(method, `/identity/v3${path}`, { token, body });
    expect(reply.status, `${method} ${path}: ${reply.text}`).toBeLessThan(300);
    return reply.json;
  };
  const make = async (kind: string, values: object) =>
    (await ask('POST', `/${kind}s`, { [kind]: values }))[kind].id as string;
  /** Counts what is executed by what it gives. */
  const counting = <T extends Tx | Reader>(db: T): { db: T; tables: string[] } => {
    const tables: string[] = [];
    const plugin: KyselyPlugin = {
      transformQuery: ({ node }) => {
        tables.push(node.kind);
        return node;
      },
      transformResult: async ({ result }) => result,
    };
    return { db: (db as unknown as Kysely<Database>).withPlugin(plugin) as unknown as T, tables };
  };

  it('of a list of application credentials are not for each of them', async () => {
    const owner = await cloud.projectUser('lister');
    const path = `/users/${owner.userId}/application_credentials`;
    const rule = (n: number) => ({ service: 'identity', method: 'GET', path: `/v3/users/${n}` });
    for (let n = 0; n < 4; n++) {
      const values = { name: `ac ${n}`, access_rules: n === 3 ? undefined : [rule(n), rule(9)] };
      await ask('POST', path, { application_credential: values }, owner.token);
    }
    // the token is looked up anew after writes
    await ask('GET', path);
    const spies = [vi.spyOn(roles, 'list'), vi.spyOn(accessRules, 'list')];
    const { application_credentials: listed } = await ask('GET', path, undefined, admin.token);
    for (const spy of spies) expect(spy).toHaveBeenCalledTimes(1);
    const shown = listed.map(
      (one: { name: string; roles: { name: string }[]; access_rules?: { path: string }[] }) => [
        one.name,
        one.roles.map(({ name }) => name).includes('member'),
        one.access_rules?.map((each) => each.path).sort(),
      ],
    );
    expect(shown.sort()).toEqual([
      ['ac 0', true, ['/v3/users/0', '/v3/users/9']],
      ['ac 1', true, ['/v3/users/1', '/v3/users/9']],
      ['ac 2', true, ['/v3/users/2', '/v3/users/9']],
      ['ac 3', true, undefined],
    ]);
  });

  it('of the projects that a user reaches are not for each inherited grant', async () => {
    const { userId } = await cloud.projectUser('heir');
    const { roles: readers } = await ask('GET', '/roles?name=reader');
    const counts: number[] = [];
    const wanted: string[] = [(await ask('GET', '/projects?name=heir')).projects[0].id];
    for (let n = 0; n < 3; n++) {
      const parent = await make('project', { name: `parent ${n}` });
      wanted.push(await make('project', { name: `child ${n}`, parent_id: parent }));
      const grant = `/OS-INHERIT/projects/${parent}/users/${userId}/roles/${readers[0].id}/inherited_to_projects`;
      await ask('PUT', grant);
      const { db, tables } = counting(cloud.app.store.read);
      const reached = await reachableProjects(db, userId);
      expect(reached.map(({ row }) => row.id).sort()).toEqual([...wanted].sort());
      counts.push(tables.length);
    }
    expect(new Set(counts).size).toBe(1);
  });

  it('of a deleted domain are one for each user and project, and nothing of it is left', async () => {
    const scene = async (size: number) => {
      const domain = await make('domain', { name: `domain of ${size}` });
      const role = await make('role', { name: 'own', domain_id: domain });
      for (let n = 0; n < size; n++) {
        const project = await make('project', { name: `p${n}`, domain_id: domain, tags: ['a'] });
        const user = await make('user', { name: `u${n}`, domain_id: domain, default_project_id: project });
        const group = await make('group', { name: `g${n}`, domain_id: domain });
        await ask('PUT', `/groups/${group}/users/${user}`);
        for (const actor of [`users/${user}`, `groups/${group}`]) {
          await ask('PUT', `/projects/${project}/${actor}/roles/${role}`);
          await ask('PUT', `/domains/${domain}/${actor}/roles/${role}`);
        }
        await make('credential', { user_id: user, type: 'cert', blob: 'blob' });
      }
      const guest = await make('user', { name: `guest of ${size}` });
      const [some] = (await ask('GET', `/projects?domain_id=${domain}`)).projects;
      await ask('PATCH', `/users/${guest}`, { user: { default_project_id: some.id } });
      await ask('PUT', `/projects/${some.id}/users/${guest}/roles/${role}`);
      await ask('PATCH', `/domains/${domain}`, { domain: { enabled: false } });
      return { domain, guest };
    };
    const left = async () => {
      const tables = [
        'role_assignment',
        'group_member',
        'credential',
        'project_tag',
        'role',
        'group',
      ] as const;
      const counts = await Promise.all(
        tables.map(async (table) => {
          const query = cloud.app.store.read.selectFrom(table).select((eb) => eb.fn.countAll().as('n'));
          return [table, Number((await query.executeTakeFirstOrThrow()).n)];
        }),
      );
      return Object.fromEntries(counts);
    };
    const statements: number[] = [];
    for (const size of [1, 4]) {
      const before = await left();
      const { domain, guest } = await scene(size);
      const row = (await projects.get(cloud.app.store.read, domain))!;
      await cloud.app.identity.write(async (tx) => {
        const { db, tables } = counting(tx);
        await deleteDomainRow(cloud.app, db, row);
        statements.push(tables.length);
      });
      expect(await left()).toEqual(before);
      expect((await ask('GET', `/users?domain_id=${domain}`)).users).toEqual([]);
      expect((await ask('GET', `/projects?domain_id=${domain}`)).projects).toEqual([]);
      expect((await ask('GET', `/users/${guest}`)).user.default_project_id).toBeUndefined();
    }
    expect(statements[1]! - statements[0]!).toBe(2 * 3);
  });
});
