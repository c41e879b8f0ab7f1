import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { CommandError } from '../../agents/host/host.js';
import { createNetworkPart } from '../../agents/network/part.js';
import type { Part } from '../../agents/part.js';
import { NetworkLab } from './network-lab.js';
import {
  egressAll,
  flat,
  group,
  id,
  ids,
  mac,
  port,
  router as routerBody,
  rule,
  SpecBuilder,
  subnet,
  vxlan,
} from './network-spec.js';

const [PUBLIC, NET, SUB, DHCP_PORT, ROUTER, QR, QG, GROUP, WEB, EDGE] = ids([
  1, 2, 3, 4, 5, 6, 7, 8, 0x10, 0x20,
]);

function cloud(): SpecBuilder {
  const spec = new SpecBuilder();
  spec.put('network', PUBLIC, flat(PUBLIC));
  spec.put('network', NET, vxlan(NET, 1001));
  spec.put('dhcp', NET, {
    network_id: NET,
    port_id: DHCP_PORT,
    mac: mac(4),
    addresses: ['10.0.0.2/24'],
    mtu: 1450,
    dns_domain: '',
    subnets: [subnet(SUB, '10.0.0.0/24', '10.0.0.1')],
    reservations: [
      {
        port_id: WEB,
        mac: mac(0x10),
        hostname: 'web',
        fixed_ips: [{ subnet_id: SUB, ip_address: '10.0.0.5' }],
        extra_dhcp_opts: [
          { opt_name: 'no-such-option', opt_value: 'x', ip_version: 4 },
          { opt_name: 'router', opt_value: 'not an address', ip_version: 4 },
        ],
      },
    ],
  });
  spec.put('security-group', GROUP, group(GROUP, [...egressAll(), rule('ingress', { protocol: 'icmp' })]));
  spec.put('port', WEB, port(WEB, NET, mac(0x10), ['10.0.0.5'], [GROUP]));
  spec.put('port', EDGE, { ...port(EDGE, PUBLIC, mac(0x20), ['203.0.113.20'], [GROUP]), mtu: 1500 });
  const floating = { floating_ip_address: '203.0.113.50', fixed_ip_address: '10.0.0.5', port_id: WEB };
  const router = routerBody(
    ROUTER,
    { qg: QG, network: PUBLIC },
    { qr: QR, network: NET },
    { floating_ips: [{ id: id(9), ...floating }] },
  );
  spec.put('router', ROUTER, router);
  return spec;
}

describe('faults', () => {
  let lab: NetworkLab;
  beforeAll(async () => {
    lab = await NetworkLab.up();
  });
  afterAll(() => lab?.down());
  afterEach(async () => {
    await createNetworkPart(lab.context).apply({ spec: {}, changed: null });
  });

  it('takes away what an interrupted `ip netns` left, and holds nothing else up by it', async () => {
    const left = `/run/netns/qrouter-${ROUTER}`;
    await lab.host.machine.exec('mkdir', ['-p', '/run/netns']);
    await lab.host.machine.exec('touch', [left]);
    const part = createNetworkPart(lab.context);
    const reports = await part.apply({ spec: cloud().spec, changed: null });
    expect(reports.filter((report) => report.state === 'error')).toEqual([]);
    expect(await part.plan(cloud().spec)).toEqual([]);
    expect(await lab.outside.pings('203.0.113.10')).toBe(true);
  });

  /** An agent whose host fails every change after the nth, as if it had been killed there. */
  const mortal = (changes: number): Part => {
    let left = changes;
    const host = new Proxy(lab.host, {
      get(target, name) {
        const value = Reflect.get(target, name, target);
        if (name !== 'run') return typeof value === 'function' ? value.bind(target) : value;
        return (command: string, args: readonly string[], options = {}) => {
          if (left-- > 0) return target.run(command, args, options);
          return Promise.reject(new CommandError(command, null, '', 'the agent was killed'));
        };
      },
    });
    return createNetworkPart({ ...lab.context, host });
  };

  it('comes to the same end wherever an agent was killed, and takes everything away again', async () => {
    const { spec } = cloud();
    let steps = 1;
    for (let killed = 0; killed < steps; killed += 4) {
      await mortal(killed).apply({ spec, changed: null });
      const part = createNetworkPart(lab.context);
      lab.host.reset();
      const reports = await part.apply({ spec, changed: null });
      expect(reports.filter((report) => report.state === 'error')).toEqual([]);
      if (killed === 0) steps = lab.host.runs.length;
      expect(await part.plan(spec)).toEqual([]);
      await mortal(killed % 4).apply({ spec: {}, changed: null });
      await createNetworkPart(lab.context).apply({ spec: {}, changed: null });
      const links = async () => {
        const { stdout } = await lab.host.machine.exec('ip', ['-br', 'link']);
        return stdout.split('\n').map((line) => line.split(/[ @]/)[0]);
      };
      // the kernel takes the devices of a deleted namespace away in its own time
      await expect.poll(async () => (await links()).filter(Boolean)).toEqual(['lo', 'br-ex', 'ext0']);
    }
  }, 300_000);

  it('serves a guest whose port asks for options that make no sense', async () => {
    const { spec } = cloud();
    const part = createNetworkPart(lab.context);
    const guest = await lab.guest({ id: WEB, mac: mac(0x10), mtu: 1450 });
    await part.apply({ spec, changed: null });
    expect((await lab.dhcp(guest)).ip).toBe('10.0.0.5');
  });

  it('guards a guest on the provider bridge, and keeps it from the host', async () => {
    const { spec } = cloud();
    const part = createNetworkPart(lab.context);
    const guest = await lab.guest({ id: EDGE, mac: mac(0x20), mtu: 1500 });
    await guest.exec('ip', ['addr', 'add', '203.0.113.20/24', 'dev', 'eth0']);
    await lab.host.machine.exec('ip', ['addr', 'add', '203.0.113.9/24', 'dev', 'br-ex']);
    await part.apply({ spec, changed: null });
    expect(await lab.outside.pings('203.0.113.20')).toBe(true);
    expect(await guest.pings('203.0.113.10')).toBe(true);
    expect(await guest.pingsInVain('203.0.113.9')).toBe(true);
    // the host's own traffic on the same bridge is nobody's business
    expect(await lab.host.machine.pings('203.0.113.1')).toBe(true);
    expect(await lab.outside.pings('203.0.113.9')).toBe(true);
    await lab.host.machine.exec('ip', ['addr', 'del', '203.0.113.9/24', 'dev', 'br-ex']);
  });

  it('says what a VLAN network would need', async () => {
    const builder = cloud();
    const vlan = id(0x77);
    const key = builder.put('network', vlan, { ...flat(vlan), type: 'vlan', segmentation_id: 77 });
    const part = createNetworkPart(lab.context);
    const reports = await part.apply({ spec: builder.spec, changed: null });
    const errors = reports.filter((report) => report.state === 'error');
    const supported = await lab.host.machine.succeeds('ip', [
      'link',
      'add',
      'link',
      'ext0',
      'name',
      'v',
      'type',
      'vlan',
      'id',
      '9',
    ]);
    if (supported) {
      expect(errors).toEqual([]);
    } else {
      expect(errors).toMatchObject([{ key, error: { hint: expect.stringContaining('8021q') } }]);
    }
  });
});
