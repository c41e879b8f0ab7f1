import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adminService } from '../../src/api/admin/service.js';
import { allServices } from '../../src/api/services.js';
import type { App } from '../../src/core/app.js';
import type { AuditRecord } from '../../src/core/audit/read.js';
import { ADMIN_PASSWORD, TestApp, type TestUser } from '../support/app.js';
import { DIALECTS } from '../support/stores.js';

const service = (name: string) => (app: App) => allServices(app).find((one) => one.name === name)!;
const ISO = expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/);

describe.each(DIALECTS)('audit records on %s', (dialect) => {
  let cloud: TestApp;
  let admin: TestUser;
  let member: TestUser;

  beforeAll(async () => {
    cloud = await TestApp.open({
      dialect,
      services: [service('compute'), service('volume'), service('network'), adminService],
    });
    admin = await cloud.admin();
    member = await cloud.projectUser('demo');
  });
  afterAll(() => cloud?.close());

  const list = async (query: Record<string, string> = {}): Promise<AuditRecord[]> => {
    const reply = await cloud.request('GET', `/maru/v1/audit?${new URLSearchParams(query)}`, {
      token: admin.token,
    });
    expect(reply.status, reply.text).toBe(200);
    return reply.json.records;
  };
  /** The one record of a reply's request. */
  const recordOf = async (reply: { headers: Readonly<Record<string, string>> }): Promise<AuditRecord> => {
    const found = await list({ request_id: reply.headers['x-openstack-request-id']! });
    expect(found).toHaveLength(1);
    return found[0]!;
  };

  it('say who did what to what, by which request, from where, and how it ended', async () => {
    const reply = await cloud.request('POST', '/identity/v3/projects', {
      token: admin.token,
      body: { project: { name: 'audited', description: 'x' } },
    });
    const { id } = reply.json.project;
    expect(await recordOf(reply)).toMatchObject({
      at: ISO,
      repeats: 1,
      service: 'identity',
      action: 'identity:create_project',
      outcome: 'succeeded',
      status: 201,
      reason: null,
      request: { method: 'POST', path: '/identity/v3/projects' },
      user: { id: admin.userId, name: 'admin', domain: { id: 'default', name: 'Default' } },
      scope: 'project',
      project: { id: admin.projectId, name: 'admin' },
      domain: { id: 'default' },
      address: '127.0.0.1',
      target: { type: 'project', id, name: 'audited' },
    });
    const gone = await cloud.request('DELETE', `/identity/v3/projects/${id}`, { token: admin.token });
    expect(await recordOf(gone)).toMatchObject({
      action: 'identity:delete_project',
      target: { type: 'project', id },
    });
  });

  it('of a refused request say why', async () => {
    const reply = await cloud.request('POST', '/identity/v3/projects', {
      token: member.token,
      body: { project: { name: 'not mine' } },
    });
    expect(reply.status).toBe(403);
    expect(await recordOf(reply)).toMatchObject({
      outcome: 'refused',
      status: 403,
      reason: expect.stringContaining('identity:create_project'),
      user: { id: member.userId },
      target: { type: 'project', id: null },
    });
    const missing = await cloud.request('DELETE', '/compute/v2.1/servers/nothing', { token: member.token });
    expect(await recordOf(missing)).toMatchObject({
      action: 'os_compute_api:servers:delete',
      outcome: 'refused',
      status: 404,
      target: { type: 'server', id: 'nothing' },
    });
  });

  it('name the action that a body asks for', async () => {
    const url = '/compute/v2.1/servers/nothing/action';
    const reply = await cloud.request('POST', url, { token: member.token, body: { 'os-stop': null } });
    expect(await recordOf(reply)).toMatchObject({ action: 'os_compute_api:servers:stop', status: 404 });
  });

  it('tell whose the thing is that an administrator changes', async () => {
    const made = await cloud.request('POST', '/network/v2.0/security-groups', {
      token: member.token,
      body: { security_group: { name: 'web' } },
    });
    expect(made.status, made.text).toBe(201);
    const { id } = made.json.security_group;
    expect(await recordOf(made)).toMatchObject({
      target: { type: 'security-group', id, name: 'web', project_id: member.projectId },
    });
    const reply = await cloud.request('DELETE', `/network/v2.0/security-groups/${id}`, {
      token: admin.token,
    });
    expect(reply.status).toBe(204);
    expect(await recordOf(reply)).toMatchObject({
      project: { id: admin.projectId },
      target: { type: 'security-group', id, project_id: member.projectId },
    });
    const ofProject = await list({ project: member.projectId });
    expect(ofProject.map(({ action }) => action)).toEqual(
      expect.arrayContaining(['delete_security_group', 'create_security_group']),
    );
  });

  it('of a login tell who it was, of a failed one who it claims to be, if there is such a user', async () => {
    const login = (name: string, password: string) =>
      cloud.request('POST', '/identity/v3/auth/tokens', {
        body: {
          auth: {
            identity: {
              methods: ['password'],
              password: { user: { name, domain: { id: 'default' }, password } },
            },
            scope: { project: { name: 'admin', domain: { id: 'default' } } },
          },
        },
      });
    const good = await recordOf(await login('admin', ADMIN_PASSWORD));
    expect(good).toMatchObject({
      action: 'identity:authenticate',
      outcome: 'succeeded',
      user: { id: admin.userId, name: 'admin' },
      project: { id: admin.projectId },
      target: { type: 'token', id: good.token_audit_id },
    });
    const bad = await recordOf(await login('admin', 'wrong password'));
    expect(bad).toMatchObject({
      outcome: 'refused',
      status: 401,
      user: { id: admin.userId, name: 'admin', domain: { id: 'default' } },
      project: null,
      token_audit_id: null,
    });
    // a password where the name belongs
    const unknown = await recordOf(await login('hunter2hunter2', 'x'));
    expect(unknown).toMatchObject({
      outcome: 'refused',
      status: 401,
      user: null,
      detail: { user: 'unknown' },
    });
    expect(JSON.stringify(unknown)).not.toContain('hunter2');
  });

  it('of a token that is none have the address and nothing else', async () => {
    const reply = await cloud.request('DELETE', '/identity/v3/users/x', { token: 'not-a-token-at-all' });
    expect(await recordOf(reply)).toMatchObject({
      action: 'identity:delete_user',
      status: 401,
      user: null,
      address: '127.0.0.1',
    });
  });

  it('of rotated keys say whose they are, which was made, and whether tokens ended', async () => {
    const rotate = async (keys: string, body: object) => {
      const on = { token: (await cloud.admin()).token, body };
      const reply = await cloud.request('POST', `/maru/v1/keys/${keys}/rotate`, on);
      expect(reply.status, reply.text).toBe(200);
      const of = reply.json.keys.filter((key: { purpose: string }) => key.purpose === keys);
      admin = await cloud.admin();
      return { record: await recordOf(reply), made: of[0].id as string };
    };
    const kept = await rotate('tokens', {});
    expect(kept.record).toMatchObject({
      action: 'maru:key:rotate',
      target: { type: 'key', id: kept.made, name: 'tokens' },
    });
    expect(kept.record.detail).toEqual({ end_tokens: false, made: kept.made });
    const credentials = await rotate('credentials', {});
    expect(credentials.record.target).toMatchObject({ type: 'key', name: 'credentials' });
    expect(credentials.record.detail).toEqual({ sealed: 0, made: credentials.made });
    const ended = await rotate('tokens', { end_tokens: true });
    expect(ended.record.detail).toEqual({ end_tokens: true, made: ended.made });
    member = await cloud.projectUser('demo');
  });

  it('are not left by reads', async () => {
    const reply = await cloud.request('GET', '/identity/v3/projects', { token: admin.token });
    expect(await list({ request_id: reply.headers['x-openstack-request-id']! })).toEqual([]);
  });

  it('are not left by trials, allowed or not', async () => {
    const tried = async (token: string, user: string) => {
      const body = { check: { user, action: 'identity:list_users' } };
      const reply = await cloud.request('POST', '/maru/v1/policies/check', { token, body });
      expect(await list({ request_id: reply.headers['x-openstack-request-id']! })).toEqual([]);
      return reply.status;
    };
    expect(await tried(admin.token, 'admin')).toBe(200);
    expect(await tried(admin.token, 'nobody of that name')).toBe(404);
    expect(await tried(member.token, 'admin')).toBe(403);
  });

  it('name a change of one’s own password whatever its summary says', async () => {
    const { userId } = await cloud.projectUser('chooser');
    const reply = await cloud.request('POST', `/identity/v3/users/${userId}/password`, {
      body: { user: { original_password: 'not it', password: 'another-secret' } },
    });
    expect(await recordOf(reply)).toMatchObject({ action: 'identity:change_password', status: 401 });
  });

  it('stay readable when user and project are gone', async () => {
    const { userId, projectId, token } = await cloud.projectUser('passing');
    const made = await cloud.request('POST', '/network/v2.0/security-groups', {
      token,
      body: { security_group: { name: 'left behind' } },
    });
    expect(made.status, made.text).toBe(201);
    for (const path of [`users/${userId}`, `projects/${projectId}`]) {
      const gone = await cloud.request('DELETE', `/identity/v3/${path}`, { token: admin.token });
      expect(gone.status, gone.text).toBe(204);
    }
    const [record] = await list({ user: 'passing-member' });
    expect(record).toMatchObject({
      user: { id: userId, name: 'passing-member' },
      project: { id: projectId, name: 'passing' },
    });
    expect(await list({ target: userId })).toHaveLength(1);
  });

  it('are found by each filter, in pages, the latest first', async () => {
    const { token, userId } = await cloud.projectUser('pages');
    const replies = [];
    const before = new Date().toISOString();
    for (let n = 0; n < 5; n++) {
      replies.push(
        await cloud.request('POST', '/network/v2.0/security-groups', {
          token,
          body: { security_group: { name: `page ${n}` } },
        }),
      );
    }
    const ids = replies.map(({ headers }) => headers['x-openstack-request-id']).reverse();
    expect((await list({ user: userId })).map(({ request }) => request.id)).toEqual(ids);
    const pages: (string | null)[] = [];
    let marker: string | null = null;
    do {
      const query = new URLSearchParams({ user: userId, limit: '2', ...(marker ? { marker } : {}) });
      const { json } = await cloud.request('GET', `/maru/v1/audit?${query}`, { token: admin.token });
      pages.push(...json.records.map(({ request }: AuditRecord) => request.id));
      marker = json.next;
    } while (marker !== null);
    expect(pages).toEqual(ids);
    expect(await list({ user: userId, since: before })).toHaveLength(5);
    expect(await list({ user: userId, until: before })).toHaveLength(0);
    expect(await list({ user: userId, action: 'create_*' })).toHaveLength(5);
    expect(await list({ user: userId, action: 'delete_*' })).toHaveLength(0);
    expect(await list({ user: userId, outcome: 'refused' })).toHaveLength(0);
    expect(await list({ user: userId, status: '201', service: 'network' })).toHaveLength(5);
    expect(await list({ user: userId, target_type: 'security-group', target: 'page 3' })).toHaveLength(1);
    expect(await list({ user: userId, address: '192.0.2.1' })).toHaveLength(0);
    const [one] = await list({ user: userId, limit: '1' });
    const shown = await cloud.request('GET', `/maru/v1/audit/${one!.id}`, { token: admin.token });
    expect(shown.json.record).toEqual(one);
  });

  it('are for administrators only, who are told what makes no sense', async () => {
    for (const path of ['audit', 'audit/x']) {
      expect((await cloud.request('GET', `/maru/v1/${path}`, { token: member.token })).status).toBe(403);
      expect((await cloud.request('GET', `/maru/v1/${path}`)).status).toBe(401);
    }
    for (const query of ['since=yesterday', 'limit=0', 'outcome=good', 'marker=x', 'nothing=x', 'status=9']) {
      const reply = await cloud.request('GET', `/maru/v1/audit?${query}`, { token: admin.token });
      expect(reply.status, query).toBe(400);
    }
    expect((await cloud.request('GET', '/maru/v1/audit/nothing', { token: admin.token })).status).toBe(404);
  });
});
