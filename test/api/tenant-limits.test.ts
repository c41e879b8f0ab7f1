import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { networkService } from '../../src/api/network/service.js';
import { volumeService } from '../../src/api/volume/service.js';
import { ComputeCloud } from '../support/compute-cloud.js';
import { DIALECTS } from '../support/stores.js';

/** What one tenant must not be able to do to the others or to the hosts. */
describe.each(DIALECTS)('a tenant on %s', (dialect) => {
  let compute: ComputeCloud;
  let mallory: { token: string; projectId: string };
  let admin: string;

  beforeAll(async () => {
    compute = await ComputeCloud.open({
      dialect,
      services: [() => networkService, (app) => volumeService(app.config)],
    });
    await compute.hosts.add(compute.cloud, 'host1');
    mallory = await compute.cloud.projectUser('mallory');
    admin = await compute.cloud.adminToken();
  });
  afterAll(() => compute.cloud.close());

  const post = (path: string, body: unknown, token = mallory.token) =>
    compute.cloud.request('POST', `/network/v2.0/${path}`, { token, body });
  const put = (path: string, body: unknown) =>
    compute.cloud.request('PUT', `/network/v2.0/${path}`, { token: mallory.token, body });

  it('cannot put lines of configuration into a domain name', async () => {
    for (const dns_domain of ['x/\nconf-script=touch /tmp/x\n#', 'a b', 'x/y', 'a,b', '-x']) {
      expect((await post('networks', { network: { dns_domain } })).status, dns_domain).toBe(400);
    }
    expect((await post('networks', { network: { dns_domain: 'cloud.example.' } })).status).toBe(201);
  });

  it('cannot take the gateway address of a network that is shared with it', async () => {
    const shared = await post('networks', { network: { name: 'shared', shared: true } }, admin);
    const network_id = shared.json.network.id;
    const made = await post(
      'subnets',
      { subnet: { network_id, ip_version: 4, cidr: '198.51.100.0/24' } },
      admin,
    );
    const subnet = made.json.subnet;
    const server = await compute.create(mallory.token, {
      networks: [{ uuid: network_id, fixed_ip: subnet.gateway_ip }],
    });
    expect(server.status).toBe(403);
    const port = await post('ports', {
      port: { network_id, fixed_ips: [{ ip_address: subnet.gateway_ip }] },
    });
    expect(port.status).toBe(403);
    const router = await post('routers', { router: { name: 'r' } });
    const added = await put(`routers/${router.json.router.id}/add_router_interface`, {
      subnet_id: subnet.id,
    });
    expect(added.status).toBe(400);
    expect(added.json.NeutronError.message).toContain('is not owned by project making the request');
  });

  it('cannot make hosts compare without bound', async () => {
    const network = (await post('networks', { network: {} })).json.network;
    await post('subnets', { subnet: { network_id: network.id, ip_version: 4, cidr: '10.9.0.0/24' } });
    const pairs = Array.from({ length: 11 }, (_, n) => ({ ip_address: `192.0.2.${n}` }));
    const port = { network_id: network.id, allowed_address_pairs: pairs };
    expect((await post('ports', { port })).json.NeutronError.type).toBe('AllowedAddressPairExhausted');
    expect((await post('ports', { port: { ...port, allowed_address_pairs: pairs.slice(1) } })).status).toBe(
      201,
    );
    const extra_dhcp_opts = Array.from({ length: 65 }, (_, n) => ({
      opt_name: `${n + 100}`,
      opt_value: 'x',
    }));
    expect((await post('ports', { port: { network_id: network.id, extra_dhcp_opts } })).status).toBe(400);
  });

  it('gets a 400, not a 500, for the names of built-in properties and numbers past all bounds', async () => {
    const get = (path: string) => compute.cloud.request('GET', path, { token: mallory.token });
    expect((await get('/network/v2.0/networks?sort_key=constructor')).status).toBe(400);
    expect((await get('/network/v2.0/ports?limit=100000000000000000000')).status).toBe(200);
    expect((await get(`/volume/v3/${mallory.projectId}/volumes?sort_key=constructor`)).status).toBe(400);
    expect((await get(`/volume/v3/${mallory.projectId}/volumes?size=abc`)).status).toBe(400);
    const group = (await post('security-groups', { security_group: { name: 'g' } })).json.security_group;
    const rule = { security_group_id: group.id, direction: 'ingress', protocol: 'constructor' };
    expect((await post('security-group-rules', { security_group_rule: rule })).status).toBe(400);
  });

  it('can unlock what a colleague locked, but not what an administrator locked meanwhile', async () => {
    const network = await compute.network(mallory.projectId, 'private');
    const { id } = (await compute.create(mallory.token, { networks: [{ uuid: network }] })).json.server;
    const act = (token: string, body: unknown) =>
      compute.cloud.request('POST', `/compute/v2.1/servers/${id}/action`, { token, body });
    const colleague = await compute.cloud.projectToken('mallory', 'manager');
    expect((await act(colleague, { lock: null })).status).toBe(202);
    expect((await act(mallory.token, { unlock: null })).status).toBe(202);
    await act(mallory.token, { lock: null });
    await act(admin, { lock: null });
    expect((await act(mallory.token, { unlock: null })).status).toBe(403);
    expect((await act(admin, { unlock: null })).status).toBe(202);
  });
});
