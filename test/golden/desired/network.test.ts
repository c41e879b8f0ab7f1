import { expect, it } from 'vitest';
import { dhcpObject } from '../../../src/desired/dhcp.js';
import { groupMembersObject } from '../../../src/desired/group-members.js';
import { networkObject } from '../../../src/desired/network.js';
import { portObject } from '../../../src/desired/port.js';
import { routerObject } from '../../../src/desired/router.js';
import { securityGroupObject } from '../../../src/desired/security-group.js';
import type { NetworkTables } from '../../../src/store/tables/network.js';

const stamp = {
  revision_number: 1,
  created_at: '2026-01-01T00:00:00.000Z',
  updated_at: '2026-01-01T00:00:00.000Z',
};
const standard = { project_id: 'project', name: '', description: '', ...stamp };

const network: NetworkTables['network'] = {
  id: 'net',
  ...standard,
  admin_state_up: 1,
  shared: 0,
  external: 0,
  is_default: 0,
  mtu: 1450,
  port_security_enabled: 1,
  dns_domain: 'example.org.',
  network_type: 'vxlan',
  physical_network: null,
  segmentation_id: 42,
};

const subnet: NetworkTables['subnet'] = {
  id: 'subnet',
  ...standard,
  network_id: 'net',
  ip_version: 4,
  cidr: '10.0.0.0/24',
  gateway_ip: '10.0.0.1',
  enable_dhcp: 1,
  ipv6_ra_mode: null,
  ipv6_address_mode: null,
  allocation_pools: '[{"start":"10.0.0.2","end":"10.0.0.254"}]',
  dns_nameservers: '["192.0.2.53"]',
  host_routes: '[{"destination":"198.51.100.0/24","nexthop":"10.0.0.9"}]',
  service_types: '[]',
};

function port(id: string, more: Partial<NetworkTables['port']> = {}): NetworkTables['port'] {
  return {
    id,
    ...standard,
    network_id: 'net',
    admin_state_up: 1,
    mac_address: `fa:16:3e:00:00:0${id.length}`,
    device_id: 'server',
    device_owner: 'compute:nova',
    status: 'DOWN',
    port_security_enabled: 1,
    allowed_address_pairs: '[]',
    extra_dhcp_opts: '[]',
    dns_name: '',
    binding_host: 'host1',
    vnic_type: 'normal',
    binding_profile: '{}',
    server_id: 'server',
    device_index: 0,
    delete_with_server: 1,
    ...more,
  };
}

function address(portId: string, ip: string) {
  return {
    port_id: portId,
    ip_address: ip,
    subnet_id: 'subnet',
    cidr: '10.0.0.0/24',
    gateway_ip: '10.0.0.1',
    ip_version: 4 as const,
  };
}

const golden = async (name: string, object: object) =>
  await expect(`${JSON.stringify(object, null, 2)}\n`).toMatchFileSnapshot(`./network/${name}.json`);

it('a VXLAN network knows the other hosts and their ports', async () => {
  const hosts = [
    { host_id: 'h1', underlay_ip: '192.0.2.1' },
    { host_id: 'h2', underlay_ip: '192.0.2.2' },
    { host_id: 'h3', underlay_ip: '192.0.2.3' },
  ];
  const endpoints = [
    { network_id: 'net', host_id: 'h2', mac_address: 'fa:16:3e:00:00:22', underlay_ip: '192.0.2.2' },
    { network_id: 'net', host_id: 'h1', mac_address: 'fa:16:3e:00:00:11', underlay_ip: '192.0.2.1' },
    { network_id: 'net', host_id: 'h3', mac_address: 'fa:16:3e:00:00:03', underlay_ip: '192.0.2.3' },
  ];
  await golden('vxlan', networkObject(network, 'h1', hosts, endpoints));
});

it('a flat network leaves the rest to the wire', async () => {
  const flat = {
    ...network,
    network_type: 'flat' as const,
    physical_network: 'extnet',
    segmentation_id: null,
  };
  await golden('flat', networkObject(flat, 'h1', [{ host_id: 'h2', underlay_ip: '192.0.2.2' }], []));
});

it('DHCP answers the guests of its host', async () => {
  const dhcpPort = port('dhcp', { device_owner: 'network:dhcp' });
  const guests = [
    port('a', { extra_dhcp_opts: '[{"opt_name":"mtu","opt_value":"1400","ip_version":4}]' }),
    port('bb', { dns_name: 'web' }),
  ];
  const addresses = [address('dhcp', '10.0.0.2'), address('a', '10.0.0.5'), address('bb', '10.0.0.6')];
  const silent = { ...subnet, id: 'silent', cidr: '10.9.0.0/24', enable_dhcp: 0 };
  await golden('dhcp', dhcpObject({ network, subnets: [subnet, silent], dhcpPort, guests, addresses }));
});

it('a port carries its filters, unless port security is off', async () => {
  const pairs = '[{"ip_address":"10.0.0.100/32","mac_address":"fa:16:3e:00:00:01"}]';
  await golden(
    'port',
    portObject(port('a', { allowed_address_pairs: pairs }), 1450, ['10.0.0.5'], ['g2', 'g1']),
  );
  await golden('port-open', portObject(port('a', { port_security_enabled: 0 }), 1450, ['10.0.0.5'], ['g1']));
});

it('rules have one spelling', async () => {
  const rule = (id: string, more: Partial<NetworkTables['security_group_rule']>) => ({
    id,
    security_group_id: 'g',
    project_id: 'project',
    description: '',
    direction: 'ingress' as const,
    ethertype: 'IPv4' as const,
    protocol: null,
    port_range_min: null,
    port_range_max: null,
    remote_ip_prefix: null,
    remote_group_id: null,
    ...stamp,
    ...more,
  });
  await golden(
    'security-group',
    securityGroupObject({ id: 'g', ...standard, stateful: 1 }, [
      rule('5', { protocol: '6', port_range_min: 22, port_range_max: 22 }),
      rule('1', { direction: 'egress' }),
      rule('2', { ethertype: 'IPv6', protocol: 'icmp', port_range_min: 128 }),
      rule('3', { protocol: 'udp', port_range_min: 1, port_range_max: 9, remote_ip_prefix: '10.1.2.3/16' }),
      rule('4', { remote_group_id: 'other' }),
    ]),
  );
});

it('members are those whose addresses reach the network as they are', async () => {
  const row = (network_id: string, ip_address: string | null, pairs = '[]') => ({
    security_group_id: 'g',
    network_id,
    allowed_address_pairs: pairs,
    ip_address,
  });
  const rows = [
    row('net', '10.0.0.20'),
    row('net', '10.0.0.3'),
    row('net', '2001:db8::5'),
    row('joined', '10.1.0.7', '[{"ip_address":"10.1.9.0/24"}]'),
    row('strange', '10.0.0.3'),
    row('strange', '10.7.0.1'),
    row('net', null),
  ];
  await golden('group-members', groupMembersObject('g', 'net', new Set(['joined']), rows));
});

it('a router has a gateway, interfaces and floating IPs', async () => {
  const router: NetworkTables['router'] = {
    id: 'router',
    ...standard,
    admin_state_up: 1,
    host_id: 'h1',
    host_epoch: 1,
    next_host_id: null,
    gateway_port_id: 'gateway',
    gateway_network_id: 'public',
    enable_snat: 1,
    routes: '[{"destination":"198.51.100.0/24","nexthop":"10.0.0.9"}]',
  };
  const ports = [
    { ...port('gateway', { network_id: 'public', device_owner: 'network:router_gateway' }), mtu: 1500 },
    { ...port('inner', { device_owner: 'network:router_interface' }), mtu: 1450 },
  ];
  const outer = {
    subnet_id: 'outer',
    cidr: '172.24.4.0/24',
    gateway_ip: '172.24.4.1',
    ip_version: 4 as const,
  };
  const floating = {
    id: 'floating',
    project_id: 'project',
    description: '',
    floating_network_id: 'public',
    floating_ip_address: '172.24.4.50',
    floating_port_id: 'fp',
    fixed_port_id: 'a',
    fixed_ip_address: '10.0.0.5',
    router_id: 'router',
    status: 'ACTIVE' as const,
    dns_domain: '',
    dns_name: '',
    ...stamp,
  };
  await golden(
    'router',
    routerObject({
      router,
      ports,
      addresses: [{ port_id: 'gateway', ip_address: '172.24.4.20', ...outer }, address('inner', '10.0.0.1')],
      floatingIps: [floating],
    }),
  );
});
