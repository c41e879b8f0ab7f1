import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adminService } from '../../src/api/admin/service.js';
import { computeService } from '../../src/api/compute/service.js';
import { networkService } from '../../src/api/network/service.js';
import { reloadPolicyFile } from '../../src/core/policy/reload.js';
import { TestApp } from '../support/app.js';
import { makeServerRow } from '../support/server-row.js';

const PATH = '/maru/v1/policies';

describe('the policy API', () => {
  let cloud: TestApp;
  let admin: string;

  beforeAll(async () => {
    cloud = await TestApp.open({
      services: [({ config }) => computeService(config), () => networkService, () => adminService()],
    });
    admin = await cloud.adminToken();
  });
  afterAll(() => cloud.close());

  const ask = (method: string, path: string, body?: unknown, token = admin) =>
    cloud.request(method, PATH + path, { token, ...(body !== undefined && { body }) });
  const set = (name: string, rule: unknown, more = {}) =>
    ask('PUT', `/${encodeURIComponent(name)}`, { policy: { rule, ...more } });
  const unset = (name: string) => ask('DELETE', `/${encodeURIComponent(name)}`);
  const message = (reply: { json: { error?: { message: string } } }) => reply.json?.error?.message ?? '';

  it('lists every policy with its rule, its source and what it governs', async () => {
    const { policies } = (await ask('GET', '')).json;
    const found = policies.find((p: { name: string }) => p.name === 'os_compute_api:servers:start');
    expect(found).toMatchObject({
      rule: 'rule:project_member_or_admin',
      source: 'default',
      default: 'rule:project_member_or_admin',
      uses: [{ service: 'compute', method: 'POST', path: '/compute/v2.1/servers/:server_id/action' }],
    });
    const operations = policies.flatMap((p: { uses: unknown[] }) => p.uses);
    expect(operations.length).toBeGreaterThan(300);
  });

  it('sets a rule that holds from the next request on, and takes it back', async () => {
    const reader = await cloud.projectToken('quick', 'reader');
    const list = () => cloud.request('GET', '/compute/v2.1/servers', { token: reader });
    expect((await list()).status).toBe(200);
    const reply = await set('compute:servers:index', 'role:nobody');
    expect(reply.status).toBe(200);
    expect(reply.json.policy).toMatchObject({
      name: 'os_compute_api:servers:index',
      source: 'database',
      rule: 'role:nobody',
      default: 'rule:project_reader_or_admin',
      updated_by: (await cloud.admin()).userId,
    });
    expect((await list()).status).toBe(403);
    expect((await unset('compute:servers:index')).status).toBe(204);
    expect((await list()).status).toBe(200);
  });

  it('refuses a name that no operation has, with the near one', async () => {
    const reply = await set('os_compute_api:servers:crate', '@');
    expect(reply.status).toBe(400);
    expect(message(reply)).toContain("did you mean 'os_compute_api:servers:create'?");
    expect(message(await ask('GET', '/os_compute_api:servers:crate'))).toContain('servers:create');
  });

  it('refuses a rule that cannot be read, and says where', async () => {
    const reply = await set('compute:servers:create', 'role:a and (role:b or )');
    expect(reply.status).toBe(400);
    expect(message(reply)).toContain("character 23: a check is missing before ')'");
    for (const rule of ['role:a role:b', 'role', 'http://x/y', "'x:%(y)s"]) {
      expect(message(await set('compute:servers:create', rule)), rule).toMatch(/character \d+/);
    }
    expect((await set('compute:servers:create', 7)).status).toBe(400);
  });

  it('refuses references to nothing, and circles', async () => {
    expect(message(await set('compute:servers:create', 'rule:project_membr'))).toContain(
      "rule 'project_membr', which does not exist; did you mean 'project_member'?",
    );
    expect(message(await set('project_member', 'rule:project_member_or_admin'))).toMatch(
      /in a circle: .* → /,
    );
  });

  it('refuses what would keep whoever asks from changing policies again', async () => {
    for (const [name, rule] of [
      ['maru:policies:set', 'role:nobody'],
      ['context_is_admin', 'role:nobody'],
      ['context_is_admin', 'system_scope:all'],
      ['maru:policies:unset', '!'],
    ] as const) {
      const reply = await set(name, rule);
      expect(reply.status, name).toBe(409);
      expect(message(reply)).toContain('lock you out');
    }
    const all = await ask('PUT', '', { policies: { 'compute:servers:create': '@', context_is_admin: '!' } });
    expect(all.status).toBe(400);
    expect((await ask('PUT', '', { policies: { context_is_admin: '!' } })).status).toBe(409);
    expect((await ask('GET', '/context_is_admin')).json.policy.source).toBe('default');
  });

  it('knows names of one’s own when that is said, and keeps them while rules refer to them', async () => {
    expect((await set('web_team', 'role:web')).status).toBe(400);
    expect((await set('web_team', 'role:web', { own: true })).status).toBe(200);
    expect((await set('compute:servers:index', 'rule:web_team or rule:project_reader_or_admin')).status).toBe(
      200,
    );
    const reply = await unset('web_team');
    expect(reply.status).toBe(400);
    expect(message(reply)).toContain("refers to rule 'web_team'");
    expect((await unset('compute:servers:index')).status).toBe(204);
    expect((await unset('web_team')).status).toBe(204);
  });

  it('is for administrators only', async () => {
    const manager = await cloud.projectToken('quick', 'manager');
    for (const [method, path, body] of [
      ['GET', ''],
      ['GET', '/context_is_admin'],
      ['PUT', '/compute:servers:create', { policy: { rule: '@' } }],
      ['DELETE', '/compute:servers:create'],
      ['PUT', '', { policies: {} }],
      ['POST', '/check', { check: { user: 'admin', action: 'context_is_admin' } }],
    ] as const) {
      expect((await ask(method, path, body, manager)).status, `${method} ${path}`).toBe(403);
    }
  });

  it('imports all or none, and replaces', async () => {
    const wrong = { 'os_compute_api:servers:create': 'role:x', 'os_compute_api:servers:crate': '@' };
    expect((await ask('PUT', '', { policies: wrong })).status).toBe(400);
    expect((await ask('GET', '/compute:servers:create')).json.policy.source).toBe('default');
    const policies = {
      'os_compute_api:servers:create': [['rule:builders', 'project_id:%(project_id)s'], ['role:admin']],
      builders: 'role:builder',
    };
    const first = await ask('PUT', '', { policies });
    expect(first.json.changes.map((c: { name: string }) => c.name).toSorted()).toEqual(
      Object.keys(policies).toSorted(),
    );
    expect((await ask('PUT', '', { policies })).json.changes).toEqual([]);
    const records = await cloud.app.store.read
      .selectFrom('audit')
      .select(['target_id', 'user_name'])
      .where('action', '=', 'maru:policies:import')
      .where('target_type', '=', 'policy')
      .where('service', '=', 'controller')
      .execute();
    expect(records.map((row) => row.target_id).toSorted()).toEqual(Object.keys(policies).toSorted());
    expect(records.every((row) => row.user_name === 'admin')).toBe(true);
    const second = await ask('PUT', '', { policies: { get_network: 'role:admin' }, replace: true });
    expect(second.json.changes).toHaveLength(3);
    expect((await ask('PUT', '', { policies: {}, replace: true })).json.changes).toEqual([
      { name: 'get_network', old: 'role:admin', new: null },
    ]);
  });

  it('is replaced by the database where the file has a rule, too, and SIGHUP keeps what is stored', async () => {
    const file = join(cloud.app.config.state_dir, 'policy.yaml');
    const name = 'os_compute_api:servers:detail';
    const ruleNow = async () => (await ask('GET', `/${name}`)).json.policy;
    writeFileSync(file, `${name}: role:from_file\n`);
    reloadPolicyFile(cloud.app, file);
    await cloud.app.audit.flush();
    const record = await cloud.app.store.read
      .selectFrom('audit')
      .selectAll()
      .where('action', '=', 'maru:policies:reload')
      .executeTakeFirstOrThrow();
    expect(JSON.parse(record.detail ?? '')).toEqual({ file, old: null, new: 'role:from_file' });
    expect(await ruleNow()).toMatchObject({ source: 'file', rule: 'role:from_file' });
    await set(name, 'role:from_api');
    expect(await ruleNow()).toMatchObject({
      source: 'database',
      rule: 'role:from_api',
      file: 'role:from_file',
    });
    writeFileSync(file, `${name}: role:from_file_again\n`);
    cloud.app.policy.reload();
    expect(await ruleNow()).toMatchObject({ source: 'database', file: 'role:from_file_again' });
    await unset(name);
    expect(await ruleNow()).toMatchObject({ source: 'file', rule: 'role:from_file_again' });
    cloud.app.policy.reload(null);
  });

  it('keeps a record of who changed what', async () => {
    const name = 'os_compute_api:servers:delete';
    await set(name, 'role:first');
    await set(name, 'role:second');
    await cloud.app.audit.flush();
    const rows = await cloud.app.store.read
      .selectFrom('audit')
      .selectAll()
      .where('target_id', '=', name)
      .where('outcome', '=', 'succeeded')
      .orderBy('id')
      .execute();
    expect(rows.map((row) => JSON.parse(row.detail ?? '{}'))).toMatchObject([
      { old: null, new: 'role:first' },
      { old: 'role:first', new: 'role:second' },
    ]);
    expect(rows[0]).toMatchObject({ action: 'maru:policies:set', user_name: 'admin', target_type: 'policy' });
    await unset(name);
  });

  describe('a rule about the thing itself', () => {
    it('is checked against it, not against whoever asks', async () => {
      const mine = await cloud.projectUser('things');
      const theirs = await cloud.projectUser('things', 'manager');
      const create = async (token: string) =>
        (await cloud.request('POST', '/network/v2.0/networks', { token, body: { network: { name: 'n' } } }))
          .json.network.id as string;
      const [open, closed] = [await create(mine.token), await create(mine.token)];
      const rename = (id: string, name: string) =>
        cloud.request('PUT', `/network/v2.0/networks/${id}`, {
          token: theirs.token,
          body: { network: { name } },
        });
      await rename(open, 'open');
      await rename(closed, 'closed');
      await set('update_network', "rule:project_member_or_admin and 'open':%(name)s");
      expect((await rename(closed, 'x')).status).toBe(403);
      expect((await rename(open, 'open')).status).toBe(200);
      await unset('update_network');
    });
  });

  describe('check', () => {
    const check = async (body: Record<string, unknown>) =>
      (await ask('POST', '/check', { check: { user: 'trial-member', project: 'trial', ...body } })).json;
    beforeAll(async () => {
      await cloud.projectToken('trial');
      await cloud.projectToken('trial', 'reader');
    });

    it('says whether, and which part of the rule says so', async () => {
      const { check: answer } = await check({ action: 'compute:servers:create' });
      expect(answer).toMatchObject({
        policy: 'os_compute_api:servers:create',
        allowed: true,
        roles: ['member', 'reader'],
        notes: [],
      });
      const { check: other } = await check({ user: 'trial-reader', action: 'compute:servers:create' });
      expect(other.allowed).toBe(false);
      expect(other.explanation).toMatchObject({
        check: 'os_compute_api:servers:create',
        holds: false,
        parts: [
          {
            check: 'rule:project_member_or_admin',
            parts: [
              {
                check: 'or',
                parts: [
                  { check: 'rule:context_is_admin', holds: false },
                  {
                    check: 'rule:project_member',
                    parts: [
                      {
                        check: 'and',
                        parts: [
                          { check: 'role:member', holds: false, why: 'the user has roles reader' },
                          { check: 'project_id:%(project_id)s', holds: true },
                        ],
                      },
                    ],
                  },
                ],
              },
            ],
          },
        ],
      });
    });

    it('tries a rule before it is set, against any target', async () => {
      const rule = 'role:member and user_id:%(user_id)s';
      const action = 'compute:servers:delete';
      expect((await check({ action, rule })).check.allowed).toBe(true);
      const { check: answer } = await check({ action, rule, target: { user_id: 'somebody' } });
      expect(answer.allowed).toBe(false);
      expect(JSON.stringify(answer.explanation)).toContain("the target's is 'somebody'");
      expect((await ask('GET', `/${action}`)).json.policy.source).toBe('default');
      const elsewhere = await check({ action, rule: 'role:member', target: { project_id: 'p2' } });
      expect(elsewhere.check).toMatchObject({
        allowed: true,
        notes: [expect.stringContaining('not bound to the project for role:member')],
      });
      const more = await check({ action, rules: { project_member: 'role:reader' }, user: 'trial-reader' });
      expect(more.check.allowed).toBe(true);
    });

    it('refuses what is not there', async () => {
      for (const [body, words] of [
        [{ user: 'nobody', action: 'context_is_admin' }, "no user with the id 'nobody'"],
        [{ project: 'nowhere', action: 'context_is_admin' }, "no project with the id 'nowhere'"],
        [{ action: 'compute:servers:crate' }, 'did you mean'],
        [{ action: 'compute:servers:create', rule: 'role:' + 'x and' }, 'a check is missing'],
        [{ project: 'admin', action: 'context_is_admin' }, 'gets no token'],
      ] as const) {
        expect((await check(body)).error.message).toContain(words);
      }
    });
  });

  it('gives a custom role what its rules say, and nothing else', async () => {
    // an administrator makes the role `operator`, with the API alone
    const post = (path: string, body: unknown) => cloud.request('POST', path, { token: admin, body });
    const role = (await post('/identity/v3/roles', { role: { name: 'operator' } })).json.role;
    const member = await cloud.projectUser('shop');
    const { userId } = await cloud.projectUser('staff');
    const path = `/identity/v3/projects/${member.projectId}/users/${userId}/roles/${role.id}`;
    expect((await cloud.request('PUT', path, { token: admin })).status).toBe(204);
    const operators = 'role:operator and project_id:%(project_id)s';
    expect((await set('operators', operators, { own: true })).status).toBe(200);
    for (const action of ['start', 'stop', 'reboot']) {
      const reply = await set(`compute:servers:${action}`, 'rule:project_member_or_admin or rule:operators');
      expect(reply.status).toBe(200);
    }
    const answer = await ask('POST', '/check', {
      check: { user: userId, project: member.projectId, action: 'compute:servers:reboot' },
    });
    expect(answer.json.check).toMatchObject({ allowed: true, roles: ['operator'] });

    const issued = (await cloud.app.identity.tokens.issue({
      userId,
      methods: ['password'],
      scope: { kind: 'project', id: member.projectId },
    }))!;
    const token = issued.text;
    const id = await makeServerRow(cloud.app, member);
    const other = await makeServerRow(cloud.app, await cloud.projectUser('elsewhere'));
    const act = async (server: string, body: unknown) =>
      (await cloud.request('POST', `/compute/v2.1/servers/${server}/action`, { token, body })).status;
    // allowed: that it is on no host is what the answers are about
    for (const body of [{ 'os-start': null }, { 'os-stop': null }, { reboot: { type: 'SOFT' } }]) {
      expect(await act(id, body), JSON.stringify(body)).toBe(409);
      expect(await act(other, body)).toBe(404);
    }
    for (const body of [
      { lock: null },
      { unlock: null },
      { 'os-getConsoleOutput': {} },
      { 'os-resetState': {} },
    ]) {
      expect(await act(id, body), JSON.stringify(body)).toBe(403);
    }
    const own = { project_id: member.projectId, tenant_id: member.projectId, user_id: userId };
    const allowed = cloud.app.policy
      .list()
      .filter(({ name, rule, uses }) => {
        const ofTenants = uses.some(({ service }) => service !== 'identity') && rule !== '@';
        return ofTenants && cloud.app.policy.check(name, issued.info, own);
      })
      .map(({ name }) => name);
    const keypairs = ['create', 'delete', 'index', 'show'].map(
      (verb) => `os_compute_api:os-keypairs:${verb}`,
    );
    expect(allowed.toSorted()).toEqual(
      [
        ...keypairs,
        ...['reboot', 'start', 'stop'].map((verb) => `os_compute_api:servers:${verb}`),
      ].toSorted(),
    );
    // another role gains nothing by it
    const reader = await cloud.projectToken('shop', 'reader');
    const refused = await cloud.request('POST', `/compute/v2.1/servers/${id}/action`, {
      token: reader,
      body: { reboot: { type: 'SOFT' } },
    });
    expect(refused.status).toBe(403);
  });
});
