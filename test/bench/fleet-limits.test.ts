import { describe, expect, it } from 'vitest';
import { type Joining, joinHosts } from '../../scripts/benchmarks/fleet/joining.js';
import { openFileLimit } from '../../scripts/benchmarks/fleet/limits.js';

/** Which limit `bench fleet` names when hosts cannot be as many as wanted, with figures that a test sets. */

interface Figures {
  hosts?: number;
  mostMemoryMb?: number;
  lagMs?: number;
  heartbeats?: { answered: number; failed: number };
  seconds?: number;
}

describe('bench fleet joins hosts until', () => {
  it('there are as many as wanted, and names no limit', async () => {
    const { size, remarks } = await join({ hosts: 450 });
    expect(size).toBe(450);
    expect(remarks).toEqual([]);
  });

  it('open files are used up', async () => {
    const files = await openFileLimit();
    const most = Math.floor((files - 500) / 2);
    const { size, remarks } = await join({ hosts: most + 1000 });
    expect(size).toBe(most);
    expect(remarks).toEqual([
      expect.stringMatching(new RegExp(`^limit of hosts: ${most} of ${most + 1000}; open files: .*${files}`)),
    ]);
  });

  it('memory is used up', async () => {
    const { size, remarks } = await join({ hosts: 1000, mostMemoryMb: 1 });
    expect(size).toBe(200);
    expect(remarks[0]).toMatch(/^limit of hosts: 200 of 1000; memory: controller \d+ MB, .* the 1 MB/);
  });

  it('the controller turns too slowly', async () => {
    const { size, remarks } = await join({ hosts: 1000, lagMs: 4000 });
    expect(size).toBe(200);
    expect(remarks[0]).toMatch(/limit of hosts: 200 of 1000; the controller's event loop: .* 4000 ms/);
  });

  it('heartbeats are not answered', async () => {
    const { remarks } = await join({ hosts: 1000, heartbeats: { answered: 80, failed: 20 } });
    expect(remarks[0]).toContain('heartbeats: 20 of 100 were not answered');
  });

  it('the time is over', async () => {
    const { size, remarks } = await join({ hosts: 1000, seconds: 0 });
    expect(size).toBe(200);
    expect(remarks[0]).toMatch(/the time for joining was over, at [\d.]+ hosts\/s/);
  });
});

async function join(figures: Figures): Promise<{ size: number; remarks: string[] }> {
  const { answered, failed } = figures.heartbeats ?? { answered: 100, failed: 0 };
  const remarks: string[] = [];
  const fleet = {
    size: 0,
    pids: [],
    start: async (hosts: readonly unknown[]) => {
      fleet.size += hosts.length;
      return [];
    },
    figures: async () => [{ heartbeatFailures: failed, heartbeatMs: Array(answered).fill(1) }],
  };
  const joining = {
    admin: { call: async () => ({ token: 'token' }) },
    controller: {
      pid: process.pid,
      agentEndpoint: '',
      figures: async () => ({ loopLagMs: [figures.lagMs ?? 1] }),
    },
    fleet,
    hosts: figures.hosts ?? 400,
    network: '127.64',
    mostMemoryMb: figures.mostMemoryMb ?? 100_000,
    deadline: performance.now() + (figures.seconds ?? 60) * 1000,
    results: [],
    remarks,
  };
  await joinHosts(joining as unknown as Joining);
  return { size: fleet.size, remarks };
}
