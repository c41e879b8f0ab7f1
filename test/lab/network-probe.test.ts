import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { CommandOptions, CommandResult } from '../../agents/host/host.js';
import { createNetworkPart } from '../../agents/network/part.js';
import type { ObjectReport } from '../../src/protocol/messages.js';
import type { ObjectBodies, ObjectKey } from '../../src/protocol/objects.js';
import { LabHost, NetworkLab } from './network-lab.js';
import { egressAll, flat, group, id, ids, mac, port, SpecBuilder, vxlan } from './network-spec.js';

const [PUBLIC, NET_A, NET_B, ROUTER_A, ROUTER_B, GROUP, GUEST] = ids([1, 2, 3, 5, 6, 8, 0x10]);

function router(n: number, network: string, external: boolean): ObjectBodies['router'] {
  const plug = (offset: number, network_id: string, addresses: string[]) => ({
    port_id: id(0x40 + n * 2 + offset),
    network_id,
    mac: mac(0x40 + n * 2 + offset),
    mtu: 1450,
    addresses,
  });
  const outside = { ...plug(1, PUBLIC, ['203.0.113.10/24']), gateways: ['203.0.113.1'], enable_snat: true };
  return {
    id: id(n),
    epoch: 1,
    admin_state_up: true,
    external: external ? outside : null,
    interfaces: [plug(0, network, ['10.0.0.1/24', '2001:db8:1::1/64'])],
    routes: [],
    floating_ips: [],
  };
}

describe('a host that cannot ask all who has the addresses of its routers', () => {
  let lab: NetworkLab;
  const spec = new SpecBuilder();
  /** Called before each command that changes something; throws for what is to fail. */
  let before: (command: string) => void = () => {};
  let after: (command: string) => Promise<void> = async () => {};

  const hand = (...args: string[]) => lab.host.machine.exec('ip', args);
  const netnsList = async () => (await hand('netns', 'list')).stdout;

  beforeAll(async () => {
    lab = await NetworkLab.up();
    lab.host.run = async (
      command: string,
      args: readonly string[],
      options: CommandOptions = {},
    ): Promise<CommandResult> => {
      const text = [command, ...args, options.input ?? ''].join(' ');
      before(text);
      const result = await LabHost.prototype.run.call(lab.host, command, args, options);
      await after(text);
      return result;
    };
    spec.put('network', PUBLIC, flat(PUBLIC));
    spec.put('network', NET_A, vxlan(NET_A, 1001));
    spec.put('network', NET_B, vxlan(NET_B, 1002));
    spec.put('security-group', GROUP, group(GROUP, egressAll()));
    spec.put('port', GUEST, port(GUEST, NET_A, mac(0x10), ['10.0.0.16'], [GROUP]));
    spec.put('router', ROUTER_A, router(5, NET_A, true));
    spec.put('router', ROUTER_B, router(6, NET_B, false));
    await apply();
  });
  beforeEach(async () => {
    // as after a boot: nothing of the routers is here, so that others are asked
    before = () => {};
    after = async () => {};
    for (const one of [ROUTER_A, ROUTER_B]) await hand('netns', 'del', `qrouter-${one}`).catch(() => {});
    // the kernel takes a namespace's devices, and their other ends, away a little later
    const links = async () => (await hand('-o', 'link', 'show')).stdout;
    await expect.poll(links).not.toMatch(/tap0000004[a-d]/);
  });
  afterAll(() => lab?.down());

  async function apply(): Promise<Map<ObjectKey, ObjectReport>> {
    const reports = await createNetworkPart(lab.context).apply({ spec: spec.spec, changed: null });
    return new Map(reports.map((report) => [report.key, report]));
  }
  const states = (reports: ReadonlyMap<ObjectKey, ObjectReport>) =>
    Object.fromEntries([...reports].map(([key, { state }]) => [key, state]));
  const allApplied = () => Object.fromEntries(Object.keys(spec.spec).map((key) => [key, 'applied']));

  it('leaves out the router whose network cannot be asked, and no other object', async () => {
    before = (command) => {
      if (/link set dev prb\S+ master br-ex/.test(command)) throw new Error('no ports left in br-ex');
    };
    const reports = await apply();
    expect(states(reports)).toEqual({ ...allApplied(), [`router/${ROUTER_A}`]: 'error' });
    expect(reports.get(`router/${ROUTER_A}`)?.error?.message).toContain('no ports left in br-ex');
    expect(await netnsList()).toContain(ROUTER_B);
    expect(await netnsList()).not.toContain(ROUTER_A);
    before = () => {};
    expect(states(await apply())).toEqual(allApplied());
  });

  it('asks its IPv4 neighbours where it cannot ask those of IPv6', async () => {
    const asked: string[] = [];
    before = (command) => {
      if (/neigh replace/.test(command)) asked.push(command);
      if (/neigh replace 2001:/.test(command)) throw new Error('IPv6 is disabled');
    };
    expect(states(await apply())).toEqual(allApplied());
    expect(asked.join()).toContain('neigh replace 10.0.0.1');
  });

  it('does without removing what an earlier probe left', async () => {
    await hand('netns', 'add', 'qprobe-dead');
    before = (command) => {
      if (command.includes('netns del qprobe-dead')) throw new Error('another removes it');
    };
    expect(states(await apply())).toEqual(allApplied());
    await hand('netns', 'del', 'qprobe-dead');
  });

  it('does not change the address of a bridge that it asks on', async () => {
    await hand('link', 'set', 'ext0', 'address', 'fc:ff:ff:ff:ff:ff');
    const address = async () => {
      const { stdout } = await hand('-j', 'link', 'show', 'br-ex');
      return (JSON.parse(stdout) as { address: string }[])[0]!.address;
    };
    const usual = await address();
    const seen: string[] = [];
    after = async (command) => {
      if (/link set dev prb\S+ master br-ex/.test(command)) seen.push(await address());
    };
    await apply();
    expect(seen).toEqual([usual]);
  });

  it("keeps an operator's tunnels, whatever their names, and removes its own left-over ones", async () => {
    const tunnel = (vni: number, ...more: string[]) =>
      hand('link', 'add', `vxlan-${vni}`, 'type', 'vxlan', 'id', `${vni}`, 'dstport', '4789', ...more);
    await tunnel(100, 'local', '192.0.2.1', 'remote', '192.0.2.9');
    await tunnel(101, 'local', '192.0.2.77', 'nolearning');
    await tunnel(102, 'local', '192.0.2.1', 'nolearning');
    await hand('link', 'set', 'vxlan-102', 'master', 'br-ex');
    await tunnel(103, 'local', '192.0.2.1', 'nolearning');
    const part = createNetworkPart(lab.context);
    expect((await part.orphans?.(spec.spec))?.map(({ name }) => name)).toEqual(['vxlan-103']);
    await apply();
    const { stdout } = await hand('-br', 'link');
    for (const kept of ['vxlan-100', 'vxlan-101', 'vxlan-102', 'vxlan-1001']) expect(stdout).toContain(kept);
    expect(stdout).not.toContain('vxlan-103');
  });
});
