import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DriftLook } from '../../agents/drift/look.js';
import { createNetworkPart, type NetworkPart } from '../../agents/network/part.js';
import { tapName } from '../../src/net/names.js';
import type { ObjectBodies } from '../../src/protocol/objects.js';
import { NetworkLab } from './network-lab.js';
import { egressAll, group, id, ids, mac, port, rule, SpecBuilder, subnet, vxlan } from './network-spec.js';

const [NET, SUBNET, DHCP_PORT, GROUP, FIRST] = ids([1, 3, 4, 8, 0x10]);
const BRIDGE = `brq${NET.slice(0, 11)}`;

describe('what others have deleted and is only reported', () => {
  let lab: NetworkLab;
  let part: NetworkPart;
  let last = 0x10;
  const spec = new SpecBuilder();
  const look: DriftLook = { judge: () => 'leave', complete() {} };

  const hand = async (command: string, ...args: string[]) =>
    (await lab.host.machine.exec(command, args)).stdout;
  const succeeds = (command: string, ...args: string[]) => lab.host.machine.succeeds(command, args);

  /** A full look at the host, after which everything is to be applied. */
  async function applyAll(): Promise<void> {
    const reports = await part.apply({ spec: spec.spec, changed: null, look });
    expect(reports.filter(({ state }) => state === 'error')).toEqual([]);
  }

  /** A new server's port. */
  async function applyNewPort(): Promise<string> {
    last++;
    spec.put('port', id(last), port(id(last), NET, mac(last), [`10.0.0.${last}`], [GROUP]));
    await applyAll();
    return tapName(id(last));
  }

  function dhcp(hostname: string): ObjectBodies['dhcp'] {
    const fixed_ips = [{ subnet_id: SUBNET, ip_address: '10.0.0.16' }];
    return {
      network_id: NET,
      port_id: DHCP_PORT,
      mac: mac(4),
      addresses: ['10.0.0.2/24'],
      mtu: 1450,
      dns_domain: 'openstacklocal',
      subnets: [subnet(SUBNET, '10.0.0.0/24', '10.0.0.1')],
      reservations: [{ port_id: FIRST, mac: mac(0x10), hostname, fixed_ips, extra_dhcp_opts: [] }],
    };
  }

  beforeAll(async () => {
    lab = await NetworkLab.up();
    part = createNetworkPart(lab.context);
    spec.put('network', NET, vxlan(NET, 1001));
    spec.put('dhcp', NET, dhcp('one'));
    spec.put(
      'security-group',
      GROUP,
      group(GROUP, [...egressAll(), rule('ingress', { remote_group_id: GROUP })]),
    );
    spec.put('group-members', `${GROUP}:${NET}`, {
      group_id: GROUP,
      network_id: NET,
      ipv4: ['10.0.0.16'],
      ipv6: [],
    });
    spec.put('port', FIRST, port(FIRST, NET, mac(0x10), ['10.0.0.16'], [GROUP]));
    await applyAll();
  });
  afterAll(() => lab?.down());

  it('a bridge stays away until a new port is to be plugged into it, and then has all its ports', async () => {
    await hand('ip', 'link', 'del', BRIDGE);
    await applyAll();
    expect(await succeeds('ip', 'link', 'show', BRIDGE)).toBe(false);
    const tap = await applyNewPort();
    const ports = await hand('ip', '-br', 'link', 'show', 'master', BRIDGE);
    for (const name of [tap, tapName(FIRST), tapName(DHCP_PORT), 'vxlan-1001']) expect(ports).toContain(name);
  });

  it('a set stays away until new rules name it', async () => {
    const sets = async () =>
      (await hand('ipset', 'list', '-n')).split('\n').filter((name) => name.startsWith('maru'));
    expect((await sets()).length).toBeGreaterThan(0);
    for (const tool of ['iptables', 'ip6tables']) {
      const chains = (await hand(tool, '-S'))
        .split('\n')
        .flatMap((line) => /^-N (maru-\S+)/.exec(line)?.[1] ?? []);
      for (const chain of chains.filter((name) => name !== 'maru-FORWARD')) await hand(tool, '-F', chain);
    }
    for (const name of await sets()) await hand('ipset', 'destroy', name);
    await applyAll();
    expect(await sets()).toEqual([]);
    await applyNewPort();
    expect(await hand('ipset', 'save')).toContain('10.0.0.16');
  });

  it('the table of port security stays away until a port is opened, and then closes none that was open', async () => {
    const tables = (await hand('nft', 'list', 'tables'))
      .split('\n')
      .filter((line) => /bridge maru/.test(line));
    for (const table of tables) await hand('nft', 'delete', ...table.split(' '));
    await applyAll();
    expect(await hand('nft', 'list', 'tables')).not.toContain('bridge maru');
    const tap = await applyNewPort();
    const ruleset = await hand('nft', 'list', 'ruleset', 'bridge');
    for (const name of [tap, tapName(FIRST), tapName(DHCP_PORT)]) expect(ruleset).toContain(name);
  });

  it("a DHCP server's namespace stays away until the server has something new to tell", async () => {
    await hand('ip', 'netns', 'del', `qdhcp-${NET}`);
    await applyAll();
    expect(await hand('ip', 'netns', 'list')).not.toContain('qdhcp');
    spec.put('dhcp', NET, dhcp('two'));
    await applyAll();
    expect(await hand('ip', '-n', `qdhcp-${NET}`, '-br', 'addr')).toContain('10.0.0.2/24');
  });
});
