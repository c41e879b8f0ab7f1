import { describe, expect, it } from 'vitest';
import type { NetworkContext } from '../../../agents/network/config.js';
import { type DesiredHost, desiredHost } from '../../../agents/network/desired.js';
import { diffTables } from '../../../agents/network/firewall/iptables/diff.js';
import { renderRestore } from '../../../agents/network/firewall/iptables/restore.js';
import { diffElements, renderChanges } from '../../../agents/network/firewall/nft/diff.js';
import { PORT_SECURITY, renderTable, ZONES } from '../../../agents/network/firewall/nft/tables.js';
import { Failures } from '../../../agents/network/model.js';
import { ObservedHost } from '../../../agents/network/observed.js';
import { planSteps } from '../../../agents/network/plan.js';
import {
  egressAll,
  flat,
  group,
  id,
  ids,
  mac,
  port,
  rule,
  SpecBuilder,
  subnet,
  vxlan,
} from '../../lab/network-spec.js';

const [PUBLIC, NET, SUB4, SUB6, DHCP_PORT, ROUTER, QR, QG, GROUP, MEMBERS, WEB, OPEN] = ids([
  1, 2, 3, 0x33, 4, 5, 6, 7, 8, 9, 0x10, 0x11,
]);

/** A host with everything: a network of each kind that can be, a router with a floating IP, guarded and open ports. */
function example(): SpecBuilder {
  const spec = new SpecBuilder();
  spec.put('network', PUBLIC, flat(PUBLIC));
  spec.put('network', NET, {
    ...vxlan(NET, 1001),
    peers: ['192.0.2.2', '192.0.2.3'],
    remote_ports: [{ mac: mac(0x99), vtep: '192.0.2.2' }],
  });
  spec.put('dhcp', NET, {
    network_id: NET,
    port_id: DHCP_PORT,
    mac: mac(4),
    addresses: ['10.0.0.2/24', '2001:db8:1::2/64'],
    mtu: 1450,
    dns_domain: 'openstacklocal',
    subnets: [
      {
        ...subnet(SUB4, '10.0.0.0/24', '10.0.0.1'),
        dns_nameservers: ['9.9.9.9'],
        host_routes: [{ destination: '192.168.7.0/24', nexthop: '10.0.0.9' }],
      },
      {
        ...subnet(SUB6, '2001:db8:1::/64', '2001:db8:1::1'),
        ipv6_ra_mode: 'dhcpv6-stateful',
        ipv6_address_mode: 'dhcpv6-stateful',
      },
    ],
    reservations: [
      {
        port_id: WEB,
        mac: mac(0x10),
        hostname: 'web',
        fixed_ips: [
          { subnet_id: SUB4, ip_address: '10.0.0.5' },
          { subnet_id: SUB6, ip_address: '2001:db8:1::5' },
        ],
        extra_dhcp_opts: [
          { opt_name: 'bootfile-name', opt_value: 'pxelinux.0\ndhcp-script=/bin/sh', ip_version: 4 },
        ],
      },
    ],
  });
  spec.put(
    'security-group',
    GROUP,
    group(GROUP, [
      ...egressAll(),
      rule('ingress', {
        protocol: 'tcp',
        port_range_min: 22,
        port_range_max: 22,
        remote_ip_prefix: '203.0.113.0/24',
      }),
      rule('ingress', { protocol: 'tcp', port_range_min: 8000, port_range_max: 8100 }),
      rule('ingress', { protocol: 'icmp', port_range_min: 8, port_range_max: 0 }),
      rule('ingress', { protocol: 'icmp', ethertype: 'IPv6', port_range_min: 128 }),
      rule('ingress', { protocol: 'vrrp' }),
      rule('ingress', { remote_group_id: MEMBERS }),
      rule('ingress', { remote_group_id: MEMBERS, ethertype: 'IPv6', protocol: 'udp' }),
    ]),
  );
  spec.put('group-members', `${MEMBERS}:${NET}`, {
    group_id: MEMBERS,
    network_id: NET,
    ipv4: ['10.0.0.5', '10.0.0.64/26', '0.0.0.0/0'],
    ipv6: ['2001:DB8:1::5'],
  });
  spec.put('port', WEB, {
    ...port(WEB, NET, mac(0x10), ['10.0.0.5', '2001:db8:1::5'], [GROUP]),
    allowed_address_pairs: [
      { ip_address: '10.0.0.0/28', mac_address: mac(0x10) },
      { ip_address: '10.0.0.200', mac_address: '00:00:5e:00:01:0a' },
    ],
  });
  spec.put('port', OPEN, { ...port(OPEN, PUBLIC, mac(0x11), ['203.0.113.77'], []), port_security: false });
  spec.put('router', ROUTER, {
    id: ROUTER,
    epoch: 1,
    admin_state_up: true,
    external: {
      port_id: QG,
      network_id: PUBLIC,
      mac: mac(7),
      mtu: 1500,
      addresses: ['203.0.113.10/24', '2001:db8:ff::10/64'],
      gateways: ['203.0.113.1', '2001:db8:ff::1'],
      enable_snat: true,
    },
    interfaces: [
      {
        port_id: QR,
        network_id: NET,
        mac: mac(6),
        mtu: 1450,
        addresses: ['10.0.0.1/24', '2001:db8:1::1/64'],
      },
    ],
    routes: [{ destination: '198.51.100.7/32', nexthop: '10.0.0.9' }],
    floating_ips: [
      { id: id(0xf1), floating_ip_address: '203.0.113.50', fixed_ip_address: '10.0.0.5', port_id: WEB },
    ],
  });
  return spec;
}

function desired(failures = new Failures()): DesiredHost {
  const config = {
    underlay_ip: '192.0.2.1',
    physical_networks: { extnet: 'br-ex' },
    state_dir: '/var/lib/maru-agent',
  };
  const inputs = {
    config,
    hasBridge: () => true,
    zoneOf: (networkId: string) => Number.parseInt(networkId, 16),
    portCache: new Map(),
  };
  return desiredHost(example().spec, inputs, failures);
}

describe('what a host gets', () => {
  it('is asked for without an error', () => {
    const failures = new Failures();
    desired(failures);
    expect(failures.keys()).toEqual([]);
  });

  it('port security and zones', async () => {
    const { firewall } = desired();
    const empty = new ObservedHost();
    const tables = renderTable(PORT_SECURITY, () => []) + renderTable(ZONES, () => []);
    const elements = [
      renderChanges(ZONES, diffElements(ZONES, firewall.zones, empty.zones)),
      renderChanges(PORT_SECURITY, diffElements(PORT_SECURITY, firewall.portSecurity(), empty.portSecurity)),
    ];
    await expect(tables).toMatchFileSnapshot('tables.nft');
    await expect(elements.join('').replaceAll(', ', ',\n  ')).toMatchFileSnapshot('elements.nft');
  });

  it('security groups', async () => {
    const diffs = diffTables(desired().firewall.tables(), new Map());
    const text = diffs.map((diff) => `# ${diff.key}\n${renderRestore(diff).text}`).join('\n');
    await expect(text).toMatchFileSnapshot('host.iptables');
  });

  it('a router', async () => {
    const router = desired().namespaces.get(`qrouter-${ROUTER}`)!;
    const text = diffTables(router.tables, new Map()).map(
      (diff) => `# ${diff.key}\n${renderRestore(diff).text}`,
    );
    await expect(text.join('\n')).toMatchFileSnapshot('router.iptables');
  });

  it('dnsmasq', async () => {
    const text = [...desired().services.values()].flatMap(({ name, files }) =>
      Object.entries(files).map(([file, content]) => `==> ${name}/${file}\n${content}`),
    );
    await expect(text.join('\n')).toMatchFileSnapshot('dnsmasq.txt');
  });

  it('the whole plan of an empty host', async () => {
    const context = { config: { state_dir: '/var/lib/maru-agent' } } as NetworkContext;
    const steps = planSteps(context, desired(), new ObservedHost(), new Failures());
    const text = steps.map(({ object, action, detail }) => `${object}: ${action}: ${detail}\n`).join('');
    await expect(text).toMatchFileSnapshot('plan.txt');
  });
});
