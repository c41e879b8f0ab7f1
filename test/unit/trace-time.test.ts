import { beforeEach, expect, it, vi } from 'vitest';
import { FakeMachine, type MachineOptions } from '../../agents/host/fake/machine.js';
import { FakeHost } from '../../agents/host/fake.js';
import type { NetworkContext } from '../../agents/network/config.js';
import { inChain, portChains } from '../../agents/network/firewall/port-chains.js';
import { hostTables } from '../../agents/network/firewall/tables.js';
import { answerTrace, type TraceSources } from '../../agents/network/trace/answer.js';
import { members } from '../../agents/network/trace/members.js';
import { filter } from '../../agents/network/trace/rules.js';
import { Snapshot } from '../../agents/network/trace/snapshot.js';
import { memberSetName } from '../../src/net/names.js';
import type { ObjectKey, SecurityRule } from '../../src/protocol/objects.js';
import { group, id, mac, port } from '../lab/network-spec.js';

/** What was taken apart, by each of the functions that cost most. */
const { taken } = vi.hoisted(() => ({ taken: { rules: 0, cidrs: 0 } }));
beforeEach(() => void Object.assign(taken, { rules: 0, cidrs: 0 }));

vi.mock(import('../../agents/network/firewall/iptables/normalise.js'), async (original) => {
  const real = await original();
  const normaliseRule = (rule: string) => {
    taken.rules++;
    return real.normaliseRule(rule);
  };
  return { ...real, normaliseRule };
});
vi.mock(import('../../src/net/cidr.js'), async (original) => {
  const real = await original();
  const parseCidr: typeof real.parseCidr = (text) => {
    taken.cidrs++;
    return real.parseCidr(text);
  };
  return { ...real, parseCidr };
});

/** Keeps the processor busy, as comparing what was read does. */
function work(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end; );
}

it('leaves everybody else a turn while it compares, and ends in time where nothing is waited for', async () => {
  const held = () => {
    work(20);
    return 'r';
  };
  const sources = { context: {}, held } as unknown as TraceSources;
  const objects = [{ key: `port/${id(1)}` as ObjectKey, revision: 'r' }];
  const checks = Array.from({ length: 200 }, () => ({ kind: 'told' as const, objects }));
  let turns = 0;
  const heartbeats = setInterval(() => turns++, 5);
  const { findings } = await answerTrace(sources, { checks, probe: false }, 1_500).finally(() =>
    clearInterval(heartbeats),
  );
  expect(findings).toHaveLength(200);
  expect(findings[0]).toMatchObject({ state: 'ok' });
  expect(findings.at(-1)).toEqual({ state: 'unknown', detail: 'not found out within 1.5 s' });
  expect(turns).toBeGreaterThan(0);
});

it('compares thousands of rules of a port, each taken apart but a few times', async () => {
  const groups = [1, 2, 3, 4].map((n) =>
    group(
      id(n),
      Array.from({ length: 1_000 }, (_, rule) => tcp(1_000 * n + rule)),
    ),
  );
  const guest = port(id(9), id(8), mac(9), ['10.0.0.9'], [1, 2, 3, 4].map(id));
  const chains = portChains(guest, groups, undefined);
  const tables = hostTables([{ key: `port/${guest.id}`, id: guest.id, chains }], [], {
    tenant: false,
    provider: [],
  });
  const have = new Map([...tables.get('4 filter')!.chains].map(([name, { rules }]) => [name, [...rules]]));
  const look = async () => {
    const snapshot = { chains: async () => have } as unknown as Snapshot;
    return await filter(snapshot, { kind: 'filter', port: guest, groups, dhcp: null, rule: null });
  };
  expect(have.get(inChain(guest.id))?.length).toBeGreaterThan(4_000);
  taken.rules = 0;
  expect((await look()).state).toBe('ok');
  // not once for each of the others
  expect(taken.rules).toBeGreaterThan(4_000);
  expect(taken.rules).toBeLessThan(10 * 4_000);
  have.set(inChain(guest.id), [...have.get(inChain(guest.id))!].slice(0, -1));
  expect((await look()).state).toBe('fail');
});

it('looks for a member in its own set alone, as an address or in a block, however many there are', async () => {
  const set = memberSetName(4, id(1), id(8));
  const machine = new FakeMachine({ hostname: 'one' } as MachineOptions);
  const fill = (name: string, members: readonly string[]) =>
    machine.ipsets.set(name, { header: 'hash:net family inet', members: new Set(members) });
  fill('maru4-other', ['192.0.2.0/24']);
  const many = Array.from({ length: 20_000 }, (_, n) => `10.0.${n >> 8}.${n & 255}`);
  fill(set, [...many, '198.51.100.0/25']);
  const host = new FakeHost(machine);
  const look = async (address: string, group_id = id(1)) => {
    const context = { host, config: {}, log: {} } as unknown as NetworkContext;
    const check = { kind: 'members', group_id, network_id: id(8), family: 4, members: [], address } as const;
    return (await members(new Snapshot(context), check)).detail;
  };
  await look('10.0.9.9');
  taken.cidrs = 0;
  expect(await look('10.0.9.9')).toBe(`10.0.9.9 is in ${set}`);
  expect(await look('198.51.100.64/26')).toBe(`198.51.100.64/26 is in ${set}, by 198.51.100.0/25`);
  expect(await look('192.0.2.5')).toBe(`192.0.2.5 is not in the set ${set}, which has 20001 member(s)`);
  // only what is looked for, and blocks
  expect(taken.cidrs).toBeGreaterThan(0);
  expect(taken.cidrs).toBeLessThan(10);
  expect(await look('10.0.9.9', id(2))).toContain(
    'is not there: no rule with this remote group admits anybody',
  );
});

const tcp = (number: number): SecurityRule => ({
  id: id(number),
  direction: 'ingress',
  ethertype: 'IPv4',
  protocol: 'tcp',
  port_range_min: number,
  port_range_max: number,
  remote_ip_prefix: null,
  remote_group_id: null,
});
