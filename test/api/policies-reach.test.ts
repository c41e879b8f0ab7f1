import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { imageService } from '../../src/api/image/service.js';
import { networkService } from '../../src/api/network/service.js';
import { reloadPolicyFile } from '../../src/core/policy/reload.js';
import { createLogger } from '../../src/protocol/log.js';
import { TestApp, type TestReply, type TestUser } from '../support/app.js';
import { ComputeCloud } from '../support/compute-cloud.js';

/** What policy files of Glance said for years: whose an image is, it saw to itself. */
const OLD_GLANCE = `
default: role:admin
context_is_admin: role:admin
get_image: ""
get_images: ""
modify_image: ""
delete_image: ""
download_image: ""
upload_image: "@"
`;

describe('a policy file that asks nothing', () => {
  const directory = mkdtempSync(join(tmpdir(), 'maru-policies-reach-'));
  const policy_file = join(directory, 'policy.yaml');
  const logged: string[] = [];
  let cloud: TestApp;
  let owner: TestUser;
  let stranger: TestUser;

  beforeAll(async () => {
    writeFileSync(policy_file, OLD_GLANCE);
    const log = createLogger('warn', {}, (line) => logged.push(line));
    cloud = await TestApp.open({
      services: [({ config }) => imageService(config), () => networkService],
      config: { policy_file },
      parts: { log },
    });
    owner = await cloud.projectUser('ours');
    stranger = await cloud.projectUser('theirs');
  });
  afterAll(async () => {
    await cloud?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const image = (method: string, path: string, { token }: { token: string }, body?: unknown, type = 'json') =>
    cloud.request(method, `/image/v2/images${path}`, {
      token,
      ...(body !== undefined && { body, headers: { 'content-type': `application/${type}` } }),
    });

  it('opens nothing of other projects, and all of one’s own', async () => {
    const values = { name: 'i', disk_format: 'raw', container_format: 'bare', visibility: 'private' };
    const { id } = (await image('POST', '', owner, values)).json;
    const rename = JSON.stringify([{ op: 'replace', path: '/name', value: 'x' }]);
    const patch = (who: TestUser) =>
      image('PATCH', `/${id}`, who, rename, 'openstack-images-v2.1-json-patch');
    expect((await image('PUT', `/${id}/file`, stranger, 'bytes', 'octet-stream')).status).toBe(404);
    expect((await image('PUT', `/${id}/file`, owner, 'bytes', 'octet-stream')).status).toBe(204);
    expect((await image('GET', '', stranger)).json.images).toEqual([]);
    expect((await image('GET', `/${id}`, stranger)).status).toBe(404);
    expect((await image('GET', `/${id}/file`, stranger)).status).toBe(404);
    expect((await patch(stranger)).status).toBe(404);
    expect((await image('DELETE', `/${id}`, stranger)).status).toBe(404);

    expect((await image('GET', '', owner)).json.images).toMatchObject([{ id, name: 'i' }]);
    expect((await image('GET', `/${id}/file`, owner)).text).toBe('bytes');
    expect((await patch(owner)).status).toBe(200);
    const admin = await cloud.admin();
    expect((await image('GET', '', admin)).json.images).toMatchObject([{ id }]);
    expect((await image('GET', `/${id}`, admin)).status).toBe(200);
    expect((await image('DELETE', `/${id}`, owner)).status).toBe(204);
  });

  it('is told of at start, and so are rules that reach beyond the project when it is read again', () => {
    const text = () => logged.filter((line) => line.includes('policy rules open')).join('\n');
    expect(text()).toMatch(/\bdelete_image, .*get_image, .* ask for no role/);
    logged.length = 0;
    writeFileSync(policy_file, 'get_network: role:reader or role:admin\n');
    reloadPolicyFile(cloud.app, policy_file);
    expect(text()).toContain('get_network is not bound to the project for role:reader');
    logged.length = 0;
    writeFileSync(policy_file, 'project_reader: role:reader\n');
    reloadPolicyFile(cloud.app, policy_file);
    expect(text()).toMatch(/get_image, .*get_network, .* not bound to the project for role:reader/);
    logged.length = 0;
    writeFileSync(policy_file, 'get_network: role:reader and project_id:%(project_id)s\n');
    reloadPolicyFile(cloud.app, policy_file);
    expect(text()).toBe('');
  });
});

describe('rules that were set', () => {
  let cloud: ComputeCloud;
  let admin: string;
  let owner: TestUser;
  let stranger: TestUser;

  beforeAll(async () => {
    cloud = await ComputeCloud.openWhole();
    admin = await cloud.cloud.adminToken();
    owner = await cloud.cloud.projectUser('ours');
    stranger = await cloud.cloud.projectUser('theirs');
  });
  afterAll(() => cloud?.close());

  const send = async (
    method: string,
    path: string,
    token: string,
    body?: unknown,
    version = 'compute latest',
  ): Promise<TestReply> =>
    await cloud.cloud.request(method, path, {
      token,
      headers: { 'openstack-api-version': version },
      ...(body !== undefined && { body }),
    });
  const made = async (path: string, body: Record<string, unknown>, token = owner.token) => {
    const reply = await send('POST', path, token, body);
    expect(reply.status, reply.text).toBeLessThan(300);
    return reply.json[Object.keys(body)[0]!];
  };
  const rule = (name: string) => `/maru/v1/policies/${encodeURIComponent(name)}`;

  /** Sets rules while `body` runs. */
  async function withRules(
    rules: Readonly<Record<string, string>>,
    body: () => Promise<void>,
  ): Promise<void> {
    for (const [name, text] of Object.entries(rules)) {
      const reply = await send('PUT', rule(name), admin, { policy: { rule: text } });
      expect(reply.status, reply.text).toBe(200);
    }
    try {
      await body();
    } finally {
      for (const name of Object.keys(rules)) await send('DELETE', rule(name), admin);
    }
  }

  it('and ask nothing reach nothing of other projects, in no list either', async () => {
    const network = await made('/network/v2.0/networks', { network: { name: 'n' } });
    const volume = await made('/volume/v3/volumes', { volume: { size: 1 } });
    const open = {
      get_network: '@',
      delete_network: '',
      'volume:get_all': '',
      'volume:delete': 'not role:x',
    };
    await withRules(open, async () => {
      expect((await send('GET', '/network/v2.0/networks', stranger.token)).json.networks).toEqual([]);
      expect((await send('GET', `/network/v2.0/networks/${network.id}`, stranger.token)).status).toBe(404);
      expect((await send('DELETE', `/network/v2.0/networks/${network.id}`, stranger.token)).status).toBe(404);
      const list = async (token: string) =>
        (await send('GET', '/volume/v3/volumes?all_tenants=1', token)).json.volumes.length;
      expect(await list(stranger.token)).toBe(0);
      expect(await list(admin)).toBe(1);
      expect((await send('DELETE', `/volume/v3/volumes/${volume.id}`, stranger.token)).status).toBe(404);
      expect((await send('GET', `/network/v2.0/networks/${network.id}`, admin)).status).toBe(200);
    });
  });

  it('are noted where a rule that others refer to reaches all projects', async () => {
    const name = 'project_reader';
    const reply = await send('PUT', rule(name), admin, { policy: { rule: 'role:reader' } });
    await send('DELETE', rule(name), admin);
    expect(reply.json.notes).toHaveLength(1);
    expect(reply.json.notes[0]).toMatch(/\bget_network, .* are not bound to the project for role:reader:/);
    expect(reply.json.notes[0]).toContain('os_compute_api:servers:show');
  });

  it('are about the thing however its path is spelt, and about no other', async () => {
    const network = await made('/network/v2.0/networks', { network: { name: 'prod' } });
    const group = { name: 'prod', policy: 'affinity' };
    const { id } = await made('/compute/v2.1/os-server-groups', { server_group: group });
    await withRules(
      {
        delete_network: "rule:project_member_or_admin and not 'prod':%(name)s",
        'os_compute_api:os-server-groups:delete': "rule:project_member_or_admin and not 'prod':%(name)s",
        'os_compute_api:os-security-groups:show': "rule:project_reader_or_admin and not 'prod':%(name)s",
      },
      async () => {
        for (const path of [
          `/network/v2.0/networks/${network.id}`,
          `/network/v2.0/%6Eetworks/${network.id}`,
          `/network/v2%2E0/networks/${network.id}`,
          `/compute/v2.1/os-server-groups/${id}`,
          `/compute/v2.1/os%2Dserver%2Dgroups/${id}`,
        ]) {
          // a path that is no route's is no way around either
          expect([403, 404], path).toContain((await send('DELETE', path, owner.token)).status);
        }
        expect((await send('GET', `/network/v2.0/networks/${network.id}`, owner.token)).status).toBe(200);
        expect((await send('GET', `/compute/v2.1/os-server-groups/${id}`, owner.token)).status).toBe(200);
        const other = `/compute/v2.1/os-security-groups/${id}?x=/os-server-groups/`;
        expect((await send('GET', other, owner.token, undefined, 'compute 2.1')).status).toBe(404);
      },
    );
  });

  it('answer the same for what is another project’s as for what is not there', async () => {
    const network = await made('/network/v2.0/networks', { network: { name: 'prod' } });
    const volume = await made('/volume/v3/volumes', { volume: { size: 1, name: 'prod' } });
    const hidden = { name: 'prod', disk_format: 'raw', container_format: 'bare', visibility: 'private' };
    const image = (await send('POST', '/image/v2/images', owner.token, hidden)).json;
    const common = { name: 'shared', 'router:external': true };
    const shared = await made('/network/v2.0/networks', { network: common }, admin);
    const names = ['get_network', 'volume:get', 'get_image'];
    for (const text of ["not 'prod':%(name)s", "'prod':%(name)s"]) {
      const rules = names.map((name) => [name, `rule:project_reader_or_admin and ${text}`]);
      await withRules(Object.fromEntries(rules), async () => {
        for (const [path, id] of [
          ['/network/v2.0/networks', network.id],
          ['/volume/v3/volumes', volume.id],
          ['/image/v2/images', image.id],
        ]) {
          const foreign = await send('GET', `${path}/${id}`, stranger.token);
          const none = await send('GET', `${path}/${randomUUID()}`, stranger.token);
          expect(foreign.status, `${path} ${text}`).toBe(none.status);
          const own = await send('GET', `${path}/${id}`, owner.token);
          expect(own.status, `${path} ${text}`).toBe(text.startsWith('not') ? 403 : 200);
        }
        // what is shared is judged by what it is
        const seen = await send('GET', `/network/v2.0/networks/${shared.id}`, stranger.token);
        expect(seen.status).toBe(text.startsWith('not') ? 200 : 403);
        const known = await send('GET', `/image/v2/images/${cloud.imageId}`, stranger.token);
        expect(known.status).toBe(text.startsWith('not') ? 200 : 403);
      });
    }
  });

  it('give a server of another project addresses and groups of that project', async () => {
    await send('POST', '/identity/v3/roles', admin, { role: { name: 'operator' } });
    const operator = await cloud.cloud.projectUser('staff', 'operator');
    await cloud.hosts.add(cloud.cloud, 'host1');
    const outside = await made(
      '/network/v2.0/networks',
      { network: { name: 'outside', 'router:external': true } },
      admin,
    );
    const range = { network_id: outside.id, ip_version: 4, cidr: '203.0.113.0/24' };
    await made('/network/v2.0/subnets', { subnet: range }, admin);
    const network = await cloud.network(owner.projectId);
    const [subnet] = (await send('GET', `/network/v2.0/subnets?network_id=${network}`, admin)).json.subnets;
    const gateway = { external_gateway_info: { network_id: outside.id } };
    const router = await made('/network/v2.0/routers', { router: gateway });
    const plug = `/network/v2.0/routers/${router.id}/add_router_interface`;
    expect((await send('PUT', plug, owner.token, { subnet_id: subnet.id })).status).toBe(200);
    const floating = { floating_network_id: outside.id };
    const { id, floating_ip_address: address } = await made('/network/v2.0/floatingips', {
      floatingip: floating,
    });
    const server = (await cloud.create(owner.token, { networks: [{ uuid: network }] })).json.server.id;
    await cloud.applied(server);
    const path = `/compute/v2.1/servers/${server}`;
    const act = async (token: string, action: string) =>
      (await send('POST', `${path}/action`, token, { [action]: { address } }, 'compute 2.40')).status;
    const leads = async () =>
      (await send('GET', `/network/v2.0/floatingips/${id}`, owner.token)).json.floatingip.fixed_ip_address;
    const open = 'rule:project_member_or_admin or role:operator';
    await withRules(
      {
        'os_compute_api:os-floating-ips:add': open,
        'os_compute_api:os-floating-ips:remove': open,
        'os_compute_api:os-security-groups:list': open,
      },
      async () => {
        expect(await act(stranger.token, 'addFloatingIp')).toBe(404);
        expect(await act(operator.token, 'addFloatingIp')).toBe(202);
        expect(await leads()).toMatch(/^10\.8\./);
        expect(await act(operator.token, 'removeFloatingIp')).toBe(202);
        expect(await leads()).toBeNull();
        const groups = await send('GET', `${path}/os-security-groups`, operator.token);
        expect(groups.json.security_groups).toMatchObject([{ name: 'default', tenant_id: owner.projectId }]);
      },
    );
    // administrators give a server an address of its project's without any rule set
    expect(await act(admin, 'addFloatingIp')).toBe(202);
    expect(await act(operator.token, 'removeFloatingIp')).toBe(403);
  });
});
