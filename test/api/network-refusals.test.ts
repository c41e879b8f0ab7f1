import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NetworkApi } from '../support/network.js';

/** What Neutron refuses, with the type and words that clients know. */

let api: NetworkApi;
// biome-ignore lint/suspicious/noExplicitAny: resources as the API returns them
let world: Record<string, any>;
const NOBODY = '00000000-0000-0000-0000-000000000000';

beforeAll(async () => {
  api = await NetworkApi.open();
  const external = await api.external();
  const routed = await api.routed(api.demo, external.network.id);
  const port = await api.port(api.demo, routed.network.id);
  const foreign = await api.network(api.other);
  const foreignSubnet = await api.subnet(api.other, foreign.id, '10.5.0.0/24');
  const group = await api.make(api.demo, 'security-groups', 'security_group', { name: 'web' });
  world = { external: external.network, ...routed, port, foreign, foreignSubnet, group };
});
afterAll(() => api.close());

type Body = () => object;

function refuses(
  name: string,
  method: string,
  path: () => string,
  body: Body | undefined,
  status: number,
  type: string,
  message: RegExp,
): void {
  it(name, async () => {
    const before = (await api.call(api.admin, 'GET', 'ports')).json.ports.length;
    const reply = await api.call(api.demo, method, path(), body?.());
    expect(reply.status, reply.text).toBe(status);
    expect(Object.keys(reply.json)).toEqual(['NeutronError']);
    expect(reply.json.NeutronError.type).toBe(type);
    expect(reply.json.NeutronError.message).toMatch(message);
    expect(reply.json.NeutronError.detail).toBe('');
    expect((await api.call(api.admin, 'GET', 'ports')).json.ports).toHaveLength(before);
  });
}

const net = (more: object) => () => ({ network: more });
const sub = (more: object) => () => ({
  subnet: { network_id: world.network.id, ip_version: 4, cidr: '10.77.0.0/24', ...more },
});
const port = (more: object) => () => ({ port: { network_id: world.network.id, ...more } });
const rule = (more: object) => () => ({
  security_group_rule: { security_group_id: world.group.id, direction: 'ingress', ...more },
});
const at = (path: string) => () => path;

describe('bodies', () => {
  refuses(
    'an unknown attribute',
    'POST',
    at('networks'),
    net({ nope: 1 }),
    400,
    'HTTPBadRequest',
    /^Unrecognized attribute\(s\) 'nope'$/,
  );
  refuses(
    'no boolean',
    'POST',
    at('networks'),
    net({ admin_state_up: 'x' }),
    400,
    'InvalidInput',
    /^Invalid input for operation: 'x' cannot be converted to boolean\.$/,
  );
  refuses(
    'no envelope',
    'POST',
    at('networks'),
    () => ({}),
    400,
    'HTTPBadRequest',
    /^Unable to find 'network' in request body$/,
  );
  refuses(
    'a name that is none',
    'POST',
    at('networks'),
    net({ name: 5 }),
    400,
    'HTTPBadRequest',
    /^Invalid input for name\. Reason: '5' is not a valid string\.$/,
  );
  refuses(
    'a name that is too long',
    'POST',
    at('networks'),
    net({ name: 'x'.repeat(256) }),
    400,
    'HTTPBadRequest',
    /exceeds maximum length of 255/,
  );
  refuses(
    'an attribute that is not given when creating',
    'POST',
    at('networks'),
    net({ status: 'DOWN' }),
    400,
    'HTTPBadRequest',
    /^Attribute 'status' not allowed in POST$/,
  );
  refuses(
    'a read-only attribute',
    'PUT',
    () => `networks/${world.network.id}`,
    net({ id: NOBODY }),
    400,
    'HTTPBadRequest',
    /^Cannot update read-only attribute id$/,
  );
  refuses(
    'a required attribute left out',
    'POST',
    at('subnets'),
    () => ({ subnet: { cidr: '10.0.0.0/24' } }),
    400,
    'HTTPBadRequest',
    /^Failed to parse request\. Required attribute 'network_id' not specified$/,
  );
  refuses(
    'another project',
    'POST',
    at('networks'),
    () => ({ network: { project_id: 'x' } }),
    400,
    'HTTPBadRequest',
    /requires admin privileges/,
  );
  refuses(
    'an empty bulk',
    'POST',
    at('networks'),
    () => ({ networks: [] }),
    400,
    'HTTPBadRequest',
    /Resources required/,
  );

  it('text that is no JSON', async () => {
    const reply = await api.cloud.request('POST', '/network/v2.0/networks', {
      token: api.demo.token,
      body: '{bad',
    });
    expect(reply.status).toBe(400);
    expect(reply.json.NeutronError).toEqual({
      type: 'HTTPBadRequest',
      message: 'Body contains invalid data',
      detail: '',
    });
  });

  it('a bulk of which one part is wrong changes nothing', async () => {
    const networks = [{ name: 'bulk-good' }, { name: 'bulk-bad', mtu: 99_999 }];
    const reply = await api.call(api.demo, 'POST', 'networks', { networks });
    expect(reply.status).toBe(400);
    const list = await api.call(api.demo, 'GET', 'networks?name=bulk-good');
    expect(list.json.networks).toEqual([]);
  });
});

describe('rights', () => {
  for (const attributes of [
    { shared: true },
    { 'router:external': true },
    { 'provider:network_type': 'vxlan' },
  ]) {
    const name = Object.keys(attributes)[0]!;
    refuses(
      `${name} by a tenant`,
      'POST',
      at('networks'),
      net(attributes),
      403,
      'PolicyNotAuthorized',
      /disallowed by policy$/,
    );
  }
  refuses(
    "another tenant's network",
    'GET',
    () => `networks/${world.foreign.id}`,
    undefined,
    404,
    'NetworkNotFound',
    /could not be found\.$/,
  );
  refuses(
    "another tenant's network, changed",
    'PUT',
    () => `networks/${world.foreign.id}`,
    net({ name: 'x' }),
    404,
    'NetworkNotFound',
    /could not be found/,
  );
  refuses(
    "another tenant's subnet",
    'DELETE',
    () => `subnets/${world.foreignSubnet.id}`,
    undefined,
    404,
    'SubnetNotFound',
    /could not be found/,
  );
  refuses(
    "a port on another tenant's network",
    'POST',
    at('ports'),
    () => ({ port: { network_id: world.foreign.id } }),
    404,
    'NetworkNotFound',
    /could not be found/,
  );
  refuses(
    'the external network, changed by a tenant',
    'PUT',
    () => `networks/${world.external.id}`,
    net({ name: 'x' }),
    403,
    'PolicyNotAuthorized',
    /disallowed/,
  );
  refuses(
    'a subnet on the external network by a tenant',
    'POST',
    at('subnets'),
    () => ({ subnet: { network_id: world.external.id, ip_version: 4, cidr: '10.9.0.0/24' } }),
    403,
    'PolicyNotAuthorized',
    /disallowed/,
  );
  refuses(
    'a port on the external network by a tenant',
    'POST',
    at('ports'),
    () => ({ port: { network_id: world.external.id } }),
    403,
    'PolicyNotAuthorized',
    /disallowed/,
  );
  refuses(
    'a binding by a tenant',
    'POST',
    at('ports'),
    port({ 'binding:host_id': 'h' }),
    403,
    'PolicyNotAuthorized',
    /disallowed/,
  );
  refuses(
    'no SNAT by a tenant',
    'PUT',
    () => `routers/${world.router.id}`,
    () => ({ router: { external_gateway_info: { network_id: world.external.id, enable_snat: false } } }),
    403,
    'PolicyNotAuthorized',
    /disallowed/,
  );

  it('subnets of an external network are not shown to tenants, provider attributes neither', async () => {
    const subnets = await api.call(api.demo, 'GET', `subnets?network_id=${world.external.id}`);
    expect(subnets.json.subnets).toEqual([]);
    const shown = (await api.call(api.demo, 'GET', `networks/${world.external.id}`)).json.network;
    expect(Object.keys(shown).filter((key) => key.startsWith('provider:'))).toEqual([]);
    const ports = await api.call(api.demo, 'GET', `ports?network_id=${world.external.id}`);
    expect(ports.json.ports).toEqual([]);
  });

  it("a request without token is refused in Keystone's format", async () => {
    const reply = await api.cloud.request('GET', '/network/v2.0/networks');
    expect(reply.status).toBe(401);
    expect(reply.json.error).toMatchObject({ code: 401, title: 'Unauthorized' });
    expect(reply.headers['www-authenticate']).toMatch(/^Keystone uri="http/);
  });
});

describe('networks and subnets', () => {
  refuses(
    'an unknown filter',
    'GET',
    at('networks?nope=1'),
    undefined,
    400,
    'HTTPBadRequest',
    /'nope'\] is invalid attribute for filtering/,
  );
  refuses(
    'a strange limit',
    'GET',
    at('networks?limit=-1'),
    undefined,
    400,
    'HTTPBadRequest',
    /Limit must be an integer/,
  );
  refuses(
    'an MTU beyond the underlay',
    'POST',
    at('networks'),
    net({ mtu: 9000 }),
    400,
    'InvalidInput',
    /Requested MTU is too big, maximum is 1450/,
  );
  refuses(
    'an overlapping block',
    'POST',
    at('subnets'),
    sub({ cidr: '10.0.0.128/25' }),
    400,
    'InvalidInput',
    /overlaps with another subnet/,
  );
  refuses(
    'host bits in a block',
    'POST',
    at('subnets'),
    sub({ cidr: '10.77.0.5/24' }),
    400,
    'HTTPBadRequest',
    /'10\.77\.0\.0\/24' is recommended/,
  );
  refuses(
    'a block of the other version',
    'POST',
    at('subnets'),
    sub({ ip_version: 6 }),
    400,
    'InvalidInput',
    /does not match the ip_version '6'/,
  );
  refuses(
    'a gateway outside',
    'POST',
    at('subnets'),
    sub({ gateway_ip: '10.78.0.1' }),
    400,
    'InvalidInput',
    /Gateway is not valid on subnet/,
  );
  refuses(
    'a gateway inside a pool',
    'POST',
    at('subnets'),
    sub({ gateway_ip: '10.77.0.9', allocation_pools: [{ start: '10.77.0.2', end: '10.77.0.20' }] }),
    409,
    'GatewayConflictWithAllocationPools',
    /conflicts with allocation pool 10\.77\.0\.2-10\.77\.0\.20/,
  );
  refuses(
    'a pool that is too large',
    'POST',
    at('subnets'),
    sub({ allocation_pools: [{ start: '10.77.0.2', end: '10.77.1.20' }] }),
    400,
    'OutOfBoundsAllocationPool',
    /spans beyond the subnet cidr/,
  );
  refuses(
    'pools that overlap',
    'POST',
    at('subnets'),
    sub({
      allocation_pools: [
        { start: '10.77.0.2', end: '10.77.0.20' },
        { start: '10.77.0.20', end: '10.77.0.30' },
      ],
    }),
    409,
    'OverlappingAllocationPools',
    /Found overlapping/,
  );
  refuses(
    'IPv6 modes for IPv4',
    'POST',
    at('subnets'),
    sub({ ipv6_ra_mode: 'slaac' }),
    400,
    'HTTPBadRequest',
    /not valid when ip_version is 4/,
  );
  refuses(
    'SLAAC with a short prefix',
    'POST',
    at('subnets'),
    sub({ ip_version: 6, cidr: '2001:db8::/48', ipv6_address_mode: 'slaac' }),
    400,
    'InvalidInput',
    /requires the prefix to be \/64/,
  );
  refuses(
    'IPv6 modes that differ',
    'POST',
    at('subnets'),
    sub({
      ip_version: 6,
      cidr: '2001:db8::/64',
      ipv6_address_mode: 'slaac',
      ipv6_ra_mode: 'dhcpv6-stateful',
    }),
    400,
    'InvalidInput',
    /must be the same value/,
  );
  refuses(
    'a network in use',
    'DELETE',
    () => `networks/${world.network.id}`,
    undefined,
    409,
    'NetworkInUse',
    /ports still in use/,
  );
  refuses(
    'a subnet in use',
    'DELETE',
    () => `subnets/${world.subnet.id}`,
    undefined,
    409,
    'SubnetInUse',
    /have an IP allocation/,
  );

  it('Geneve and unknown provider networks, by an administrator', async () => {
    for (const [attributes, message] of [
      [{ 'provider:network_type': 'geneve' }, /network_type value 'geneve' not supported/],
      [{ 'provider:network_type': 'flat', 'provider:physical_network': 'x' }, /physical_network 'x' unknown/],
      [{ 'provider:physical_network': 'extnet' }, /network_type required/],
    ] as const) {
      const reply = await api.call(api.admin, 'POST', 'networks', { network: attributes });
      expect(reply.status).toBe(400);
      expect(reply.json.NeutronError).toMatchObject({
        type: 'InvalidInput',
        message: expect.stringMatching(message),
      });
    }
  });

  it('a provider network that is in use', async () => {
    const flat = { 'provider:network_type': 'flat', 'provider:physical_network': 'extnet' };
    await api.network(api.admin, flat);
    const reply = await api.call(api.admin, 'POST', 'networks', { network: flat });
    expect(reply.json.NeutronError).toMatchObject({ type: 'FlatNetworkInUse' });
    const vni = { 'provider:network_type': 'vxlan', 'provider:segmentation_id': 4_000_000 };
    await api.network(api.admin, vni);
    expect((await api.call(api.admin, 'POST', 'networks', { network: vni })).json.NeutronError.type).toBe(
      'TunnelIdInUse',
    );
  });
});

describe('ports', () => {
  refuses(
    'an address of no subnet',
    'POST',
    at('ports'),
    port({ fixed_ips: [{ ip_address: '192.0.2.1' }] }),
    400,
    'InvalidIpForNetwork',
    /not a valid IP for any of the subnets/,
  );
  refuses(
    'an address that is taken',
    'POST',
    at('ports'),
    () => port({ fixed_ips: [{ ip_address: world.port.fixed_ips[0].ip_address }] })(),
    409,
    'IpAddressAlreadyAllocated',
    /already allocated/,
  );
  refuses(
    'a subnet of another network',
    'POST',
    at('ports'),
    () => port({ fixed_ips: [{ subnet_id: world.foreignSubnet.id }] })(),
    400,
    'InvalidInput',
    /included invalid subnet/,
  );
  refuses(
    'a MAC that is taken',
    'POST',
    at('ports'),
    () => port({ mac_address: world.port.mac_address })(),
    409,
    'MacAddressInUse',
    /is in use/,
  );
  refuses(
    'a MAC that is none',
    'POST',
    at('ports'),
    port({ mac_address: 'zz' }),
    400,
    'HTTPBadRequest',
    /not a valid MAC address/,
  );
  refuses(
    'an unknown group',
    'POST',
    at('ports'),
    port({ security_groups: [NOBODY] }),
    404,
    'SecurityGroupNotFound',
    /does not exist/,
  );
  refuses(
    'groups without port security',
    'POST',
    at('ports'),
    () => port({ port_security_enabled: false, security_groups: [world.group.id] })(),
    409,
    'PortSecurityPortHasSecurityGroup',
    /Cannot disable port security/,
  );
  refuses(
    'a pair given twice',
    'POST',
    at('ports'),
    port({ allowed_address_pairs: [{ ip_address: '10.0.0.9' }, { ip_address: '10.0.0.9' }] }),
    400,
    'HTTPBadRequest',
    /duplicate address pair/,
  );

  it("a router's interface is not deleted as a port", async () => {
    const list = await api.call(api.demo, 'GET', `ports?device_id=${world.router.id}`);
    const reply = await api.call(api.demo, 'DELETE', `ports/${list.json.ports[0].id}`);
    expect(reply.status).toBe(409);
    expect(reply.json.NeutronError.type).toBe('ServicePortInUse');
  });
});

describe('routers and floating IPs', () => {
  refuses(
    'no such router',
    'GET',
    at(`routers/${NOBODY}`),
    undefined,
    404,
    'RouterNotFound',
    /could not be found$/,
  );
  refuses(
    'a gateway that is not external',
    'PUT',
    () => `routers/${world.router.id}`,
    () => ({ router: { external_gateway_info: { network_id: world.network.id } } }),
    400,
    'BadRequest',
    /is not an external network/,
  );
  refuses(
    'a gateway that does not exist',
    'POST',
    at('routers'),
    () => ({ router: { external_gateway_info: { network_id: NOBODY } } }),
    404,
    'NetworkNotFound',
    /could not be found/,
  );
  refuses(
    'an interface twice',
    'PUT',
    () => `routers/${world.router.id}/add_router_interface`,
    () => ({ subnet_id: world.subnet.id }),
    400,
    'BadRequest',
    /already has a port on subnet/,
  );
  refuses(
    'an interface of nothing',
    'PUT',
    () => `routers/${world.router.id}/add_router_interface`,
    () => ({}),
    400,
    'BadRequest',
    /Either subnet_id or port_id/,
  );
  refuses(
    'an interface that is not there',
    'PUT',
    () => `routers/${world.router.id}/remove_router_interface`,
    () => ({ subnet_id: NOBODY }),
    404,
    'RouterInterfaceNotFoundForSubnet',
    /has no interface on subnet/,
  );
  refuses(
    'a port in use as an interface',
    'PUT',
    () => `routers/${world.router.id}/add_router_interface`,
    () => ({ subnet_id: world.subnet.id, port_id: world.port.id }),
    400,
    'BadRequest',
    /Cannot specify both/,
  );
  refuses(
    'a router with interfaces',
    'DELETE',
    () => `routers/${world.router.id}`,
    undefined,
    409,
    'RouterInUse',
    /still has ports/,
  );
  refuses(
    'a route to nowhere',
    'PUT',
    () => `routers/${world.router.id}`,
    () => ({ router: { routes: [{ destination: '198.51.100.0/24', nexthop: '192.0.2.1' }] } }),
    400,
    'InvalidRoutes',
    /nexthop is not connected/,
  );
  refuses(
    'a floating IP of nothing',
    'POST',
    at('floatingips'),
    () => ({ floatingip: { floating_network_id: NOBODY } }),
    404,
    'NetworkNotFound',
    /could not be found/,
  );
  refuses(
    'a floating IP of a tenant network',
    'POST',
    at('floatingips'),
    () => ({ floatingip: { floating_network_id: world.network.id } }),
    400,
    'BadRequest',
    /not a valid external network/,
  );
  refuses(
    'an unknown port',
    'POST',
    at('floatingips'),
    () => ({ floatingip: { floating_network_id: world.external.id, port_id: NOBODY } }),
    404,
    'PortNotFound',
    /could not be found/,
  );
  refuses(
    'a fixed address that the port has not',
    'POST',
    at('floatingips'),
    () => ({
      floatingip: {
        floating_network_id: world.external.id,
        port_id: world.port.id,
        fixed_ip_address: '10.0.0.250',
      },
    }),
    400,
    'BadRequest',
    /does not have fixed ip/,
  );

  it('a port that no router leads to', async () => {
    const network = await api.network(api.demo);
    await api.subnet(api.demo, network.id, '10.6.0.0/24');
    const lone = await api.port(api.demo, network.id);
    const reply = await api.call(api.demo, 'POST', 'floatingips', {
      floatingip: { floating_network_id: world.external.id, port_id: lone.id },
    });
    expect(reply.status).toBe(404);
    expect(reply.json.NeutronError.type).toBe('ExternalGatewayForFloatingIPNotFound');
    const list = await api.call(api.demo, 'GET', 'floatingips');
    expect(list.json.floatingips).toEqual([]);
  });

  it('what a floating IP needs stays', async () => {
    const floating = await api.make(api.demo, 'floatingips', 'floatingip', {
      floating_network_id: world.external.id,
      port_id: world.port.id,
    });
    const types = [];
    for (const [method, path, body] of [
      ['PUT', `routers/${world.router.id}/remove_router_interface`, { subnet_id: world.subnet.id }],
      ['PUT', `routers/${world.router.id}`, { router: { external_gateway_info: null } }],
      [
        'POST',
        'floatingips',
        { floatingip: { floating_network_id: world.external.id, port_id: world.port.id } },
      ],
    ] as const) {
      const reply = await api.call(api.demo, method, path, body);
      expect(reply.status).toBe(409);
      types.push(reply.json.NeutronError.type);
    }
    expect(types).toEqual([
      'RouterInterfaceInUseByFloatingIP',
      'RouterExternalGatewayInUseByFloatingIp',
      'FloatingIPPortAlreadyAssociated',
    ]);
    expect((await api.call(api.demo, 'DELETE', `floatingips/${floating.id}`)).status).toBe(204);
  });
});

describe('security groups', () => {
  const bad = (name: string, attributes: object, type: string, message: RegExp, status = 400) =>
    refuses(name, 'POST', at('security-group-rules'), rule(attributes), status, type, message);
  bad(
    'a direction that is none',
    { direction: 'x' },
    'HTTPBadRequest',
    /'x' is not in \['ingress', 'egress'\]/,
  );
  bad('an ethertype that is none', { ethertype: 'x' }, 'SecurityGroupRuleInvalidEtherType', /not supported/);
  bad('a protocol that is none', { protocol: 'x' }, 'SecurityGroupRuleInvalidProtocol', /not supported/);
  bad('a protocol number beyond 255', { protocol: 256 }, 'SecurityGroupRuleInvalidProtocol', /not supported/);
  bad(
    'ports without protocol',
    { port_range_min: 1, port_range_max: 2 },
    'SecurityGroupProtocolRequiredWithPorts',
    /Must also specify protocol/,
  );
  bad(
    'ports in the wrong order',
    { protocol: 'tcp', port_range_min: 9, port_range_max: 2 },
    'SecurityGroupInvalidPortRange',
    /must be <=/,
  );
  bad(
    'a port beyond 65535',
    { protocol: 'tcp', port_range_min: 80, port_range_max: 65536 },
    'SecurityGroupInvalidPortValue',
    /Invalid value for port/,
  );
  bad(
    'an ICMP type beyond 255',
    { protocol: 'icmp', port_range_min: 256 },
    'SecurityGroupInvalidIcmpValue',
    /must be 0 to 255/,
  );
  bad(
    'an ICMP code without type',
    { protocol: 'icmp', port_range_max: 3 },
    'SecurityGroupMissingIcmpType',
    /type \(port-range-min\) is missing/,
  );
  bad(
    'ICMPv6 for IPv4',
    { protocol: 'ipv6-icmp' },
    'SecurityGroupEthertypeConflictWithProtocol',
    /Invalid ethertype/,
  );
  bad(
    'ports of a protocol without any',
    { protocol: 'gre', port_range_min: 1, port_range_max: 2 },
    'SecurityGroupInvalidProtocolForPort',
    /only supported for/,
  );
  bad('a prefix that is none', { remote_ip_prefix: '10.0.0.0/33' }, 'InvalidCIDR', /given as IP prefix/);
  bad(
    'a prefix of the other version',
    { remote_ip_prefix: '2001:db8::/64' },
    'SecurityGroupRuleParameterConflict',
    /Conflicting value ethertype/,
  );
  bad('an unknown remote group', { remote_group_id: NOBODY }, 'SecurityGroupNotFound', /does not exist/, 404);
  refuses(
    'prefix and group',
    'POST',
    at('security-group-rules'),
    () => rule({ remote_ip_prefix: '10.0.0.0/8', remote_group_id: world.group.id })(),
    400,
    'SecurityGroupRemoteGroupAndRemoteIpPrefix',
    /may be provided/,
  );
  refuses(
    'an unknown group',
    'POST',
    at('security-group-rules'),
    () => ({ security_group_rule: { security_group_id: NOBODY, direction: 'ingress' } }),
    404,
    'SecurityGroupNotFound',
    /does not exist/,
  );
  refuses(
    'a second default group',
    'POST',
    at('security-groups'),
    () => ({ security_group: { name: 'default' } }),
    409,
    'SecurityGroupDefaultAlreadyExists',
    /already exists/,
  );

  it('the same rule again, also when spelt differently', async () => {
    const tcp = { protocol: 'tcp', port_range_min: 22, port_range_max: 22 };
    expect((await api.call(api.demo, 'POST', 'security-group-rules', rule(tcp)())).status).toBe(201);
    for (const again of [tcp, { ...tcp, protocol: '6' }, { ...tcp, protocol: 'TCP', ethertype: 'ipv4' }]) {
      const reply = await api.call(api.demo, 'POST', 'security-group-rules', rule(again)());
      expect(reply.status).toBe(409);
      expect(reply.json.NeutronError.type).toBe('SecurityGroupRuleExists');
    }
  });

  it('the default group stays, and a group in use', async () => {
    const groups = (await api.call(api.demo, 'GET', 'security-groups?name=default')).json.security_groups;
    const removed = await api.call(api.demo, 'DELETE', `security-groups/${groups[0].id}`);
    expect([removed.status, removed.json.NeutronError.type]).toEqual([
      409,
      expect.stringMatching(/^SecurityGroup/),
    ]);
    const renamed = await api.call(api.demo, 'PUT', `security-groups/${groups[0].id}`, {
      security_group: { name: 'x' },
    });
    expect(renamed.json.NeutronError.type).toBe('SecurityGroupCannotUpdateDefault');
    const user = await api.port(api.demo, world.network.id, { security_groups: [world.group.id] });
    const inUse = await api.call(api.demo, 'DELETE', `security-groups/${world.group.id}`);
    expect(inUse.json.NeutronError.type).toBe('SecurityGroupInUse');
    await api.call(api.demo, 'DELETE', `ports/${user.id}`);
  });
});
