import { describe, expect, it } from 'vitest';
import type { CommandOptions } from '../../agents/host/host.js';
import type { NetworkContext } from '../../agents/network/config.js';
import { Snapshot } from '../../agents/network/trace/snapshot.js';
import { tracking, translations } from '../../agents/network/trace/tracking.js';
import { bridgeName } from '../../src/net/names.js';

const NET = '00000002-0000-4000-8000-000000000002';
const ROUTER = '00000005-0000-4000-8000-000000000005';
const NETNS = `qrouter-${ROUTER}`;
const [FIXED, FLOATING] = ['10.0.0.32', '203.0.113.50'];
const ZONE = 7;

/** A line of `conntrack -L -o extended`, answered from where it went to unless said otherwise. */
const line = (from: string, to: string, port: number, zone = ZONE, answers = to) =>
  `ipv4     2 tcp      6 431999 ESTABLISHED src=${from} dst=${to} sport=${port} dport=22 ` +
  `src=${answers} dst=${from} sport=22 dport=${port} [ASSURED] mark=0 zone=${zone} use=1\n`;

const lines = (count: number, make: (port: number) => string) =>
  Array.from({ length: count }, (_, n) => make(n)).join('');

/** A host that has so many connections, and lists these by where they have the address. */
function site(count: number, listed: Readonly<Record<string, string>>) {
  const listings: { readonly args: string; readonly options: CommandOptions }[] = [];
  const host = {
    readFileIfExists: async () => JSON.stringify({ [NET]: ZONE }),
    read: async (command: string, args: readonly string[], options: CommandOptions = {}) => {
      const answer = (stdout: string) => ({ stdout, stderr: '', exitCode: 0 });
      if (command === 'sysctl') {
        const names = ['net.netfilter.nf_conntrack_count', 'net.netfilter.nf_conntrack_max'];
        return answer(`${names[0]} = ${count}\n${names[1]} = 1000000\n`);
      }
      if (command === 'conntrack') {
        listings.push({ args: args.join(' '), options });
        return answer(listed[args.find((arg) => /^-[sdrq]$/.test(arg))!] ?? '');
      }
      if (command === 'nft') {
        const elem = [[bridgeName(NET), ZONE]];
        return answer(JSON.stringify({ nftables: [{ map: { name: 'zones', elem } }] }));
      }
      return answer(args.includes('addr') ? '[]' : `${NETNS} (id: 0)\n`);
    },
    listDirectory: async () => [NETNS],
  };
  const config = { underlay_ip: '192.0.2.1', physical_networks: {}, state_dir: '/nowhere' };
  const snapshot = new Snapshot({ host, config } as unknown as NetworkContext);
  const network = { id: NET, type: 'vxlan', physical_network: null, segmentation_id: 1001 } as const;
  return {
    listings,
    ofBridge: () => tracking(snapshot, { kind: 'tracking', network, address: FIXED }),
    ofRouter: () =>
      translations(snapshot, {
        kind: 'translations',
        router_id: ROUTER,
        floating: { address: FLOATING, fixed: FIXED },
      }),
  };
}

describe('looking at tracked connections', () => {
  it('lists none where the table is large, and says by which commands they are seen', async () => {
    const { ofBridge, ofRouter, listings } = site(250_000, {});
    expect(await ofBridge()).toEqual({
      state: 'unknown',
      detail:
        '250000 connections are tracked, too many to look through for those of 10.0.0.32; to see these: ' +
        'conntrack -L -f ipv4 -s 10.0.0.32 -o extended; conntrack -L -f ipv4 -d 10.0.0.32 -o extended',
    });
    const found = await ofRouter();
    expect(found.state).toBe('unknown');
    expect(found.detail).toContain(
      `; ip netns exec ${NETNS} conntrack -L -f ipv4 -q ${FLOATING} -o extended`,
    );
    expect(listings).toEqual([]);
  });

  it('takes a few thousand lines apart, counts the others, and claims nothing of these', async () => {
    const own = lines(100_000, (n) => line(FIXED, '198.51.100.9', n));
    const found = await site(49_000, { '-s': own }).ofBridge();
    expect(found.state).toBe('unknown');
    expect(found.detail).toContain('2000 of 100000 connections of 10.0.0.32 were looked at');
    const stray = line(FIXED, '198.51.100.9', 1, 77) + own;
    expect(await site(49_000, { '-s': stray }).ofBridge()).toMatchObject({
      state: 'fail',
      detail: expect.stringContaining('tracked in conntrack zone 77'),
    });
    // what is not taken apart is not seen
    const unseen = own + line(FIXED, '198.51.100.9', 1, 77);
    expect((await site(49_000, { '-s': unseen }).ofBridge()).detail).toContain('2000 of 100001 connections');
  });

  it('lists what can have the address where it is looked for, once and with a time limit', async () => {
    const here = site(3, {
      '-s': line(FIXED, '198.51.100.9', 1) + line(FIXED, '198.51.100.9', 2),
      '-d': line('198.51.100.9', FIXED, 3),
    });
    const whole = {
      state: 'ok',
      detail: `${bridgeName(NET)} is tracked in conntrack zone ${ZONE}: 3 connection(s) of ${FIXED}`,
    };
    expect(await here.ofBridge()).toEqual(whole);
    expect(await here.ofBridge()).toEqual(whole);
    expect(here.listings.map(({ args }) => args.split(' ')[3])).toEqual(['-s', '-d']);
    for (const { options } of here.listings) expect(options.timeoutMs).toBeLessThan(5_000);
  });

  it('knows translations by either direction', async () => {
    const inwards = { '-d': line('198.51.100.9', FLOATING, 1, 0, FIXED) };
    const outwards = {
      '-q': line(FIXED, '198.51.100.9', 2, 0).replace(`dst=${FIXED} sport=22`, `dst=${FLOATING} sport=22`),
    };
    const whole = site(2, { ...inwards, ...outwards });
    expect(await whole.ofRouter()).toEqual({
      state: 'ok',
      detail: `2 connection(s) of ${FLOATING}, all with ${FIXED}`,
    });
    expect(whole.listings.map(({ args, options }) => [args.split(' ')[3], options.netns])).toEqual([
      ['-d', NETNS],
      ['-q', NETNS],
    ]);
    const others = { '-q': outwards['-q'].replace(`src=${FIXED} dst=198`, 'src=10.0.0.99 dst=198') };
    expect(await site(2, others).ofRouter()).toMatchObject({
      state: 'fail',
      detail: expect.stringContaining(`a connection of 10.0.0.99 still leaves as ${FLOATING}`),
      mend: `ip netns exec ${NETNS} conntrack -D -s 10.0.0.99 -d 198.51.100.9`,
    });
    const elsewhere = { '-d': line('198.51.100.9', FLOATING, 1, 0, '10.0.0.99') };
    expect(await site(1, elsewhere).ofRouter()).toMatchObject({
      state: 'fail',
      detail: expect.stringContaining(`still goes to 10.0.0.99, not to ${FIXED}`),
    });
  });
});
