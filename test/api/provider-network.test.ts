import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adminService } from '../../src/api/admin/service.js';
import { networkService } from '../../src/api/network/service.js';
import { onNetworkReports } from '../../src/core/network/reports.js';
import { routerKind } from '../../src/desired/network-kinds.js';
import { specObject } from '../../src/protocol/keys.js';
import type { HostFacts, ProviderNetworkFacts } from '../../src/protocol/messages.js';
import { setPhysicalNetworks, updateHost } from '../../src/store/hosts.js';
import { TestApp, type TestUser } from '../support/app.js';
import { RowHosts } from '../support/fake-hosts.js';

/** What the network service of a lab as OpenStack's has it does: one flat external network on an alias of hosts' br-ex. */
const hosts = new RowHosts();
let cloud: TestApp;
let admin: TestUser;
let demo: TestUser;

const flat = (alias: string, more: object = {}) => ({
  'router:external': true,
  'provider:network_type': 'flat',
  'provider:physical_network': alias,
  ...more,
});

beforeAll(async () => {
  const services = [() => networkService, () => adminService()];
  cloud = await TestApp.open({ services, parts: { hosts: hosts.gateway } });
  admin = await cloud.admin();
  demo = await cloud.projectUser('demo');
});
afterAll(() => cloud?.close());

const call = (who: TestUser, method: string, path: string, body?: unknown) =>
  cloud.request(method, `/network/v2.0/${path}`, { token: who.token, body });

async function make(who: TestUser, path: string, name: string, attributes: object) {
  const reply = await call(who, 'POST', path, { [name]: attributes });
  expect(reply.status, reply.text).toBe(201);
  return reply.json[name];
}

async function refused(
  who: TestUser,
  method: string,
  path: string,
  body: unknown,
  status: number,
  error: object,
) {
  const reply = await call(who, method, path, body);
  expect(reply.status, reply.text).toBe(status);
  expect(reply.json).toEqual({ NeutronError: { detail: '', ...error } });
}

async function status() {
  const reply = await cloud.request('GET', '/maru/v1/status', { token: admin.token });
  return reply.json.status as { problems: { what: string; advice: string }[]; warnings: string[] };
}

const on = (name: string, more: Partial<ProviderNetworkFacts> = {}): ProviderNetworkFacts => ({
  name,
  bridge: 'br-ex',
  present: true,
  addresses: [],
  gateways: [],
  neighbours: [],
  ...more,
});

/** An external network with a pool of so many addresses from .20 on. */
async function external(alias: string, cidr: string, size: number) {
  const network = await make(admin, 'networks', 'network', flat(alias, { name: `net-${alias}` }));
  const [base] = cidr.split('.0/');
  const subnet = await make(admin, 'subnets', 'subnet', {
    network_id: network.id,
    ip_version: 4,
    cidr,
    enable_dhcp: false,
    allocation_pools: [{ start: `${base}.20`, end: `${base}.${19 + size}` }],
  });
  return { network, subnet };
}

describe('who may make what', () => {
  it('an alias is good when the configuration names it or a host has it, else Neutron says it is unknown', async () => {
    const unknown = {
      type: 'InvalidInput',
      message: "Invalid input for operation: physical_network 'dmz' unknown for flat provider network.",
    };
    await refused(admin, 'POST', 'networks', { network: flat('dmz') }, 400, unknown);
    const id = await hosts.add(cloud, 'dmz-host', { physical_networks: ['dmz'] });
    const made = await make(admin, 'networks', 'network', flat('dmz'));
    expect(made).toMatchObject({
      'router:external': true,
      'provider:network_type': 'flat',
      'provider:physical_network': 'dmz',
      'provider:segmentation_id': null,
    });
    expect((await call(admin, 'DELETE', `networks/${made.id}`)).status).toBe(204);
    await cloud.app.store.tx((tx) => setPhysicalNetworks(tx, id, []));
    await refused(admin, 'POST', 'networks', { network: flat('dmz') }, 400, unknown);
  });

  it('there is one flat network on each physical network', async () => {
    const made = await make(admin, 'networks', 'network', flat('extnet'));
    await refused(admin, 'POST', 'networks', { network: flat('extnet') }, 409, {
      type: 'FlatNetworkInUse',
      message: 'Unable to create the flat network. Physical network extnet is in use.',
    });
    expect((await call(admin, 'DELETE', `networks/${made.id}`)).status).toBe(204);
  });

  it('tenants make only internal networks, and Neutron names the rules that had to hold', async () => {
    const rule = 'rule:create_network';
    const cases: [object, string][] = [
      [{ 'router:external': true }, `(${rule} and ${rule}:router:external)`],
      [{ 'provider:physical_network': 'extnet' }, `(${rule} and ${rule}:provider:physical_network)`],
      [
        flat('extnet'),
        `(((${rule} and ${rule}:router:external) and ${rule}:provider:network_type) and ${rule}:provider:physical_network)`,
      ],
    ];
    for (const [attributes, rules] of cases) {
      await refused(demo, 'POST', 'networks', { network: attributes }, 403, {
        type: 'PolicyNotAuthorized',
        message: `${rules} is disallowed by policy`,
      });
    }
    const own = await make(demo, 'networks', 'network', { name: 'internal' });
    expect(own['router:external']).toBe(false);
    await refused(demo, 'PUT', `networks/${own.id}`, { network: { 'router:external': true } }, 403, {
      type: 'PolicyNotAuthorized',
      message: '(rule:update_network and rule:update_network:router:external) is disallowed by policy',
    });
  });

  it('tenants reach outside through a router, and put no port of theirs on the external network', async () => {
    const { network, subnet } = await external('extnet', '203.0.113.0/24', 5);
    const notAllowed = (what: string) => ({
      type: 'HTTPForbidden',
      message: `Tenant ${demo.projectId} not allowed to create ${what} on this network`,
    });
    await refused(demo, 'POST', 'ports', { port: { network_id: network.id } }, 403, notAllowed('port'));
    const more = { network_id: network.id, ip_version: 4, cidr: '198.51.100.0/24' };
    await refused(demo, 'POST', 'subnets', { subnet: more }, 403, notAllowed('subnet'));
    const router = await make(demo, 'routers', 'router', {
      external_gateway_info: { network_id: network.id },
    });
    expect(router.external_gateway_info.external_fixed_ips).toHaveLength(1);
    // tenants do not see the provider's subnets, so they cannot plug a router into them either
    const plug = await call(demo, 'PUT', `routers/${router.id}/add_router_interface`, {
      subnet_id: subnet.id,
    });
    expect(plug.status, plug.text).toBe(404);
    const internal = await make(demo, 'networks', 'network', {});
    await refused(
      demo,
      'POST',
      'routers',
      { router: { external_gateway_info: { network_id: internal.id } } },
      400,
      {
        type: 'BadRequest',
        message: `Bad router request: Network ${internal.id} is not an external network.`,
      },
    );
    expect((await call(demo, 'DELETE', `routers/${router.id}`)).status).toBe(204);
    expect((await call(admin, 'DELETE', `networks/${network.id}`)).status).toBe(204);
  });
});

describe('floating IPs', () => {
  it('are drawn at random from the whole pool', async () => {
    const { network } = await external('extnet', '203.0.113.0/24', 10);
    const drawn: number[] = [];
    for (let i = 0; i < 200; i++) {
      const made = await make(demo, 'floatingips', 'floatingip', { floating_network_id: network.id });
      drawn.push(Number(made.floating_ip_address.split('.')[3]));
      expect((await call(demo, 'DELETE', `floatingips/${made.id}`)).status).toBe(204);
    }
    const counts = Array.from({ length: 10 }, (_, i) => drawn.filter((last) => last === 20 + i).length);
    expect(counts.reduce((a, b) => a + b)).toBe(200);
    // 45 with 9 degrees of freedom: one fair draw in a million; the lowest free one gives 1800
    expect(counts.reduce((sum, n) => sum + (n - 20) ** 2 / 20, 0)).toBeLessThan(45);
    // taking turns would be as even, with only ten successions
    expect(new Set(drawn.slice(1).map((last, i) => `${drawn[i]}>${last}`)).size).toBeGreaterThan(50);
    expect((await call(admin, 'DELETE', `networks/${network.id}`)).status).toBe(204);
  });

  it('run out in Neutron’s words, and come back only when the host has let go of them', async () => {
    const hostId = await hosts.add(cloud, 'host1');
    const { network: outside } = await external('extnet', '203.0.113.0/24', 2);
    const router = await make(demo, 'routers', 'router', {
      external_gateway_info: { network_id: outside.id },
    });
    const inside = await make(demo, 'networks', 'network', {});
    const subnet = await make(demo, 'subnets', 'subnet', {
      network_id: inside.id,
      ip_version: 4,
      cidr: '10.0.0.0/24',
    });
    await call(demo, 'PUT', `routers/${router.id}/add_router_interface`, { subnet_id: subnet.id });
    const port = await make(demo, 'ports', 'port', { network_id: inside.id });
    // one address is the router's own
    const request = { floating_network_id: outside.id };
    const first = await make(demo, 'floatingips', 'floatingip', { ...request, port_id: port.id });
    const exhausted = {
      type: 'IpAddressGenerationFailure',
      message: `No more IP addresses available on network ${outside.id}.`,
    };
    await refused(demo, 'POST', 'floatingips', { floatingip: request }, 409, exhausted);
    await reportRouter(hostId, router.id);
    expect((await call(demo, 'DELETE', `floatingips/${first.id}`)).status).toBe(204);
    // the router's host may still answer for it
    await refused(demo, 'POST', 'floatingips', { floatingip: request }, 409, exhausted);
    await reportRouter(hostId, router.id);
    const again = await make(demo, 'floatingips', 'floatingip', request);
    expect(again.floating_ip_address).toBe(first.floating_ip_address);
    await call(demo, 'DELETE', `floatingips/${again.id}`);
    await call(demo, 'PUT', `routers/${router.id}/remove_router_interface`, { subnet_id: subnet.id });
    expect((await call(demo, 'DELETE', `routers/${router.id}`)).status).toBe(204);
    await reportRouter(hostId, router.id);
    expect((await call(admin, 'DELETE', `networks/${outside.id}`)).status).toBe(204);
  });

  /** The host says that it has the router exactly as it should be now, or no more. */
  async function reportRouter(hostId: string, id: string): Promise<void> {
    const { app } = cloud;
    const wanted = (await routerKind.objects(app.store.read, hostId)).get(id);
    const key = `router/${id}` as const;
    await app.store.tx((tx) =>
      onNetworkReports(app, tx, hostId, [
        wanted
          ? { key, revision: specObject<'router'>(wanted).revision, state: 'applied' }
          : { key, revision: null, state: 'gone' },
      ]),
    );
  }
});

describe('what an operator is told', () => {
  const tell = async (hostId: string, networks: readonly ProviderNetworkFacts[]) =>
    await cloud.app.store.tx(async (tx) => {
      const row = await tx
        .selectFrom('host')
        .select('facts')
        .where('id', '=', hostId)
        .executeTakeFirstOrThrow();
      const facts = { ...(JSON.parse(row.facts!) as HostFacts), provider_networks: networks };
      await updateHost(tx, hostId, { facts: JSON.stringify(facts) });
      const present = networks.filter((network) => network.present).map((network) => network.name);
      await setPhysicalNetworks(tx, hostId, present);
    });
  const hostId = async () =>
    (
      await cloud.app.store.read
        .selectFrom('host')
        .select('id')
        .where('name', '=', 'host1')
        .executeTakeFirstOrThrow()
    ).id;

  it('of networks and routers on an alias that no host has any more', async () => {
    const { network } = await external('extnet', '203.0.113.0/24', 50);
    const router = await make(demo, 'routers', 'router', {
      external_gateway_info: { network_id: network.id },
    });
    expect((await status()).problems.filter(({ what }) => what.includes('extnet'))).toEqual([]);
    expect((await call(demo, 'DELETE', `routers/${router.id}`)).status).toBe(204);

    await tell(await hostId(), [on('extnet', { present: false })]);
    const { problems, warnings } = await status();
    expect(problems.find(({ what }) => what.includes('net-extnet'))).toMatchObject({
      what: "Network net-extnet is on provider network 'extnet', which no host has: nothing on it works",
      advice: 'on host1, where it is mapped to br-ex: maru bridge br-ex --uplink NIC',
    });
    expect(warnings).toContain(
      "host1: provider network 'extnet' is not offered, because there is no bridge br-ex: maru bridge br-ex --uplink NIC makes it",
    );
    const waiting = await make(demo, 'routers', 'router', {
      external_gateway_info: { network_id: network.id },
    });
    const listed = await cloud.request('GET', `/maru/v1/routers/${waiting.id}`, { token: admin.token });
    expect(listed.json.router).toMatchObject({
      state: 'waiting',
      host: null,
      note: "no host has provider network 'extnet': maru status",
    });

    await tell(await hostId(), []);
    expect((await status()).problems.find(({ what }) => what.includes('net-extnet'))?.advice).toBe(
      'on a host with its cable: agent.physical_networks {extnet: br-ex} in /etc/maru/maru.yaml, then restart maru-agent',
    );
    expect((await call(demo, 'DELETE', `routers/${waiting.id}`)).status).toBe(204);
    expect((await call(admin, 'DELETE', `networks/${network.id}`)).status).toBe(204);
  });

  it('of pools that hold the address of a host, its gateway, or of machines seen on br-ex, with the command that mends it', async () => {
    const { network, subnet } = await external('extnet', '203.0.113.0/24', 50);
    const near = { addresses: ['203.0.113.21'], gateways: ['203.0.113.1'], neighbours: ['203.0.113.5'] };
    await tell(await hostId(), [on('extnet', near)]);
    const about = async () => (await status()).warnings.filter((warning) => warning.includes('the pool of'));
    const asks = 'openstack subnet set --no-allocation-pool';
    const range = (start: number, end: number) =>
      `--allocation-pool start=203.0.113.${start},end=203.0.113.${end}`;
    expect(await about()).toEqual([
      `the pool of network net-extnet (subnet ${subnet.id}) holds 203.0.113.21, the address of host host1 on br-ex: ` +
        `take that out: ${asks} ${range(20, 20)} ${range(22, 69)} ${subnet.id}`,
    ]);
    // what the advice says
    const allocation_pools = [
      { start: '203.0.113.20', end: '203.0.113.20' },
      { start: '203.0.113.22', end: '203.0.113.69' },
    ];
    expect((await call(admin, 'PUT', `subnets/${subnet.id}`, { subnet: { allocation_pools } })).status).toBe(
      200,
    );
    expect(await about()).toEqual([]);

    const others = {
      gateways: ['203.0.113.20'],
      neighbours: ['203.0.113.30', '203.0.113.19', '203.0.113.31', '203.0.113.33'],
    };
    await tell(await hostId(), [on('extnet', others)]);
    const [warning] = await about();
    expect(warning).toContain('203.0.113.20, the gateway of host host1');
    expect(warning).toContain(
      "203.0.113.30, seen by host host1 on br-ex with a MAC that is not this cloud's",
    );
    expect(warning).toContain(' and 1 more');
    expect(warning).toContain(`${asks} ${range(22, 29)} ${range(32, 32)} ${range(34, 69)} ${subnet.id}`);

    await tell(await hostId(), [on('extnet'), on('second')]);
    expect((await status()).warnings).toContain(
      "host1: provider network 'second' is on bridge br-ex, as another one is: their networks are one wire",
    );
    expect((await call(admin, 'DELETE', `networks/${network.id}`)).status).toBe(204);
  });
});
