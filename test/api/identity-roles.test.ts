import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { effectiveAssignments, grantedAssignments } from '../../src/core/role/assignments.js';
import { isPrivileged } from '../../src/core/role/privileged.js';
import { TestApp } from '../support/app.js';
import { DIALECTS } from '../support/stores.js';

const V3 = '/identity/v3';
const SELF = `http://127.0.0.1:5000${V3}`;

describe.each(DIALECTS)('roles and assignments on %s', (dialect) => {
  let cloud: TestApp;
  let admin: string;
  const role: Record<string, string> = {};

  beforeAll(async () => {
    cloud = await TestApp.open({ dialect });
    admin = await cloud.adminToken();
    for (const { name, id } of (await call('GET', '/roles')).json.roles) role[name] = id;
  });
  afterAll(() => cloud.close());

  const call = (method: string, path: string, body?: unknown, token = admin) =>
    cloud.request(method, V3 + path, { token, body });
  const make = async (kind: string, values: Record<string, unknown>) => {
    const reply = await call('POST', `/${kind}s`, { [kind]: values });
    expect(reply.status, reply.text).toBe(201);
    return reply.json[kind];
  };
  const put = async (path: string) => expect((await call('PUT', path)).status, path).toBe(204);
  const assignments = async (query: string) => {
    const reply = await call('GET', `/role_assignments?${query}`);
    expect(reply.status, reply.text).toBe(200);
    return reply.json.role_assignments;
  };

  it('begins with roles that nobody renames by mistake', async () => {
    for (const name of ['admin', 'manager', 'member', 'reader', 'service']) {
      const shown = (await call('GET', `/roles/${role[name]}`)).json.role;
      expect(shown).toMatchObject({ name, domain_id: null, options: { immutable: true } });
      const refused = await call('PATCH', `/roles/${role[name]}`, { role: { name: 'x' } });
      expect([refused.status, refused.json.error.message]).toEqual([
        403,
        `Unable to update immutable role resource: \`${role[name]}. Set resource option "immutable" to false first.`,
      ]);
      expect((await call('DELETE', `/roles/${role[name]}`)).status).toBe(403);
    }
  });

  it('keeps roles of a domain apart from those of the cloud', async () => {
    const domain = await make('domain', { name: 'with roles' });
    const inside = await make('role', { name: 'reader', domain_id: domain.id });
    expect(inside.domain_id).toBe(domain.id);
    const ids = async (query: string) =>
      (await call('GET', `/roles?${query}`)).json.roles.map(({ id }: { id: string }) => id);
    expect(await ids('name=reader')).toEqual([role.reader]);
    expect(await ids(`domain_id=${domain.id}`)).toEqual([inside.id]);
    expect(await ids('name__icontains=READ')).toEqual([role.reader]);
    expect((await call('POST', '/roles', { role: { name: 'x', domain_id: 'nobody' } })).status).toBe(404);
    expect((await call('POST', '/roles', { role: { name: 'reader', domain_id: domain.id } })).status).toBe(
      409,
    );
    const moved = await call('PATCH', `/roles/${inside.id}`, { role: { domain_id: 'default' } });
    expect(moved.status).toBe(400);
    const { userId, projectId } = await cloud.projectUser('elsewhere');
    const grants: [number, string][] = [
      [403, `/projects/${projectId}/users/${userId}/roles/${inside.id}`],
      [403, `/domains/default/users/${userId}/roles/${inside.id}`],
      [400, `/system/users/${userId}/roles/${inside.id}`],
      [204, `/domains/${domain.id}/users/${userId}/roles/${inside.id}`],
    ];
    for (const [status, path] of grants) expect((await call('PUT', path)).status, path).toBe(status);
    // such a role stands for what it implies and is never seen itself
    const scope = `user.id=${userId}&scope.domain.id=${domain.id}`;
    expect(await assignments(`${scope}&effective`)).toEqual([]);
    expect(await assignments(`${scope}&include_names`)).toMatchObject([
      { role: { id: inside.id, name: 'reader', domain: { id: domain.id, name: 'with roles' } } },
    ]);
    expect((await call('PUT', `/roles/${inside.id}/implies/${role.member}`)).status).toBe(201);
    const effective = await assignments(`${scope}&effective`);
    expect(effective.map((row: { role: { id: string } }) => row.role.id).sort()).toEqual(
      [role.member, role.reader].sort(),
    );
  });

  it('lets roles imply others, but never admin', async () => {
    const boss = await make('role', { name: 'boss' });
    const path = `/roles/${boss.id}/implies/${role.manager}`;
    const made = await call('PUT', path);
    const short = (id: string, name: string) => ({ id, name, links: { self: `${SELF}/roles/${id}` } });
    const rule = {
      role_inference: { prior_role: short(boss.id, 'boss'), implies: short(role.manager!, 'manager') },
      links: { self: SELF + path },
    };
    expect([made.status, made.json]).toEqual([201, rule]);
    expect((await call('GET', path)).json).toEqual(rule);
    expect((await call('HEAD', path)).status).toBe(204);
    expect((await call('GET', `/roles/${boss.id}/implies`)).json.role_inference.implies).toEqual([
      short(role.manager!, 'manager'),
    ]);
    const all = (await call('GET', '/role_inferences')).json.role_inferences;
    expect(all.map(({ prior_role }: { prior_role: { name: string } }) => prior_role.name).sort()).toEqual(
      expect.arrayContaining(['admin', 'boss', 'manager', 'member']),
    );
    expect((await call('PUT', `/roles/${boss.id}/implies/${role.admin}`)).status).toBe(403);
    const domain = await make('domain', { name: 'implying' });
    const inside = await make('role', { name: 'inside', domain_id: domain.id });
    expect((await call('PUT', `/roles/${boss.id}/implies/${inside.id}`)).status).toBe(403);
    expect((await call('DELETE', path)).status).toBe(204);
    expect((await call('DELETE', path)).status).toBe(404);
    expect((await call('GET', path)).json.error.message).toBe(`${boss.id} does not imply ${role.manager}.`);
  });

  it('knows who may do more than the manager of a domain can grant', async () => {
    const elsewhere = await make('domain', { name: 'not of the privileged' });
    const outside = await make('project', { name: 'outside', domain_id: elsewhere.id });
    const privileged = (type: 'user' | 'group', id: string) => isPrivileged(cloud.app.store.read, type, id);
    const project = await make('project', { name: 'privileged' });
    const group = await make('group', { name: 'privileged' });
    const byGroup = await make('user', { name: 'by group' });
    await put(`/groups/${group.id}/users/${byGroup.id}`);
    await put(`/projects/${project.id}/groups/${group.id}/roles/${role.manager}`);
    expect(await privileged('user', byGroup.id)).toBe(false);
    expect(await privileged('group', group.id)).toBe(false);
    for (const path of [
      `/projects/${project.id}/groups/${group.id}/roles/${role.admin}`,
      `/OS-INHERIT/domains/default/groups/${group.id}/roles/${role.admin}/inherited_to_projects`,
      `/domains/default/groups/${group.id}/roles/${role.service}`,
      `/system/groups/${group.id}/roles/${role.reader}`,
      `/domains/${elsewhere.id}/groups/${group.id}/roles/${role.reader}`,
      `/projects/${outside.id}/groups/${group.id}/roles/${role.reader}`,
      `/OS-INHERIT/domains/${elsewhere.id}/groups/${group.id}/roles/${role.member}/inherited_to_projects`,
    ]) {
      await put(path);
      expect(await privileged('group', group.id), path).toBe(true);
      expect(await privileged('user', byGroup.id), path).toBe(true);
      await call('DELETE', path);
      expect(await privileged('user', byGroup.id), path).toBe(false);
    }
    const imply = async (prior: string, implied: string) =>
      expect((await call('PUT', `/roles/${prior}/implies/${implied}`)).status).toBe(201);
    const operator = (await make('role', { name: 'operator' })).id;
    const inside = (await make('role', { name: 'of the domain', domain_id: 'default' })).id;
    await put(`/projects/${project.id}/users/${byGroup.id}/roles/${inside}`);
    await imply(inside, role.member!);
    expect(await privileged('user', byGroup.id)).toBe(false);
    await imply(inside, operator);
    expect(await privileged('user', byGroup.id)).toBe(true);
    await call('DELETE', `/roles/${inside}`);
    expect(await privileged('user', byGroup.id)).toBe(false);
    // rules may give a role of another name any power, unless whoever is a member has it anyway
    await put(`/projects/${project.id}/users/${byGroup.id}/roles/${operator}`);
    expect(await privileged('user', byGroup.id)).toBe(true);
    await imply(role.member!, operator);
    expect(await privileged('user', byGroup.id)).toBe(false);
    await call('DELETE', `/roles/${operator}`);
    expect(await privileged('user', 'nobody')).toBe(false);
    await put(`/projects/${project.id}/users/${byGroup.id}/roles/${role.admin}`);
    expect(await privileged('user', byGroup.id)).toBe(true);
    expect(await privileged('group', group.id)).toBe(false);
  });

  it('changes no id', async () => {
    const region = await make('region', { id: 'fixed' });
    const service = await make('service', { type: 'fixed' });
    const endpoint = await make('endpoint', { service_id: service.id, interface: 'public', url: 'http://x' });
    const project = await make('project', { name: 'fixed' });
    const group = await make('group', { name: 'fixed' });
    const made = await make('role', { name: 'fixed' });
    for (const [kind, { id }] of Object.entries({ region, service, endpoint, project, group, role: made })) {
      const patch = (given: string) =>
        call('PATCH', `/${kind}s/${id}`, { [kind]: { id: given, description: 'x' } });
      expect((await patch('another')).status, kind).toBe(400);
      const same = await patch(id);
      expect([same.status, same.json[kind].id], kind).toEqual([200, id]);
    }
    expect((await call('PUT', '/regions/here', { region: { id: 'there' } })).status).toBe(400);
    expect((await call('PUT', '/regions/here', { region: {} })).status).toBe(201);
    expect((await call('PUT', '/regions/here', { region: {} })).status).toBe(409);
  });

  it('says whom a missing grant was about', async () => {
    const { userId, projectId } = await cloud.projectUser('grantless');
    const path = `/projects/${projectId}/users/${userId}/roles/${role.manager}`;
    for (const method of ['GET', 'DELETE']) {
      const reply = await call(method, path);
      expect([reply.status, reply.json.error.message]).toEqual([
        404,
        `Could not find role assignment with role: ${role.manager}, user or group: ${userId}, project, domain, or system: ${projectId}.`,
      ]);
    }
    await put(path);
    await put(path);
    expect((await call('GET', `/projects/${projectId}/users/${userId}/roles`)).json.roles).toHaveLength(2);
  });

  describe('listed', () => {
    let domain: string;
    let top: string;
    let low: string;
    let user: string;
    let group: string;

    beforeAll(async () => {
      domain = (await make('domain', { name: 'listed' })).id;
      top = (await make('project', { name: 'top', domain_id: domain })).id;
      low = (await make('project', { name: 'low', parent_id: top })).id;
      user = (await make('user', { name: 'u', domain_id: domain })).id;
      group = (await make('group', { name: 'g', domain_id: domain })).id;
      await put(`/groups/${group}/users/${user}`);
      await put(`/projects/${top}/users/${user}/roles/${role.member}`);
      await put(`/OS-INHERIT/domains/${domain}/groups/${group}/roles/${role.reader}/inherited_to_projects`);
      await put(`/OS-INHERIT/projects/${top}/users/${user}/roles/${role.manager}/inherited_to_projects`);
      await put(`/system/users/${user}/roles/${role.reader}`);
    });

    it('as granted, by every filter', async () => {
      const direct = {
        role: { id: role.member },
        user: { id: user },
        scope: { project: { id: top } },
        links: { assignment: `${SELF}/projects/${top}/users/${user}/roles/${role.member}` },
      };
      const byGroup = {
        role: { id: role.reader },
        group: { id: group },
        scope: { domain: { id: domain }, 'OS-INHERIT:inherited_to': 'projects' },
        links: {
          assignment: `${SELF}/OS-INHERIT/domains/${domain}/groups/${group}/roles/${role.reader}/inherited_to_projects`,
        },
      };
      const onSystem = {
        role: { id: role.reader },
        user: { id: user },
        scope: { system: { all: true } },
        links: { assignment: `${SELF}/system/users/${user}/roles/${role.reader}` },
      };
      expect(await assignments(`group.id=${group}`)).toEqual([byGroup]);
      expect(await assignments(`scope.domain.id=${domain}`)).toEqual([byGroup]);
      expect(await assignments(`user.id=${user}&role.id=${role.member}`)).toEqual([direct]);
      expect(await assignments(`user.id=${user}&scope.system=all`)).toEqual([onSystem]);
      expect(await assignments(`user.id=${user}&scope.system=some`)).toHaveLength(3);
      expect(await assignments(`user.id=${user}`)).toHaveLength(3);
      expect(await assignments(`scope.project.id=${low}`)).toEqual([]);
      expect(await assignments(`scope.project.id=${top}&include_subtree`)).toHaveLength(2);
      expect(await assignments(`user.id=${user}&scope.OS-INHERIT:inherited_to=projects`)).toMatchObject([
        { role: { id: role.manager }, scope: { project: { id: top } } },
      ]);
      expect(await assignments('user.id=nobody')).toEqual([]);
    });

    it('as they take effect', async () => {
      const sorted = async (query: string) =>
        (await assignments(`${query}&effective&include_names`))
          .map(
            (row: {
              role: { name: string };
              user: { name: string };
              scope: { project?: { name: string } };
            }) => `${row.user.name} ${row.role.name} ${row.scope.project?.name}`,
          )
          .sort();
      expect(await sorted(`user.id=${user}&scope.project.id=${top}`)).toEqual([
        'u member top',
        'u reader top',
        'u reader top',
      ]);
      expect(await sorted(`scope.project.id=${low}`)).toEqual([
        'u manager low',
        'u member low',
        'u reader low',
        'u reader low',
      ]);
      expect(await sorted(`scope.project.id=${low}&role.id=${role.member}`)).toEqual(['u member low']);
      expect(await sorted(`scope.project.id=${top}&include_subtree`)).toHaveLength(7);
      expect(await sorted(`user.id=${user}&scope.OS-INHERIT:inherited_to=projects`)).toHaveLength(5);
      expect(await assignments(`scope.domain.id=${domain}&effective`)).toEqual([]);
      const [member] = await assignments(
        `user.id=${user}&scope.project.id=${low}&role.id=${role.manager}&effective`,
      );
      expect(member).toEqual({
        role: { id: role.manager },
        user: { id: user },
        scope: { project: { id: low }, 'OS-INHERIT:inherited_to': 'projects' },
        links: {
          assignment: `${SELF}/OS-INHERIT/projects/${top}/users/${user}/roles/${role.manager}/inherited_to_projects`,
        },
      });
      const [reader] = await assignments(
        `user.id=${user}&scope.project.id=${low}&role.id=${role.reader}&scope.OS-INHERIT:inherited_to=projects&effective`,
      ).then((rows) => rows.filter((row: { links: { membership?: string } }) => !row.links.membership));
      expect(reader.links).toEqual({
        assignment: `${SELF}/OS-INHERIT/projects/${top}/users/${user}/roles/${role.manager}/inherited_to_projects`,
        prior_role: `${SELF}/prior_role/${role.member}/implies/${role.reader}`,
      });
      const onSystem = (rows: { scope: { system?: object } }[]) => rows.filter(({ scope }) => scope.system);
      expect(onSystem(await assignments(`user.id=${user}&effective`))).toEqual([]);
      expect(onSystem(await assignments(`user.id=${user}&scope.system=all&effective`))).toHaveLength(1);
      const viaGroup = (await assignments(`scope.project.id=${low}&effective`)).find(
        (row: { links: { membership?: string } }) => row.links.membership,
      );
      expect(viaGroup.links).toEqual({
        assignment: `${SELF}/OS-INHERIT/domains/${domain}/groups/${group}/roles/${role.reader}/inherited_to_projects`,
        membership: `${SELF}/groups/${group}/users/${user}`,
      });
    });

    it('reads no other domain’s grants, projects and members for a domain', async () => {
      const seen: unknown[] = [];
      const db = cloud.app.store.read.withPlugin({
        transformQuery: ({ node }) => node,
        transformResult: async ({ result }) => {
          seen.push(...result.rows);
          return result;
        },
      });
      for (const list of [effectiveAssignments, grantedAssignments]) {
        const all = await list(db, { withinDomain: domain });
        expect(new Set(all.map((row) => row.target_id))).toEqual(
          new Set(list === effectiveAssignments ? [top, low] : [top, domain]),
        );
      }
      const inside = new Set([domain, top, low]);
      const rows = seen as { target_id?: string; parent_id?: string; id?: string; user_id?: string }[];
      expect(rows.filter((row) => row.target_id && !inside.has(row.target_id))).toEqual([]);
      expect(rows.filter((row) => row.parent_id && !inside.has(row.id!))).toEqual([]);
      expect(rows.filter((row) => row.user_id && row.user_id !== user)).toEqual([]);
    });

    it('with names', async () => {
      const here = { id: domain, name: 'listed' };
      expect(await assignments(`group.id=${group}&include_names`)).toMatchObject([
        {
          role: { id: role.reader, name: 'reader' },
          group: { id: group, name: 'g', domain: here },
          scope: { domain: here },
        },
      ]);
      const [direct] = await assignments(`user.id=${user}&role.id=${role.member}&include_names`);
      expect(direct.user).toEqual({ id: user, name: 'u', domain: here });
      expect(direct.scope.project).toEqual({ id: top, name: 'top', domain: here });
      expect(direct.role).toEqual({ id: role.member, name: 'member' });
    });

    it('not by filters that contradict each other', async () => {
      const wrong = [
        [`scope.project.id=${top}&scope.domain.id=${domain}`, 'Specify a domain or project, not both'],
        [`scope.system=all&scope.domain.id=${domain}`, 'Specify system or domain, not both'],
        [`scope.system=all&scope.project.id=${top}`, 'Specify system or project, not both'],
        [`user.id=${user}&group.id=${group}`, 'Specify a user or group, not both'],
        [
          `effective&group.id=${group}`,
          'Combining effective and group filter will always result in an empty list.',
        ],
        [
          `effective&scope.domain.id=${domain}&scope.OS-INHERIT:inherited_to=projects`,
          'Combining effective, domain and inherited filters will always result in an empty list.',
        ],
        ['include_subtree', 'scope.project.id must be specified if include_subtree is also specified'],
      ];
      for (const [query, message] of wrong) {
        const reply = await call('GET', `/role_assignments?${query}`);
        expect([reply.status, reply.json.error.message], query).toEqual([400, message]);
      }
      const unknown = await call('GET', '/role_assignments?include_subtree&scope.project.id=nobody');
      expect(unknown.status).toBe(404);
    });
  });
});
