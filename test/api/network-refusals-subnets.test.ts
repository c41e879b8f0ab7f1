import { describe, expect, it } from 'vitest';
import { networkWorld, refuses } from '../support/network-refusals.js';

/** What Neutron refuses about networks and subnets, with the type and words that clients know. */

const made = networkWorld();
const { world } = made;

function refuse(
  name: string,
  method: string,
  path: () => string,
  body: (() => object) | undefined,
  status: number,
  type: string,
  message: RegExp,
): void {
  refuses(made, name, { method, path, ...(body && { body }), status, type, message });
}

const net = (more: object) => () => ({ network: more });
const sub = (more: object) => () => ({
  subnet: { network_id: world.network.id, ip_version: 4, cidr: '10.77.0.0/24', ...more },
});
const at = (path: string) => () => path;

describe('networks and subnets', () => {
  refuse(
    'an unknown filter',
    'GET',
    at('networks?nope=1'),
    undefined,
    400,
    'HTTPBadRequest',
    /'nope'\] is invalid attribute for filtering/,
  );
  refuse(
    'a strange limit',
    'GET',
    at('networks?limit=-1'),
    undefined,
    400,
    'HTTPBadRequest',
    /Limit must be an integer/,
  );
  refuse(
    'an MTU beyond the underlay',
    'POST',
    at('networks'),
    net({ mtu: 9000 }),
    400,
    'InvalidInput',
    /Requested MTU is too big, maximum is 1450/,
  );
  refuse(
    'an overlapping block',
    'POST',
    at('subnets'),
    sub({ cidr: '10.0.0.128/25' }),
    400,
    'InvalidInput',
    /overlaps with another subnet/,
  );
  refuse(
    'host bits in a block',
    'POST',
    at('subnets'),
    sub({ cidr: '10.77.0.5/24' }),
    400,
    'HTTPBadRequest',
    /'10\.77\.0\.0\/24' is recommended/,
  );
  refuse(
    'a block of the other version',
    'POST',
    at('subnets'),
    sub({ ip_version: 6 }),
    400,
    'InvalidInput',
    /does not match the ip_version '6'/,
  );
  refuse(
    'a gateway outside',
    'POST',
    at('subnets'),
    sub({ gateway_ip: '10.78.0.1' }),
    400,
    'InvalidInput',
    /Gateway is not valid on subnet/,
  );
  refuse(
    'a gateway inside a pool',
    'POST',
    at('subnets'),
    sub({ gateway_ip: '10.77.0.9', allocation_pools: [{ start: '10.77.0.2', end: '10.77.0.20' }] }),
    409,
    'GatewayConflictWithAllocationPools',
    /conflicts with allocation pool 10\.77\.0\.2-10\.77\.0\.20/,
  );
  refuse(
    'a pool that is too large',
    'POST',
    at('subnets'),
    sub({ allocation_pools: [{ start: '10.77.0.2', end: '10.77.1.20' }] }),
    400,
    'OutOfBoundsAllocationPool',
    /spans beyond the subnet cidr/,
  );
  refuse(
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
  refuse(
    'IPv6 modes for IPv4',
    'POST',
    at('subnets'),
    sub({ ipv6_ra_mode: 'slaac' }),
    400,
    'HTTPBadRequest',
    /not valid when ip_version is 4/,
  );
  refuse(
    'SLAAC with a short prefix',
    'POST',
    at('subnets'),
    sub({ ip_version: 6, cidr: '2001:db8::/48', ipv6_address_mode: 'slaac' }),
    400,
    'InvalidInput',
    /requires the prefix to be \/64/,
  );
  refuse(
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
  refuse(
    'a network in use',
    'DELETE',
    () => `networks/${world.network.id}`,
    undefined,
    409,
    'NetworkInUse',
    /ports still in use/,
  );
  refuse(
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
      const reply = await made.api.call(made.api.admin, 'POST', 'networks', { network: attributes });
      expect(reply.status).toBe(400);
      expect(reply.json.NeutronError).toMatchObject({
        type: 'InvalidInput',
        message: expect.stringMatching(message),
      });
    }
  });

  it('a provider network that is in use', async () => {
    const flat = { 'provider:network_type': 'flat', 'provider:physical_network': 'extnet' };
    await made.api.network(made.api.admin, flat);
    const reply = await made.api.call(made.api.admin, 'POST', 'networks', { network: flat });
    expect(reply.json.NeutronError).toMatchObject({ type: 'FlatNetworkInUse' });
    const vni = { 'provider:network_type': 'vxlan', 'provider:segmentation_id': 4_000_000 };
    await made.api.network(made.api.admin, vni);
    expect(
      (await made.api.call(made.api.admin, 'POST', 'networks', { network: vni })).json.NeutronError.type,
    ).toBe('TunnelIdInUse');
  });
});
