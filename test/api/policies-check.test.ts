import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adminService } from '../../src/api/admin/service.js';
import { computeService } from '../../src/api/compute/service.js';
import { TestApp } from '../support/app.js';

const PATH = '/maru/v1/policies';

/** Questions that administrators put to the policies of services, and names as they type them. */
describe('policies, as administrators ask for them', () => {
  let cloud: TestApp;
  let admin: string;
  let anna: Awaited<ReturnType<TestApp['projectUser']>>;

  beforeAll(async () => {
    cloud = await TestApp.open({ services: [({ config }) => computeService(config), () => adminService()] });
    admin = await cloud.adminToken();
    anna = await cloud.projectUser('web');
  });
  afterAll(() => cloud.close());

  const ask = (method: string, path: string, body: unknown) =>
    cloud.request(method, PATH + path, { token: admin, body });
  const set = (name: string, rule: string, more = {}) =>
    ask('PUT', `/${encodeURIComponent(name)}`, { policy: { rule, ...more } });
  const check = async (action: string, more = {}) => {
    const question = { user: anna.userId, project: anna.projectId, action, ...more };
    return (await ask('POST', '/check', { check: question })).json;
  };

  it('of identity are tried on what the user owns, as requests are', async () => {
    const get = async (path: string) =>
      (await cloud.request('GET', `/identity/v3${path}`, { token: anna.token })).status;
    const admins = (await cloud.admin()).userId;
    expect(await get(`/users/${anna.userId}`)).toBe(200);
    expect(await get(`/projects/${anna.projectId}`)).toBe(200);
    expect(await get(`/users/${admins}`)).toBe(403);
    for (const action of [
      'get_user',
      'get_project',
      'create_credential',
      'get_credential',
      'ec2_create_credential',
      'create_application_credential',
      'get_trust',
    ]) {
      expect((await check(`identity:${action}`)).check, action).toMatchObject({ allowed: true });
    }
    for (const target of [{ user_id: admins }, { 'target.user.id': admins }]) {
      expect((await check('identity:get_user', { target })).check.allowed).toBe(false);
    }
    const elsewhere = await check('identity:get_project', { target: { project_id: 'another' } });
    expect(elsewhere.check.allowed).toBe(false);
    // what other services' requests are checked against has no such attributes
    const rule = 'user_id:%(target.user.id)s';
    expect((await check('compute:servers:create', { rule })).check).toMatchObject({
      allowed: false,
      notes: [expect.stringContaining('--target target.user.id=…')],
    });
  });

  it('note roles of their rules that do not exist, but not those of the defaults', async () => {
    const action = 'compute:servers:create';
    const { notes } = (await check(action, { rule: 'role:membr' })).check;
    expect(notes).toEqual(["no role is named 'membr'; did you mean 'member'?"]);
    expect((await check(action, { rule: 'role:MEMBER' })).check.notes).toEqual([]);
    const reply = await set('web_team', 'role:web_team', { own: true });
    expect(reply.json.notes).toEqual([expect.stringContaining("no role is named 'web_team'")]);
    const within = await check(action, { rule: 'rule:web_team or role:member' });
    expect(within.check.notes).toEqual([expect.stringContaining("no role is named 'web_team'")]);
    expect((await check('identity:create_grant')).check.notes.join()).not.toContain('no role');
  });

  it('are hinted at by the name that is nearest with the service’s beginning, or says where they are', async () => {
    const said = async (action: string) => (await check(action)).error.message as string;
    expect(await said('compute:servers:creat')).toContain("did you mean 'os_compute_api:servers:create'?");
    expect(await said('servers:create')).toContain("did you mean 'os_compute_api:servers:create'?");
    expect(await said('identity:get_usr')).toContain("did you mean 'identity:get_user'?");
    expect(await said('compute:servers:list')).toContain('`maru policy list servers` shows');
    const reply = await set('compute:servers:creat', '@');
    expect(reply.status).toBe(400);
    expect(reply.json.error.message).toContain("did you mean 'os_compute_api:servers:create'?");
  });

  it('are found by the request that they govern', async () => {
    const named = async (action: string) => (await check(action)).check.policy;
    expect(await named('GET /compute/v2.1/servers')).toBe('os_compute_api:servers:index');
    expect(await named('get /compute/v2.1/servers/detail?limit=1')).toBe('os_compute_api:servers:detail');
    expect(await named('DELETE /compute/v2.1/servers/0123')).toBe('os_compute_api:servers:delete');
    const several = (await check('POST /compute/v2.1/servers/0123/action')).error;
    expect(several.code).toBe(400);
    expect(several.message).toContain('os_compute_api:servers:reboot');
    expect((await check('PUT /compute/v2.1/nothing')).error.code).toBe(404);
  });

  it('are refused under names that are said to be new and are not', async () => {
    for (const name of ['compute:servers:create', 'os_compute_api:servers:create', 'project_member']) {
      const reply = await set(name, '@', { own: true });
      expect(reply.status, name).toBe(409);
      expect(reply.json.error.message).toContain('is not new');
    }
  });
});
