import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { composeParts } from '../../agents/compose.js';
import { DriftRegister } from '../../agents/drift/register.js';
import { FakeMachine } from '../../agents/host/fake/machine.js';
import { FakeHost } from '../../agents/host/fake.js';
import { Reconciler, type Settled } from '../../agents/reconciler.js';
import { createLogger } from '../../src/protocol/log.js';
import type { DriftEvent, DriftPolicy, ObjectReport } from '../../src/protocol/messages.js';
import type { ObjectKey, ServerObject, Spec } from '../../src/protocol/objects.js';
import { byHand } from '../support/by-hand.js';
import { agentConfig } from '../support/hosts/agent-config.js';
import { exampleSpec, IMAGE, SERVER_ID } from '../support/hosts/example-spec.js';

const NETWORK = '22220001-0000-4000-8000-000000000001';
const ROUTER = '55550001-0000-4000-8000-000000000001';
const BRIDGE = 'brq22220001-00';
const TAP = 'tap33330001-00';
const SERVER: ObjectKey = `server/${SERVER_ID}`;

describe('what others change on a host', () => {
  let machine: FakeMachine;
  let host: FakeHost;
  let spec: Spec;
  let policy: DriftPolicy;
  let agents: ReturnType<typeof start>[];

  beforeEach(() => {
    machine = new FakeMachine({ hostname: 'host1' });
    host = new FakeHost(machine);
    spec = exampleSpec(createHash('sha512').update(IMAGE).digest('hex'), IMAGE.length);
    policy = 'heal';
    agents = [];
  });
  afterEach(async () => {
    for (const agent of agents) await agent.reconciler.close();
  });

  /** An agent's reconciler with the real parts; several may follow each other on the machine. */
  function start(settled?: Settled) {
    const lines: string[] = [];
    const reports = new Map<ObjectKey, ObjectReport>();
    const log = createLogger('info', {}, (line) => lines.push(line));
    const drift = new DriftRegister({ policy: () => policy, now: () => new Date(), log });
    const parts = composeParts({
      host,
      config: agentConfig,
      virtType: 'qemu',
      bootId: 'boot',
      fetchImage: async () => Readable.from([IMAGE]),
      log,
    });
    const reconciler = new Reconciler({
      parts,
      spec: () => spec,
      log,
      retryMs: 20,
      drift,
      ...(settled ? { settled: () => settled } : {}),
      report: (report) => reports.set(report.key, report),
    });
    return { parts, reconciler, reports, drift, lines };
  }

  /** One that has brought everything about, and whose own changes are no news any more. */
  async function settledAgent() {
    const agent = start();
    agents.push(agent);
    await agent.reconciler.fullSync();
    await until('everything is applied', () => isApplied(agent.reports), agent.lines);
    await new Promise((resolve) => setTimeout(resolve, 800));
    expect(agent.drift.events()).toEqual([]);
    return agent;
  }

  const isApplied = (reports: ReadonlyMap<ObjectKey, ObjectReport>) =>
    Object.keys(spec).every((key) => reports.get(key as ObjectKey)?.state === 'applied');

  const eventOf = (agent: ReturnType<typeof start>, object: string): DriftEvent | undefined =>
    agent.drift.events().find((event) => event.object === object);

  const HANDS: readonly [what: string, object: string, words: RegExp, change: () => void][] = [
    [
      'a bridge is deleted',
      `network/${NETWORK}`,
      new RegExp(`bridge ${BRIDGE} was missing`),
      () => byHand(machine, 'ip', ['link', 'del', BRIDGE]),
    ],
    [
      'a tunnel device is deleted',
      `network/${NETWORK}`,
      /tunnel device vxlan-7 was missing/,
      () => byHand(machine, 'ip', ['link', 'del', 'vxlan-7']),
    ],
    [
      'a tap is taken out of its bridge',
      'port/33330001-0000-4000-8000-000000000001',
      new RegExp(`${TAP} was not in bridge ${BRIDGE}`),
      () => byHand(machine, 'ip', ['link', 'set', 'dev', TAP, 'nomaster']),
    ],
    [
      'an address of a router is deleted',
      `router/${ROUTER}`,
      /address 10\.0\.0\.1\/24 was missing on qr-33330003-00/,
      () =>
        byHand(machine, 'ip', [
          '-n',
          `qrouter-${ROUTER}`,
          'addr',
          'del',
          '10.0.0.1/24',
          'dev',
          'qr-33330003-00',
        ]),
    ],
    [
      'a router’s namespace is deleted',
      `router/${ROUTER}`,
      new RegExp(`namespace qrouter-${ROUTER} was missing`),
      () => byHand(machine, 'ip', ['netns', 'del', `qrouter-${ROUTER}`]),
    ],
    [
      'a rule of a port is flushed',
      'port/33330001-0000-4000-8000-000000000001',
      /rule was missing from maru-i33330001-00/,
      () =>
        byHand(machine, 'iptables-restore', ['--noflush'], {
          input: '*filter\n:maru-i33330001-00 - [0:0]\nCOMMIT\n',
        }),
    ],
    [
      'the table of port security is deleted',
      'network/*',
      /nft table bridge maru was missing/,
      () => byHand(machine, 'nft', ['-f', '-'], { input: 'delete table bridge maru\n' }),
    ],
    [
      'a member of a set is deleted',
      `group-members/44440001-0000-4000-8000-000000000001:${NETWORK}`,
      /10\.0\.0\.9 was missing from ipset maru4-/,
      () => {
        const [set] = [...machine.ipsets].find(([, { members }]) => members.has('10.0.0.9'))!;
        byHand(machine, 'ipset', ['del', set, '10.0.0.9']);
      },
    ],
    [
      'dnsmasq is killed',
      `dhcp/${NETWORK}`,
      /dnsmasq was not running/,
      () => {
        const [pid] = [...machine.processes].find(([, { command }]) => command === 'dnsmasq')!;
        machine.endProcess(pid);
      },
    ],
    [
      'dnsmasq’s configuration is deleted',
      `dhcp/${NETWORK}`,
      /file \S+dnsmasq\.conf was missing or changed/,
      () => machine.files.remove(`${agentConfig.state_dir}/dhcp/${NETWORK}/dnsmasq.conf`),
    ],
    [
      'a domain is undefined while it runs',
      SERVER,
      /was undefined while it runs/,
      () => byHand(machine, 'virsh', ['undefine', SERVER_ID]),
    ],
    [
      'a domain is edited',
      SERVER,
      /definition of domain instance-00000001 was changed by hand/,
      () => {
        const [domain] = machine.domains.values();
        const text = domain!.xml.replace(/<memory[^>]*>\d+/, (found) => found.replace(/\d+$/, '999'));
        machine.files.write('/tmp/edited.xml', text, 0o600);
        byHand(machine, 'virsh', ['define', '/tmp/edited.xml']);
      },
    ],
    [
      'a disk is made readable to everybody',
      SERVER,
      /root disk vda has mode 0644, not 0600/,
      () => {
        machine.files.get(`${agentConfig.state_dir}/servers/${SERVER_ID}/root.qcow2`)!.mode = 0o644;
      },
    ],
  ];

  it.each(HANDS)('is noticed, told and healed: %s', async (_what, object, words, change) => {
    const agent = await settledAgent();
    const domain = () =>
      [...machine.domains.values()].map(({ running, state, xml }) => ({ running, state, xml }));
    const before = domain();
    change();
    await until('healed', () => eventOf(agent, object)?.state === 'healed', agent.lines);
    expect(eventOf(agent, object)).toMatchObject({ detail: expect.stringMatching(words) });
    expect(eventOf(agent, object)!.healed_at).not.toBeNull();
    // what stands on it has drifted with it, and may be put right after it
    await until(
      'all healed',
      () => agent.drift.events().every(({ state }) => state === 'healed'),
      agent.lines,
    );
    // what stands on it follows, such as the metadata service in a router's namespace
    await vi.waitFor(
      async () =>
        expect((await Promise.all(Object.values(agent.parts).map((part) => part.plan(spec)))).flat()).toEqual(
          [],
        ),
      { timeout: 30_000 },
    );
    expect(domain()).toEqual(before);
  });

  it.each(HANDS)('is only told where the policy says so: %s', async (what, object, words, change) => {
    policy = 'report';
    const agent = await settledAgent();
    change();
    await until('reported', () => eventOf(agent, object)?.state === 'reported', agent.lines);
    expect(eventOf(agent, object)).toMatchObject({ detail: expect.stringMatching(words) });
    const { length } = host.changes;
    await agent.reconciler.fullSync();
    await agent.reconciler.fullSync();
    expect(host.changes.slice(length)).toEqual([]);
    expect(eventOf(agent, object)?.state).toBe('reported');
    // nothing fails because of it, but the metadata service that has no namespace to listen in
    const failing = [...agent.reports.values()]
      .filter(({ state }) => state !== 'applied')
      .map(({ key }) => key);
    expect(failing).toEqual(what.includes('namespace') ? [object] : []);
    // an operator's word, or another policy, ends that
    if (object === 'network/*') policy = 'heal';
    else
      expect(await agent.reconciler.heal(object as ObjectKey)).toEqual({ outcome: 'healed', detail: null });
    policy = 'heal';
    await agent.reconciler.fullSync();
    expect(eventOf(agent, object)?.state).toBe('healed');
    expect((await Promise.all(Object.values(agent.parts).map((part) => part.plan(spec)))).flat()).toEqual([]);
  });

  it('is not what a guest does by itself', async () => {
    const agent = await settledAgent();
    byHand(machine, 'virsh', ['destroy', SERVER_ID]);
    await until('noticed', () => agent.reports.get(SERVER)?.observed?.power_state === 'shutdown');
    await agent.reconciler.fullSync();
    expect(agent.drift.events()).toEqual([]);
    expect([...machine.domains.values()]).toMatchObject([{ running: null }]);
  });

  it('is no excuse to make a disk anew that a guest has used', async () => {
    const agent = await settledAgent();
    const path = `${agentConfig.state_dir}/servers/${SERVER_ID}/root.qcow2`;
    machine.files.remove(path);
    await until('reported', () => eventOf(agent, SERVER)?.state === 'reported', agent.lines);
    await agent.reconciler.fullSync();
    expect(eventOf(agent, SERVER)?.detail).toMatch(/root disk vda is gone: .*cannot be brought back/);
    expect(machine.files.get(path)).toBeUndefined();
    // nor is the guest started on nothing
    byHand(machine, 'virsh', ['destroy', SERVER_ID]);
    const body = spec[SERVER]!.body as ServerObject;
    spec = { ...spec, [SERVER]: { revision: 'again', body: { ...body, reboot: { soft: 0, hard: 1 } } } };
    await agent.reconciler.changed([SERVER]);
    await until('refused', () => agent.reports.get(SERVER)?.state === 'error', agent.lines);
    expect(agent.reports.get(SERVER)?.error).toMatchObject({
      message: expect.stringContaining('root disk vda is gone'),
      hint: expect.stringContaining('backup'),
    });
    expect(machine.files.get(path)).toBeUndefined();
  });

  it('is seen by an agent that was away meanwhile', async () => {
    const first = await settledAgent();
    await first.reconciler.close();
    byHand(machine, 'ip', ['link', 'set', 'dev', TAP, 'nomaster']);
    const none = new Set<ObjectKey>();
    const next = start({ data: none, plumbing: none });
    agents.push(next);
    await next.reconciler.fullSync();
    expect(eventOf(next, 'port/33330001-0000-4000-8000-000000000001')).toMatchObject({ state: 'healed' });
  });

  it('is left as it is while other things change', async () => {
    policy = 'report';
    const agent = await settledAgent();
    byHand(machine, 'ip', ['link', 'set', 'dev', TAP, 'nomaster']);
    const port: ObjectKey = 'port/33330001-0000-4000-8000-000000000001';
    await until('reported', () => eventOf(agent, port)?.state === 'reported', agent.lines);
    const group: ObjectKey = 'security-group/44440001-0000-4000-8000-000000000001';
    spec = { ...spec, [group]: { revision: 'less', body: { ...spec[group]!.body, rules: [] } } } as Spec;
    await agent.reconciler.changed([group]);
    expect(machine.netns('').links.get(TAP)?.master).toBeNull();
    // what the group no longer allows is closed all the same
    const rules = machine.netns('').tables.get('4 filter')?.get('maru-i33330001-00') ?? [];
    expect(rules.join('\n')).not.toContain('--dport 22');
    // the port itself is changed: from now on it is to be as the spec says
    spec = {
      ...spec,
      [port]: { ...spec[port]!, revision: 'new', body: { ...spec[port]!.body, mtu: 1400 } },
    } as Spec;
    await agent.reconciler.changed([port]);
    expect(machine.netns('').links.get(TAP)?.master).toBe(BRIDGE);
  });

  it('costs little, however often it happens', async () => {
    const agent = await settledAgent();
    const reads = { count: 0 };
    const read = host.read.bind(host);
    host.read = (...args) => {
      reads.count++;
      return read(...args);
    };
    const began = performance.now();
    const elapsed = () => performance.now() - began;
    const isFlood = () => agent.lines.join('').includes('too many events');
    let events = 0;
    while (elapsed() < 3_000 || !isFlood()) {
      // somebody else's device, and one of ours that flaps
      for (let n = 0; n < 50; n++) {
        machine.monitorEvent('ip', '[nsid current]9: eth7: <BROADCAST,MULTICAST> mtu 1500 state DOWN');
        machine.monitorEvent('ip', `[nsid current]9: ${TAP}: <BROADCAST,MULTICAST> mtu 1500 state DOWN`);
        events += 2;
      }
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    // each look reads some fifteen commands, and five in a second are the most; without a bound there would be one for each event
    expect(reads.count).toBeLessThan(15 * (5 + elapsed() / 200));
    expect(events).toBeGreaterThan(500);
  });
});

async function until(what: string, condition: () => boolean, lines: readonly string[] = []): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not in time: ${what}\n${lines.slice(-6).join('')}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
