import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type IdentityScene, identityScene } from '../support/identity-scene.js';
import type { Persona } from './identity-personas.table.js';

/** What a domain's people must not reach, however they try, and what they must. */
describe('the people of a domain', () => {
  let scene: IdentityScene;
  let own: Record<string, string>;
  let other: Record<string, string>;
  const role: Record<string, string> = {};

  beforeAll(async () => {
    scene = await identityScene('sqlite');
    own = scene.subjects('own', 'admin') as Record<string, string>;
    other = scene.subjects('other', 'admin') as Record<string, string>;
    for (const { name, id } of (await scene.call('GET', '/roles')).json.roles) role[name] = id;
    const made = await scene.call('POST', '/roles', { role: { name: 'operator' } });
    role.operator = made.json.role.id;
    for (const [where, domain] of Object.entries({ own, other })) {
      const inside = await scene.call('POST', '/roles', {
        role: { name: 'member', domain_id: domain.domain },
      });
      role[`member of ${where}`] = inside.json.role.id;
    }
  });
  afterAll(() => scene.close());

  const status = async (method: string, path: string, body?: unknown, as: Persona = 'domain-manager') =>
    (await scene.call(method, path, body, as)).status;
  const make = async (kind: string, values: Record<string, unknown>) => {
    const reply = await scene.call('POST', `/${kind}s`, { [kind]: values });
    expect(reply.status, reply.text).toBe(201);
    return reply.json[kind].id as string;
  };

  it('lets a manager grant the roles below it, in its domain, to its users and groups', async () => {
    const places = [`/projects/${own.project}`, `/domains/${own.domain}`];
    const inherited = places.map((place) => `/OS-INHERIT${place}`);
    for (const name of ['manager', 'member', 'reader', 'member of own']) {
      for (const actor of [`users/${own.user}`, `groups/${own.group}`]) {
        for (const place of places) {
          const path = `${place}/${actor}/roles/${role[name]}`;
          expect(await status('PUT', path), `${name} ${path}`).toBe(204);
          expect(await status('HEAD', path)).toBe(204);
          expect(await status('DELETE', path)).toBe(204);
        }
        for (const place of inherited) {
          const path = `${place}/${actor}/roles/${role[name]}/inherited_to_projects`;
          expect(await status('PUT', path), `${name} ${path}`).toBe(204);
          expect(await status('DELETE', path)).toBe(204);
        }
      }
    }
  });

  it('lets it grant no other role, nowhere else, and to nobody else', async () => {
    const refused = [
      ...['admin', 'service', 'operator'].flatMap((name) => [
        `/projects/${own.project}/users/${own.user}/roles/${role[name]}`,
        `/projects/${own.project}/groups/${own.group}/roles/${role[name]}`,
        `/domains/${own.domain}/users/${scene.users['domain-manager']}/roles/${role[name]}`,
        `/OS-INHERIT/domains/${own.domain}/users/${own.user}/roles/${role[name]}/inherited_to_projects`,
      ]),
      ...['reader', 'admin'].flatMap((name) => [
        `/system/users/${own.user}/roles/${role[name]}`,
        `/system/groups/${own.group}/roles/${role[name]}`,
        `/projects/${other.project}/users/${own.user}/roles/${role[name]}`,
        `/domains/${other.domain}/users/${own.user}/roles/${role[name]}`,
        `/domains/default/users/${own.user}/roles/${role[name]}`,
        `/projects/${own.project}/users/${other.user}/roles/${role[name]}`,
        `/projects/${own.project}/groups/${other.group}/roles/${role[name]}`,
        `/OS-INHERIT/projects/${other.project}/users/${own.user}/roles/${role[name]}/inherited_to_projects`,
      ]),
      `/projects/${own.project}/users/${own.user}/roles/${role['member of other']}`,
    ];
    for (const path of refused) {
      expect(await status('PUT', path), path).toBe(403);
      expect([403, 404], path).toContain(await status('DELETE', path));
      expect(await status('PUT', path, undefined, 'project-manager'), path).toBe(403);
    }
  });

  it('lets it take no such role away either', async () => {
    const path = `/projects/${own.project}/users/${own.user}/roles/${role.admin}`;
    expect((await scene.call('PUT', path)).status).toBe(204);
    expect(await status('DELETE', path)).toBe(403);
    expect((await scene.call('DELETE', path)).status).toBe(204);
  });

  it('lets it not become somebody who may more: neither by a password nor by a group', async () => {
    const boss = await make('user', { name: 'boss', domain_id: own.domain });
    const bosses = await make('group', { name: 'bosses', domain_id: own.domain });
    const byGroup = await make('user', { name: 'boss by group', domain_id: own.domain });
    await scene.call('PUT', `/groups/${bosses}/users/${byGroup}`);
    await scene.call('PUT', `/projects/${other.project}/users/${boss}/roles/${role.admin}`);
    await scene.call('PUT', `/system/groups/${bosses}/roles/${role.reader}`);
    const me = scene.users['domain-manager'];
    const password = { user: { password: 'mine now' } };
    for (const [method, path, body] of [
      ['PATCH', `/users/${boss}`, password],
      ['PATCH', `/users/${byGroup}`, password],
      ['DELETE', `/users/${boss}`],
      ['PUT', `/groups/${bosses}/users/${me}`],
      ['DELETE', `/groups/${bosses}/users/${byGroup}`],
      ['PATCH', `/groups/${bosses}`, { group: { name: 'mine' } }],
      ['DELETE', `/groups/${bosses}`],
      ['PATCH', `/users/${scene.users['domain-admin']}`, password],
    ] as const) {
      expect(await status(method, path, body), `${method} ${path}`).toBe(403);
    }
    expect(
      (await scene.call('DELETE', `/projects/${other.project}/users/${boss}/roles/${role.admin}`)).status,
    ).toBe(204);
    expect(await status('PATCH', `/users/${boss}`, { user: { description: 'one of us' } })).toBe(200);
  });

  it('lets it not become somebody who has a role in another domain, or one of the cloud’s own making', async () => {
    const me = scene.users['domain-manager'];
    const password = { user: { password: 'mine now' } };
    for (const grant of [
      (actor: string) => `/domains/${other.domain}/${actor}/roles/${role.manager}`,
      (actor: string) => `/projects/${other.project}/${actor}/roles/${role.reader}`,
      (actor: string) => `/projects/${own.project}/${actor}/roles/${role.operator}`,
    ]) {
      const byUser = grant(`users/${own.user}`);
      expect((await scene.call('PUT', byUser)).status).toBe(204);
      expect(await status('PATCH', `/users/${own.user}`, password), byUser).toBe(403);
      expect((await scene.call('DELETE', byUser)).status).toBe(204);
      const byGroup = grant(`groups/${own.group}`);
      expect((await scene.call('PUT', byGroup)).status).toBe(204);
      expect(await status('PATCH', `/users/${own.user}`, password), byGroup).toBe(403);
      expect(await status('PUT', `/groups/${own.group}/users/${me}`), byGroup).toBe(403);
      expect((await scene.call('DELETE', byGroup)).status).toBe(204);
    }
    expect(await status('PUT', `/groups/${own.group}/users/${me}`)).toBe(204);
    expect(await status('DELETE', `/groups/${own.group}/users/${me}`)).toBe(204);
  });

  it('lets it make and change things in its domain only, and no domains', async () => {
    const cases: [number, string, string, unknown][] = [
      [201, 'POST', '/projects', { project: { name: 'made', domain_id: own.domain } }],
      [201, 'POST', '/projects', { project: { name: 'made below', parent_id: own.project } }],
      [201, 'POST', '/projects', { project: { name: 'made at home' } }],
      [403, 'POST', '/projects', { project: { name: 'made', domain_id: other.domain } }],
      [403, 'POST', '/projects', { project: { name: 'made', parent_id: other.project } }],
      [403, 'POST', '/projects', { project: { name: 'made', parent_id: other.domain } }],
      [400, 'POST', '/projects', { project: { name: 'x', domain_id: own.domain, parent_id: other.project } }],
      [403, 'POST', '/projects', { project: { name: 'made', domain_id: own.domain, is_domain: true } }],
      [403, 'POST', '/projects', { project: { name: 'made', is_domain: 'true' } }],
      [403, 'PATCH', `/projects/${own.domain}`, { project: { enabled: false } }],
      [403, 'DELETE', `/projects/${own.domain}`, undefined],
      [403, 'PATCH', `/domains/${own.domain}`, { domain: { enabled: false } }],
      [201, 'POST', '/users', { user: { name: 'made', domain_id: own.domain } }],
      [403, 'POST', '/users', { user: { name: 'made', domain_id: other.domain } }],
      [403, 'PATCH', `/users/${other.user}`, { user: { enabled: false } }],
      [400, 'PATCH', `/users/${own.user}`, { user: { domain_id: other.domain } }],
      [201, 'POST', '/groups', { group: { name: 'made', domain_id: own.domain } }],
      [403, 'POST', '/groups', { group: { name: 'made', domain_id: other.domain } }],
      [403, 'PUT', `/groups/${own.group}/users/${other.user}`, undefined],
      [403, 'PUT', `/groups/${other.group}/users/${own.user}`, undefined],
      [403, 'POST', '/roles', { role: { name: 'made', domain_id: own.domain } }],
      [403, 'PUT', `/roles/${role.reader}/implies/${role.operator}`, undefined],
    ];
    for (const [expected, method, path, body] of cases) {
      expect(await status(method, path, body), `${method} ${path} ${JSON.stringify(body)}`).toBe(expected);
    }
  });

  it('lists nothing of other domains to a token for one, not even to its administrator', async () => {
    for (const persona of ['domain-reader', 'domain-manager', 'domain-admin'] as const) {
      for (const kind of ['projects', 'users', 'groups'] as const) {
        const all = (await scene.call('GET', `/${kind}`, undefined, persona)).json[kind];
        expect(all.length).toBeGreaterThan(0);
        for (const item of all) expect(item.domain_id, kind).toBe(own.domain);
        const asked = await scene.call('GET', `/${kind}?domain_id=${other.domain}`, undefined, persona);
        expect([asked.status, asked.json[kind]]).toEqual([200, []]);
      }
      const domains = await scene.call('GET', '/domains', undefined, persona);
      expect(domains.json.domains.map(({ id }: { id: string }) => id)).toEqual([own.domain]);
      const assigned = await scene.call('GET', '/role_assignments?include_names', undefined, persona);
      expect(assigned.json.role_assignments.length).toBeGreaterThan(0);
      for (const { scope } of assigned.json.role_assignments) {
        expect(scope.project?.domain.id ?? scope.domain?.id).toBe(own.domain);
      }
      const limits = await scene.call('GET', '/limits', undefined, persona);
      if (persona !== 'domain-admin') {
        expect(limits.json.limits.map((limit: { project_id: string }) => limit.project_id)).toEqual([
          own.project,
        ]);
      }
    }
    const tree = (project: string) =>
      status(
        'GET',
        `/role_assignments?include_subtree&scope.project.id=${project}`,
        undefined,
        'domain-reader',
      );
    expect(await tree(own.project!)).toBe(200);
    expect(await tree(other.project!)).toBe(403);
  });

  it('keeps domain roles to the cloud’s administrators and readers', async () => {
    const path = `/roles/${role['member of own']}`;
    for (const persona of ['domain-manager', 'domain-reader', 'project-manager'] as const) {
      expect(await status('GET', path, undefined, persona)).toBe(403);
      expect(await status('GET', `/roles?domain_id=${own.domain}`, undefined, persona)).toBe(403);
      expect(await status('DELETE', path, undefined, persona)).toBe(403);
    }
    expect(await status('GET', path, undefined, 'system-reader')).toBe(200);
    expect(await status('PATCH', path, { role: { description: 'x' } }, 'system-reader')).toBe(403);
  });

  it('says which things do not exist as Keystone does: of some to everybody, of others to those who may see them', async () => {
    const cases: [string, number, number][] = [
      ['/users/none', 404, 403],
      ['/groups/none', 404, 403],
      ['/projects/none', 404, 403],
      ['/domains/none', 404, 403],
      ['/limits/none', 404, 403],
      ['/roles/none', 404, 404],
      ['/services/none', 404, 403],
      ['/endpoints/none', 404, 403],
      [`/projects/${own.project}/users/none/roles`, 404, 404],
      [`/projects/${own.project}/users/${own.user}/roles/none`, 404, 404],
      ['/roles/none/implies', 404, 404],
    ];
    for (const [path, admin, member] of cases) {
      expect((await scene.call('GET', path)).status, path).toBe(admin);
      expect(await status('GET', path, undefined, 'project-member'), path).toBe(member);
    }
  });
});
