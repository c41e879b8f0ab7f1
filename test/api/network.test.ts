import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { networkService } from '../../src/api/network/service.js';
import { TestApp, type TestUser } from '../support/app.js';

let cloud: TestApp;
let admin: TestUser;
let demo: TestUser;

beforeAll(async () => {
  cloud = await TestApp.open({ services: [() => networkService] });
  admin = await cloud.admin();
  demo = await cloud.projectUser('demo');
});
afterAll(() => cloud.close());

async function call(who: TestUser, method: string, path: string, body?: unknown) {
  return await cloud.request(method, `/network/v2.0/${path}`, { token: who.token, body });
}

describe('network API', () => {
  it('carries a tenant from a network to a floating IP', async () => {
    const ext = await call(admin, 'POST', 'networks', {
      network: {
        name: 'public',
        'router:external': true,
        'provider:network_type': 'flat',
        'provider:physical_network': 'extnet',
      },
    });
    expect(ext.status, ext.text).toBe(201);
    const extSubnet = await call(admin, 'POST', 'subnets', {
      subnet: {
        network_id: ext.json.network.id,
        ip_version: 4,
        cidr: '172.24.4.0/24',
        gateway_ip: '172.24.4.1',
        enable_dhcp: false,
        allocation_pools: [{ start: '172.24.4.10', end: '172.24.4.200' }],
      },
    });
    expect(extSubnet.status, extSubnet.text).toBe(201);
    const net = await call(demo, 'POST', 'networks', { network: { name: 'private' } });
    expect(net.status, net.text).toBe(201);
    const subnet = await call(demo, 'POST', 'subnets', {
      subnet: { network_id: net.json.network.id, ip_version: 4, cidr: '10.0.0.0/24' },
    });
    expect(subnet.status, subnet.text).toBe(201);
    const router = await call(demo, 'POST', 'routers', {
      router: { name: 'r', external_gateway_info: { network_id: ext.json.network.id } },
    });
    expect(router.status, router.text).toBe(201);
    const added = await call(demo, 'PUT', `routers/${router.json.router.id}/add_router_interface`, {
      subnet_id: subnet.json.subnet.id,
    });
    expect(added.status, added.text).toBe(200);
    const port = await call(demo, 'POST', 'ports', { port: { network_id: net.json.network.id } });
    expect(port.status, port.text).toBe(201);
    const floating = await call(demo, 'POST', 'floatingips', {
      floatingip: { floating_network_id: ext.json.network.id, port_id: port.json.port.id },
    });
    expect(floating.status, floating.text).toBe(201);
    expect(floating.json.floatingip).toMatchObject({
      status: 'ACTIVE',
      port_id: port.json.port.id,
      router_id: router.json.router.id,
      fixed_ip_address: port.json.port.fixed_ips[0].ip_address,
    });
    for (const path of [
      'networks',
      'subnets',
      'ports',
      'routers',
      'floatingips',
      'security-groups',
      'security-group-rules',
      'extensions',
      `quotas/${demo.projectId}/default`,
    ]) {
      const reply = await call(demo, 'GET', path);
      expect(reply.status, `${path}: ${reply.text}`).toBe(200);
    }
  });
});
