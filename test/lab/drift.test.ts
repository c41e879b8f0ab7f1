import { createHash } from 'node:crypto';
import { createServer } from 'node:net';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { composeParts } from '../../agents/compose.js';
import { DriftRegister } from '../../agents/drift/register.js';
import { Reconciler } from '../../agents/reconciler.js';
import type { DriftEvent, DriftPolicy, ObjectReport } from '../../src/protocol/messages.js';
import type { ObjectKey, Spec } from '../../src/protocol/objects.js';
import { memoryLog } from '../support/guests.js';
import { agentConfig } from '../support/hosts/agent-config.js';
import { exampleSpec, IMAGE, SERVER_ID } from '../support/hosts/example-spec.js';
import { LabHost, until } from '../support/lab-host.js';

const MINUTES = 60_000;
const ROUTER = '55550001-0000-4000-8000-000000000001';
const NETWORK = '22220001-0000-4000-8000-000000000001';
const PORT = '33330001-0000-4000-8000-000000000001';
const BRIDGE = 'brq22220001-00';
const TAP = 'tap33330001-00';
const SERVER: ObjectKey = `server/${SERVER_ID}`;

/** From the change to the repair, which nothing but the change itself brings about here: as long as a busy machine takes. */
const SOON_MS = 40_000;

let host: LabHost;
let spec: Spec;
let policy: DriftPolicy = 'heal';
let agent: ReturnType<typeof start>;

beforeAll(async () => {
  host = await LabHost.start();
  // nobody asks for metadata here: its sockets would have to be made in the host's namespaces
  host.listenInNamespace = async () => createServer();
  spec = exampleSpec(createHash('sha512').update(IMAGE).digest('hex'), IMAGE.length);
  await hand('ip', 'link', 'add', 'br-ex', 'type', 'bridge');
  await hand('ip', 'link', 'set', 'br-ex', 'up');
  await plantForeign();
  agent = start();
  await settle(agent);
}, 5 * MINUTES);

afterAll(async () => {
  await agent?.reconciler.close();
  await host?.stop();
}, 3 * MINUTES);

function hand(command: string, ...args: string[]) {
  return LabHost.prototype.read.call(host, command, args);
}

function inRouter(command: string, ...args: string[]) {
  return hand('ip', 'netns', 'exec', `qrouter-${ROUTER}`, command, ...args);
}

function start() {
  const log = memoryLog();
  const reports = new Map<ObjectKey, ObjectReport>();
  const drift = new DriftRegister({ policy: () => policy, now: () => new Date(), log });
  const parts = composeParts({
    host,
    config: { ...agentConfig, state_dir: `${host.directory}/state` },
    virtType: 'qemu',
    bootId: 'boot-1',
    fetchImage: async () => Readable.from([IMAGE]),
    log,
  });
  const reconciler = new Reconciler({
    parts,
    spec: () => spec,
    log,
    drift,
    retryMs: 200,
    // more is changed here in a minute than elsewhere in a year
    lookRate: { refillMs: 500 },
    report: (report) => reports.set(report.key, report),
  });
  return { parts, reconciler, reports, drift, log };
}

async function settle({ reconciler, reports, drift, log }: ReturnType<typeof start>): Promise<void> {
  await reconciler.fullSync();
  const missing = () => Object.keys(spec).filter((key) => reports.get(key as ObjectKey)?.state !== 'applied');
  await until('everything', 120_000, () => missing().length === 0).catch((error) => {
    throw new Error(`${error}: ${missing().join(' ')}\n${log.lines.slice(-8).join('\n')}`);
  });
  await until('the monitors', SOON_MS, listening);
  drift.acknowledge(drift.events());
}

/** Whether the programs that tell of changes hear them: of devices, of this host's rules, of the router's, and of domains. */
async function listening(): Promise<boolean> {
  const hears = async (pattern: string, protocol: number) => {
    let count = 0;
    for (const pid of await host.pids(pattern)) {
      const sockets = (await hand('cat', `/proc/${pid}/net/netlink`)).stdout.split('\n').slice(1);
      const joined = sockets
        .map((line) => line.trim().split(/\s+/))
        .some(([, family, owner, groups]) => {
          return Number(family) === protocol && Number(owner) === pid && !/^0*$/.test(groups ?? '');
        });
      if (joined) count++;
    }
    return count;
  };
  return (
    (await hears('^ip -o monitor', NETLINK_ROUTE)) >= 1 &&
    (await hears('^nft monitor', NETLINK_NETFILTER)) >= 2 &&
    (await host.pids('^virsh .*event --all')).length > 0
  );
}
const NETLINK_ROUTE = 0;
const NETLINK_NETFILTER = 12;

const eventOf = (object: string): DriftEvent | undefined =>
  agent.drift.events().find((event) => event.object === object);
const steps = async () =>
  (await Promise.all(Object.values(agent.parts).map((part) => part.plan(spec)))).flat();
const qemu = () => host.pids('qemu-system.*instance-00000001');

/** Things of others, beside and inside what is ours. */
async function plantForeign(): Promise<void> {
  await hand('ip', 'link', 'add', 'virbr9', 'type', 'bridge');
  await hand('ip', 'link', 'add', 'fp0', 'type', 'veth', 'peer', 'name', 'fp1');
  await hand('ip', 'link', 'set', 'fp0', 'master', 'br-ex', 'up');
  await hand('ip', 'tuntap', 'add', 'dev', 'vnet7', 'mode', 'tap');
  await hand('ip', 'netns', 'add', 'blue');
  for (const tables of ['iptables', 'ip6tables']) {
    await hand(tables, '-N', 'f2b-sshd');
    await hand(tables, '-A', 'f2b-sshd', '-p', 'tcp', '-j', 'RETURN');
    await hand(tables, '-A', 'INPUT', '-p', 'tcp', '--dport', '22', '-j', 'f2b-sshd');
    await hand(tables, '-A', 'FORWARD', '-i', 'virbr9', '-j', 'ACCEPT');
  }
  await hand('nft', 'add', 'table', 'inet', 'theirs');
  await hand('nft', 'add', 'chain', 'inet', 'theirs', 'in', '{ type filter hook input priority 5 ; }');
  await hand('nft', 'add', 'rule', 'inet', 'theirs', 'in', 'ct', 'state', 'invalid', 'counter', 'drop');
  await hand('nft', 'add', 'table', 'bridge', 'theirs');
  await hand('ipset', 'create', 'theirs', 'hash:ip');
  await hand('ipset', 'add', 'theirs', '203.0.113.77');
  const file = `${host.directory}/pet.xml`;
  await host.writeFile(
    file,
    `<domain type="qemu"><name>pet</name><uuid>99990001-0000-4000-8000-000000000001</uuid>
     <memory unit="MiB">64</memory><os><type arch="x86_64">hvm</type></os></domain>`,
    0o600,
  );
  await hand('virsh', 'define', file);
}

/** All that is not ours, as text. */
async function foreign(): Promise<string> {
  const of = async (command: string, ...args: string[]) => (await hand(command, ...args)).stdout;
  const rules = async (command: string) =>
    (await of(command))
      .split('\n')
      .filter((line) => !line.startsWith('#') && !line.includes('maru'))
      .map((line) => line.replace(/\[\d+:\d+\]/, ''))
      .join('\n');
  const links = (
    JSON.parse(await of('ip', '-j', '-d', 'link', 'show')) as { ifname: string; master?: string }[]
  )
    .filter(({ ifname }) => /^(virbr9|fp\d|vnet7|br-ex|lo)$/.test(ifname))
    .map(({ ifname, master }) => `${ifname} ${master ?? ''}`);
  return [
    ...links,
    (await of('ip', 'netns', 'list')).split('\n').filter((line) => line.startsWith('blue')).length,
    await rules('iptables-save'),
    await rules('ip6tables-save'),
    (await of('nft', 'list', 'table', 'inet', 'theirs')).replace(/packets \d+ bytes \d+/g, ''),
    await of('nft', 'list', 'table', 'bridge', 'theirs'),
    await of('ipset', 'save', 'theirs'),
    await of('virsh', 'dumpxml', 'pet'),
  ].join('\n');
}

const HANDS: readonly [what: string, object: string, words: RegExp, change: () => Promise<unknown>][] = [
  [
    'a bridge is deleted',
    `network/${NETWORK}`,
    /bridge brq22220001-00 was missing/,
    () => hand('ip', 'link', 'del', BRIDGE),
  ],
  [
    'a tunnel device is deleted',
    `network/${NETWORK}`,
    /tunnel device vxlan-7 was missing/,
    () => hand('ip', 'link', 'del', 'vxlan-7'),
  ],
  [
    'a tunnel device leaves its bridge',
    `network/${NETWORK}`,
    /vxlan-7 was not in bridge/,
    () => hand('ip', 'link', 'set', 'vxlan-7', 'nomaster'),
  ],
  [
    'a bridge is taken down',
    `network/${NETWORK}`,
    /brq22220001-00 was down/,
    () => hand('ip', 'link', 'set', BRIDGE, 'down'),
  ],
  [
    'a tap leaves its bridge',
    `port/${PORT}`,
    /tap33330001-00 was not in bridge/,
    () => hand('ip', 'link', 'set', TAP, 'nomaster'),
  ],
  [
    'an address of a router is deleted',
    `router/${ROUTER}`,
    /address 10\.0\.0\.1\/24 was missing/,
    () => hand('ip', '-n', `qrouter-${ROUTER}`, 'addr', 'del', '10.0.0.1/24', 'dev', 'qr-33330003-00'),
  ],
  [
    'an address is added to a router',
    `router/${ROUTER}`,
    /address 10\.0\.0\.77\/24 .* is not ours/,
    () => hand('ip', '-n', `qrouter-${ROUTER}`, 'addr', 'add', '10.0.0.77/24', 'dev', 'qr-33330003-00'),
  ],
  [
    'a router’s default route is deleted',
    `router/${ROUTER}`,
    /route to 0\.0\.0\.0\/0 was missing/,
    () => hand('ip', '-n', `qrouter-${ROUTER}`, 'route', 'del', 'default'),
  ],
  [
    'a router’s NAT is flushed',
    `router/${ROUTER}`,
    /rule was missing from maru-PREROUTING/,
    () => inRouter('iptables', '-t', 'nat', '-F', 'maru-PREROUTING'),
  ],
  [
    'a router’s namespace is deleted',
    `router/${ROUTER}`,
    /namespace qrouter-\S+ was missing/,
    () => hand('ip', 'netns', 'del', `qrouter-${ROUTER}`),
  ],
  [
    'the rules of a port are flushed',
    `port/${PORT}`,
    /rule was missing from maru-i33330001-00/,
    () => hand('iptables', '-F', 'maru-i33330001-00'),
  ],
  [
    'the jump to the security groups is deleted',
    'network/*',
    /rule was missing from FORWARD/,
    () => hand('iptables', '-D', 'FORWARD', '1'),
  ],
  [
    'the table of port security is deleted',
    'network/*',
    /nft table bridge maru was missing/,
    () => hand('nft', 'delete', 'table', 'bridge', 'maru'),
  ],
  [
    'a port is closed by hand',
    `port/${PORT}`,
    /nft element was missing: bridge maru ready/,
    () => hand('nft', 'delete', 'element', 'bridge', 'maru', 'ready', `{ "${TAP}" }`),
  ],
  [
    'a member of a set is deleted',
    `group-members/44440001-0000-4000-8000-000000000001:${NETWORK}`,
    /10\.0\.0\.9 was missing from ipset maru4-/,
    async () => {
      const { stdout } = await hand('ipset', 'save');
      const name = /^add (maru4-\S+) 10\.0\.0\.9$/m.exec(stdout)?.[1];
      await hand('ipset', 'del', name!, '10.0.0.9');
    },
  ],
  [
    'dnsmasq is killed',
    `dhcp/${NETWORK}`,
    /dnsmasq was not running/,
    async () => hand('kill', '-9', `${(await host.pids('dnsmasq --conf-file'))[0]}`),
  ],
  [
    'dnsmasq’s configuration is deleted',
    `dhcp/${NETWORK}`,
    /file \S+dnsmasq\.conf was missing/,
    () => host.removeFile(`${host.directory}/state/dhcp/${NETWORK}/dnsmasq.conf`),
  ],
  [
    'a domain is undefined while it runs',
    SERVER,
    /was undefined while it runs/,
    () => hand('virsh', 'undefine', SERVER_ID),
  ],
  [
    'a domain is edited',
    SERVER,
    /definition of domain instance-00000001 was changed by hand/,
    async () => {
      const { stdout } = await hand('virsh', 'dumpxml', '--inactive', SERVER_ID);
      await host.writeFile(`${host.directory}/edited.xml`, stdout.replace(/>262144</g, '>131072<'), 0o600);
      await hand('virsh', 'define', `${host.directory}/edited.xml`);
    },
  ],
  [
    'a disk is made readable to everybody',
    SERVER,
    /root disk vda has mode 0644, not 0600/,
    () => host.chmod(`${host.directory}/state/servers/${SERVER_ID}/root.qcow2`, 0o644),
  ],
];

describe('what is changed by hand on a host', () => {
  // one that was missed does not spoil the others
  afterEach(() => agent.reconciler.fullSync(), 3 * MINUTES);

  it.each(HANDS)(
    'is noticed and healed: %s',
    async (_what, object, words, change) => {
      agent.drift.acknowledge(agent.drift.events());
      expect(await steps()).toEqual([]);
      const before = { qemu: await qemu(), foreign: await foreign() };
      await change();
      const began = performance.now();
      await until('healed', SOON_MS, () => eventOf(object)?.state === 'healed').catch((error) => {
        throw new Error(
          `${error}\n${JSON.stringify(agent.drift.events())}\n${agent.log.lines.slice(-8).join('\n')}`,
        );
      });
      console.log(`${_what}: ${Math.round(performance.now() - began)} ms`);
      expect(eventOf(object)?.detail).toMatch(words);
      await until('nothing left to do', SOON_MS, async () => (await steps()).length === 0);
      expect(await qemu()).toEqual(before.qemu);
      expect(await foreign()).toEqual(before.foreign);
    },
    3 * MINUTES,
  );

  it.each([4, 10, 18])(
    'is only told where the policy says so: change %i',
    async (n) => {
      const [, object, words, change] = HANDS[n]!;
      agent.drift.acknowledge(agent.drift.events());
      policy = 'report';
      // what follows a comparison at once is taken for its echo
      await sleep(700);
      try {
        await change();
        await until('reported', SOON_MS, () => eventOf(object)?.state === 'reported');
        expect(eventOf(object)?.detail).toMatch(words);
        host.runs = [];
        await agent.reconciler.fullSync();
        expect(host.runs).toEqual([]);
        expect(eventOf(object)?.state).toBe('reported');
        expect((await steps()).map((step) => step.object)).toContain(object);
        expect(await agent.reconciler.heal(object as ObjectKey)).toEqual({ outcome: 'healed', detail: null });
        expect(await steps()).toEqual([]);
      } finally {
        policy = 'heal';
      }
    },
    3 * MINUTES,
  );

  it(
    'is found by the next full comparison where nothing tells of it: a domain that is to start by itself',
    async () => {
      agent.drift.acknowledge(agent.drift.events());
      await hand('virsh', 'autostart', SERVER_ID);
      await agent.reconciler.fullSync();
      expect(eventOf(SERVER)).toMatchObject({
        state: 'healed',
        detail: expect.stringContaining('autostart of domain instance-00000001 is on'),
      });
      expect((await hand('virsh', 'dominfo', SERVER_ID)).stdout).toMatch(/Autostart: +disable/);
    },
    3 * MINUTES,
  );

  it(
    'is not what a guest does: a domain that was destroyed stays off',
    async () => {
      agent.drift.acknowledge(agent.drift.events());
      await hand('virsh', 'destroy', SERVER_ID);
      await until('noticed', SOON_MS, () => agent.reports.get(SERVER)?.observed?.power_state === 'shutdown');
      await agent.reconciler.fullSync();
      expect(agent.drift.events()).toEqual([]);
      expect(await qemu()).toEqual([]);
      await hand('virsh', 'start', SERVER_ID);
      await until('noticed', SOON_MS, () => agent.reports.get(SERVER)?.observed?.power_state === 'running');
    },
    3 * MINUTES,
  );

  it(
    'leaves what others have inside a router alone',
    async () => {
      await inRouter('iptables', '-t', 'nat', '-N', 'OPERATOR');
      await inRouter('iptables', '-t', 'nat', '-A', 'OPERATOR', '-j', 'RETURN');
      await inRouter('iptables', '-t', 'nat', '-A', 'PREROUTING', '-p', 'udp', '-j', 'OPERATOR');
      await hand('ip', '-n', `qrouter-${ROUTER}`, 'link', 'add', 'oper0', 'type', 'bridge');
      const theirs = async () =>
        (await inRouter('iptables', '-t', 'nat', '-S')).stdout
          .split('\n')
          .filter((line) => line.includes('OPERATOR'));
      const before = await theirs();
      expect(before).toHaveLength(3);
      agent.drift.acknowledge(agent.drift.events());
      await inRouter('iptables', '-t', 'nat', '-F', 'maru-POSTROUTING');
      await until('healed', SOON_MS, () => eventOf(`router/${ROUTER}`)?.state === 'healed');
      await agent.reconciler.fullSync();
      expect(await steps()).toEqual([]);
      expect(await theirs()).toEqual(before);
      expect((await hand('ip', '-n', `qrouter-${ROUTER}`, 'link', 'show', 'oper0')).exitCode).toBe(0);
    },
    3 * MINUTES,
  );

  it(
    'is no concern of an agent that starts again, which disturbs nothing',
    async () => {
      const before = {
        qemu: await qemu(),
        foreign: await foreign(),
        dnsmasq: await host.pids('dnsmasq --conf-file'),
      };
      await agent.reconciler.close();
      host.runs = [];
      agent = start();
      await settle(agent);
      expect(host.runs).toEqual([]);
      expect({
        qemu: await qemu(),
        foreign: await foreign(),
        dnsmasq: await host.pids('dnsmasq --conf-file'),
      }).toEqual(before);
    },
    3 * MINUTES,
  );

  it(
    'costs nothing, whatever others do all the time',
    async () => {
      const read = host.read.bind(host);
      let reads = 0;
      host.read = (...args) => {
        reads++;
        return read(...args);
      };
      const flapping = hand(
        'bash',
        '-c',
        'end=$((SECONDS+3)); while [ $SECONDS -lt $end ]; do ip link set fp1 up; ip link set fp1 down; iptables -A f2b-sshd -j RETURN; iptables -D f2b-sshd -j RETURN; done',
      );
      await flapping;
      host.read = read;
      expect(reads).toBeLessThan(5);
    },
    3 * MINUTES,
  );

  it(
    'stays when everything of ours goes',
    async () => {
      const before = await foreign();
      const doomed = Object.entries(spec).filter(([key]) => /^(server|volume)\//.test(key));
      const keys = Object.keys(spec) as ObjectKey[];
      spec = Object.fromEntries(
        doomed.map(([key, object]) => [key, { ...object, revision: 'gone', tombstone: true }]),
      ) as Spec;
      await agent.reconciler.changed(keys);
      await until('gone', 60_000, () => keys.every((key) => agent.reports.get(key)?.state === 'gone'));
      await agent.reconciler.fullSync();
      expect(await foreign()).toEqual(before);
      const { stdout } = await hand('ip', '-br', 'link');
      expect(stdout).not.toMatch(/brq|vxlan-|tap3333/);
    },
    3 * MINUTES,
  );
});
