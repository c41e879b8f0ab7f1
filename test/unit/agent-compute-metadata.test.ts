import { expect, test } from 'vitest';
import { configDriveFiles } from '../../agents/metadata/config-drive.js';
import { createLookup } from '../../agents/metadata/lookup.js';
import { networkData } from '../../agents/metadata/network-data.js';
import type { GuestMetadata, ServerObject } from '../../src/protocol/objects.js';
import { serverObject, specOf, subnet } from '../support/guests.js';

type Nic = GuestMetadata['networks'][number];

function nic(number: number, fixed_ips: Nic['fixed_ips'], given: Partial<Nic> = {}): Nic {
  return {
    network_id: `net-${number}`,
    port_id: `0000000${number}-aaaa-4000-8000-000000000000`,
    mac: `fa:16:3e:00:00:0${number}`,
    mtu: 1450,
    fixed_ips,
    floating_ips: [],
    ...given,
  };
}

function guest(networks: readonly Nic[], given: Partial<GuestMetadata> = {}): ServerObject {
  const server = serverObject({ name: 'one' });
  return { ...server, metadata: { ...server.metadata, networks, ...given } };
}

const ipv6 = (address_mode: 'slaac' | 'dhcpv6-stateful' | 'dhcpv6-stateless' | null) =>
  subnet('2001:db8::/64', { ip_version: 6, gateway_ip: '2001:db8::1', ipv6_address_mode: address_mode });

test('network data tells cloud-init how each address comes', () => {
  const fixed = subnet('198.51.100.0/24', {
    enable_dhcp: false,
    dns_nameservers: ['192.0.2.53'],
    host_routes: [{ destination: '203.0.113.0/25', nexthop: '198.51.100.9' }],
  });
  const document = networkData(
    guest([
      nic(1, [{ ip_address: '198.51.100.5', prefix_length: 24, subnet: fixed }]),
      nic(2, [
        { ip_address: '192.0.2.4', prefix_length: 24, subnet: subnet('192.0.2.0/24') },
        { ip_address: '2001:db8::5', prefix_length: 64, subnet: ipv6('slaac') },
      ]),
      nic(3, [
        { ip_address: '2001:db8::6', prefix_length: 64, subnet: ipv6('dhcpv6-stateful') },
        { ip_address: '2001:db8::7', prefix_length: 64, subnet: ipv6(null) },
      ]),
    ]).metadata,
  );
  expect(document.links).toEqual(
    [1, 2, 3].map((n) => ({
      id: `tap0000000${n}-aa`,
      vif_id: `0000000${n}-aaaa-4000-8000-000000000000`,
      type: 'bridge',
      mtu: 1450,
      ethernet_mac_address: `fa:16:3e:00:00:0${n}`,
    })),
  );
  expect(document.networks).toEqual([
    {
      id: 'network0',
      type: 'ipv4',
      link: 'tap00000001-aa',
      network_id: 'net-1',
      ip_address: '198.51.100.5',
      netmask: '255.255.255.0',
      routes: [
        { network: '0.0.0.0', netmask: '0.0.0.0', gateway: '198.51.100.1' },
        { network: '203.0.113.0', netmask: '255.255.255.128', gateway: '198.51.100.9' },
      ],
      services: [{ type: 'dns', address: '192.0.2.53' }],
    },
    { id: 'network1', type: 'ipv4_dhcp', link: 'tap00000002-aa', network_id: 'net-2' },
    expect.objectContaining({ id: 'network2', type: 'ipv6_slaac', netmask: 'ffff:ffff:ffff:ffff::' }),
    expect.objectContaining({ id: 'network3', type: 'ipv6_dhcpv6-stateful' }),
    expect.objectContaining({
      id: 'network4',
      type: 'ipv6',
      routes: [{ network: '::', netmask: '::', gateway: '2001:db8::1' }],
    }),
  ]);
  expect(document.services).toEqual([{ type: 'dns', address: '192.0.2.53' }]);
});

test('a config drive has what the service answers, for each version', () => {
  const { metadata } = guest([], {
    user_data: Buffer.from([0, 255, 1]).toString('base64'),
    admin_pass: 'secret',
  });
  const files = configDriveFiles(metadata, 'seed');
  expect(files).toEqual(configDriveFiles(metadata, 'seed'));
  expect(files['openstack/latest/user_data']).toEqual(Buffer.from([0, 255, 1]));
  expect(JSON.parse(String(files['openstack/latest/meta_data.json']))).toMatchObject({
    uuid: metadata.uuid,
    admin_pass: 'secret',
    random_seed: 'seed',
    project_id: metadata.project_id,
  });
  expect(Object.keys(files).filter((name) => name.startsWith('openstack/2012-08-10/'))).toEqual([
    'openstack/2012-08-10/meta_data.json',
    'openstack/2012-08-10/user_data',
  ]);
  expect(Object.keys(files)).toContain('ec2/latest/meta-data.json');
  expect(Object.keys(files).filter((name) => name.endsWith('password'))).toEqual([]);
});

test('a guest is found by network and address, never by address alone', () => {
  const same = { prefix_length: 24, subnet: subnet('198.51.100.0/24') };
  const one = guest([nic(1, [{ ip_address: '198.51.100.5', ...same }])]);
  const two = guest([
    nic(2, [
      { ip_address: '198.51.100.5', ...same },
      { ip_address: '2001:DB8::5', prefix_length: 64, subnet: ipv6('slaac') },
    ]),
  ]);
  const lookup = createLookup(specOf(one, two));
  expect(lookup.find(['net-1'], '198.51.100.5')?.id).toBe(one.id);
  expect(lookup.find(['net-2'], '::ffff:198.51.100.5')?.id).toBe(two.id);
  expect(lookup.find(['net-3'], '198.51.100.5')).toBeNull();
  expect(lookup.find(['net-3', 'net-1'], '198.51.100.5')?.id).toBe(one.id);
  expect(lookup.find(['net-2'], '2001:db8:0::5')?.id).toBe(two.id);
  expect(lookup.find(['net-2'], 'fe80::f816:3eff:fe00:2%ns-1')?.id).toBe(two.id);
  expect(lookup.find(['net-1'], '')).toBeNull();
});
