import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adminService } from '../../src/api/admin/service.js';
import { allServices } from '../../src/api/services.js';
import { storeReports } from '../../src/store/reports.js';
import { TestApp } from '../support/app.js';
import { RowHosts } from '../support/fake-hosts.js';

/** The whole API is mounted where the counts of all services matter. */
describe('operators’ API', () => {
  const hosts = new RowHosts();
  let cloud: TestApp;
  let admin: string;
  let member: string;
  let hostId: string;

  beforeAll(async () => {
    cloud = await TestApp.open({ services: [adminService], parts: { hosts: hosts.gateway } });
    admin = await cloud.adminToken();
    member = await cloud.projectToken('alice');
    hostId = await hosts.add(cloud, 'host1', { warnings: ['KVM does not run'] });
  });
  afterAll(() => cloud.close());

  it('is for administrators only', async () => {
    for (const path of [
      '/v1/status',
      '/v1/hosts',
      '/v1/hosts/host1',
      '/v1/hosts/host1/plan',
      '/v1/servers/x/explain',
    ]) {
      expect((await cloud.request('GET', `/maru${path}`)).status, path).toBe(401);
      expect((await cloud.request('GET', `/maru${path}`, { token: member })).status, path).toBe(403);
    }
    const token = await cloud.request('POST', '/maru/v1/hosts/tokens', { token: member, body: {} });
    expect(token.status).toBe(403);
  });

  it('lists hosts, and shows the faults of one', async () => {
    const error = {
      message: 'no such image',
      command: 'qemu-img …',
      exit_code: 1,
      stderr: 'x',
      hint: 'upload it',
    };
    await cloud.app.store.tx((tx) =>
      storeReports(tx, hostId, [{ key: 'server/x', revision: 'r', state: 'error', error }]),
    );
    const list = await cloud.request('GET', '/maru/v1/hosts', { token: admin });
    expect(list.json.hosts).toMatchObject([
      { name: 'host1', state: 'up', enabled: true, faults: 1, simulated: false },
    ]);
    const shown = await cloud.request('GET', '/maru/v1/hosts/host1', { token: admin });
    expect(shown.json.host.fault_list).toEqual([{ object: 'server/x', ...error }]);
    const missing = await cloud.request('GET', '/maru/v1/hosts/nope', { token: admin });
    expect(missing.json).toEqual({
      error: {
        code: 404,
        title: 'not-found',
        message: "There is no host 'nope'; maru host list shows them.",
      },
    });
  });

  it('says what is wrong first', async () => {
    const up = (await cloud.request('GET', '/maru/v1/status', { token: admin })).json.status;
    expect(up.problems).toHaveLength(1);
    expect(up.problems[0].what).toContain('could not bring about 1 object');
    expect(up.warnings).toEqual(['host1: KVM does not run']);
    hosts.down.add(hostId);
    const down = (await cloud.request('GET', '/maru/v1/status', { token: admin })).json.status;
    hosts.down.delete(hostId);
    expect(down.problems[0].what).toContain('host1 is down');
  });

  it('disables and enables hosts with a reason', async () => {
    const path = '/maru/v1/hosts/host1';
    const disable = await cloud.request('POST', `${path}/disable`, {
      token: admin,
      body: { reason: 'new fans' },
    });
    expect(disable.status).toBe(204);
    const shown = (await cloud.request('GET', path, { token: admin })).json.host;
    expect(shown).toMatchObject({ enabled: false, disabled_reason: 'new fans' });
    await cloud.request('POST', `${path}/enable`, { token: admin, body: {} });
    expect((await cloud.request('GET', path, { token: admin })).json.host).toMatchObject({
      enabled: true,
      disabled_reason: null,
    });
  });

  it('refuses bad input', async () => {
    for (const body of [{ ttl: 1 }, { ttl: 'x' }, { host_name: '../x' }, { nope: 1 }]) {
      expect((await cloud.request('POST', '/maru/v1/hosts/tokens', { token: admin, body })).status).toBe(400);
    }
    expect(
      (await cloud.request('GET', `/maru/v1/servers/${randomUUID()}/explain`, { token: admin })).status,
    ).toBe(404);
    expect((await cloud.request('PUT', '/maru/v1/hosts', { token: admin })).status).toBe(405);
  });
});

describe('all operations', () => {
  let cloud: TestApp;
  beforeAll(async () => {
    cloud = await TestApp.open({ services: [] });
  });
  afterAll(() => cloud.close());

  it('have a policy unless they are discovery, authentication or a health check', () => {
    const open = allServices(cloud.app).flatMap((service) =>
      service.operations
        .filter((o) => o.policy === null)
        .map((o) => `${o.method} ${service.prefix}${o.path}`),
    );
    const discovery =
      /^GET \/(identity|compute|network|image|volume|placement)(\/|\/v[\d.]+\/?|\/versions)?$/;
    expect(open.filter((o) => !discovery.test(o))).toMatchInlineSnapshot(`
      [
        "POST /identity/v3/auth/tokens",
        "POST /identity/v3/users/:user_id/password",
        "GET /compute/v2.1/versions/:id",
      ]
    `);
  });

  it('that change something check their bodies', () => {
    const unchecked = allServices(cloud.app).flatMap((service) =>
      service.operations
        .filter((o) => ['POST', 'PUT', 'PATCH'].includes(o.method) && !o.body && !o.stream)
        .map((o) => `${o.method} ${service.prefix}${o.path}`),
    );
    expect(unchecked).toMatchInlineSnapshot(`
      [
        "PUT /identity/v3/projects/:project_id/tags/:tag",
        "PUT /identity/v3/groups/:group_id/users/:user_id",
        "PUT /identity/v3/roles/:prior_role_id/implies/:implied_role_id",
        "PUT /identity/v3/projects/:project_id/users/:user_id/roles/:role_id",
        "PUT /identity/v3/projects/:project_id/groups/:group_id/roles/:role_id",
        "PUT /identity/v3/domains/:domain_id/users/:user_id/roles/:role_id",
        "PUT /identity/v3/domains/:domain_id/groups/:group_id/roles/:role_id",
        "PUT /identity/v3/system/users/:user_id/roles/:role_id",
        "PUT /identity/v3/system/groups/:group_id/roles/:role_id",
        "PUT /identity/v3/OS-INHERIT/projects/:project_id/users/:user_id/roles/:role_id/inherited_to_projects",
        "PUT /identity/v3/OS-INHERIT/projects/:project_id/groups/:group_id/roles/:role_id/inherited_to_projects",
        "PUT /identity/v3/OS-INHERIT/domains/:domain_id/users/:user_id/roles/:role_id/inherited_to_projects",
        "PUT /identity/v3/OS-INHERIT/domains/:domain_id/groups/:group_id/roles/:role_id/inherited_to_projects",
        "POST /image/v2/images",
        "PATCH /image/v2/images/:image_id",
        "POST /image/v2/images/:image_id/actions/deactivate",
        "POST /image/v2/images/:image_id/actions/reactivate",
        "PUT /image/v2/images/:image_id/tags/:tag",
        "PUT /compute/v2.1/servers/:server_id/tags/:tag",
        "POST /network/v2.0/networks",
        "PUT /network/v2.0/networks/:id",
        "POST /network/v2.0/subnets",
        "PUT /network/v2.0/subnets/:id",
        "POST /network/v2.0/ports",
        "PUT /network/v2.0/ports/:id",
        "POST /network/v2.0/routers",
        "PUT /network/v2.0/routers/:id",
        "PUT /network/v2.0/routers/:id/add_router_interface",
        "PUT /network/v2.0/routers/:id/remove_router_interface",
        "PUT /network/v2.0/routers/:id/add_extraroutes",
        "PUT /network/v2.0/routers/:id/remove_extraroutes",
        "POST /network/v2.0/floatingips",
        "PUT /network/v2.0/floatingips/:id",
        "POST /network/v2.0/security-groups",
        "PUT /network/v2.0/security-groups/:id",
        "POST /network/v2.0/security-group-rules",
        "PUT /network/v2.0/networks/:id/tags",
        "PUT /network/v2.0/networks/:id/tags/:tag",
        "PUT /network/v2.0/subnets/:id/tags",
        "PUT /network/v2.0/subnets/:id/tags/:tag",
        "PUT /network/v2.0/ports/:id/tags",
        "PUT /network/v2.0/ports/:id/tags/:tag",
        "PUT /network/v2.0/routers/:id/tags",
        "PUT /network/v2.0/routers/:id/tags/:tag",
        "PUT /network/v2.0/floatingips/:id/tags",
        "PUT /network/v2.0/floatingips/:id/tags/:tag",
        "PUT /network/v2.0/security-groups/:id/tags",
        "PUT /network/v2.0/security-groups/:id/tags/:tag",
        "PUT /network/v2.0/quotas/:project_id",
      ]
    `);
  });

  it('are each declared once', () => {
    for (const service of allServices(cloud.app)) {
      const seen = service.operations.map((o) => `${o.method} ${o.path.replaceAll(/:\w+/g, ':x')}`);
      expect(seen.filter((route, i) => seen.indexOf(route) !== i)).toEqual([]);
    }
  });
});
