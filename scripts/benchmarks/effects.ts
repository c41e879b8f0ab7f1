import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { waitFor } from '../lab/commands.js';
import { create, list } from '../lab/resources.js';
import { type BenchLab, removeServer, timedServer } from './bench-lab.js';
import { atMost, type Result } from './results.js';

const PROBE_SECONDS = 0.01;
/** Probes after which an effect is given up: about half a minute. */
const MOST_PROBES = 3000;

/** How long after the request a floating IP answers, and a rule lets pings in. */
export async function benchEffects(bench: BenchLab, runs: number): Promise<Result[]> {
  const server = await timedServer(bench, 'bench-effects');
  const { demo } = bench;
  try {
    const [port] = await list<{ id: string }>(demo, 'port', { device_id: server.id });
    const floating = await create<{ id: string; floating_ip_address: string }>(demo, 'floatingIp', {
      floating_network_id: bench.external.id,
    });
    const address = floating.floating_ip_address;
    const path = `/v2.0/floatingips/${floating.id}`;
    const set = (port_id: string | null) => demo.call('network', 'PUT', path, { floatingip: { port_id } });

    // the guest has to be there before anything can be measured
    await set(port!.id);
    await waitFor('the guest to answer pings', 240_000, () => answers(bench, address), 500);

    const association: number[] = [];
    for (let run = 0; run < runs; run++) {
      await set(null);
      await silence(bench, address);
      association.push(await untilAnswer(bench, address, () => set(port!.id)));
    }
    const rule: number[] = [];
    for (let run = 0; run < runs; run++) {
      await removeIcmpRule(bench);
      await silence(bench, address);
      rule.push(
        await untilAnswer(bench, address, () =>
          create(demo, 'securityGroupRule', {
            security_group_id: bench.group.id,
            direction: 'ingress',
            ethertype: 'IPv4',
            protocol: 'icmp',
          }),
        ),
      );
    }
    await demo.call('network', 'DELETE', path);
    return [
      atMost('floating IP association → first ping', 's', association, 0.15, { openstack: 1.25 }),
      atMost('security group rule → effect', 's', rule, 0.1, { openstack: 1.9 }),
    ];
  } finally {
    await removeServer(bench, server.id);
  }
}

async function removeIcmpRule(bench: BenchLab): Promise<void> {
  const rules = await list<{ id: string }>(bench.demo, 'securityGroupRule', {
    security_group_id: bench.group.id,
    protocol: 'icmp',
  });
  for (const { id } of rules) await bench.demo.call('network', 'DELETE', `/v2.0/security-group-rules/${id}`);
}

/** True when one ping of the outside world is answered. */
async function answers(bench: BenchLab, address: string): Promise<boolean> {
  const child = spawn('ip', ['netns', 'exec', bench.lab.outsideNs, 'ping', '-c', '1', '-W', '1', address], {
    stdio: 'ignore',
  });
  return await new Promise((resolve) => child.on('exit', (code) => resolve(code === 0)));
}

async function silence(bench: BenchLab, address: string): Promise<void> {
  await waitFor('pings to go unanswered', 30_000, async () => !(await answers(bench, address)));
}

/**
 * Seconds from the request to the first answered ping, of a ping process that has been running since before; ping itself
 * stamps its replies, so that reading them late does not count.
 */
async function untilAnswer(bench: BenchLab, address: string, act: () => Promise<unknown>): Promise<number> {
  const args = [
    'netns',
    'exec',
    bench.lab.outsideNs,
    'ping',
    '-D',
    '-n',
    '-i',
    String(PROBE_SECONDS),
    // not -w: with it ping ends at the first error that the network reports
    '-c',
    String(MOST_PROBES),
    address,
  ];
  const child = spawn('ip', args, { stdio: ['ignore', 'pipe', 'ignore'] });
  try {
    const first = new Promise<number>((resolve, reject) => {
      createInterface({ input: child.stdout }).on('line', (line) => {
        const [, time] = /^\[(\d+\.\d+)\] \d+ bytes from/.exec(line) ?? [];
        if (time) resolve(Number(time));
      });
      child.on('exit', () => reject(new Error(`no ping to ${address} was answered within 30 s`)));
    });
    first.catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 200));
    const started = Date.now() / 1000;
    await act();
    return (await first) - started;
  } finally {
    child.kill();
  }
}
