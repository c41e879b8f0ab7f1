import { describe, expect, it } from 'vitest';
import { BatchLane, ObjectLane } from '../../agents/lanes.js';

const gate = () => {
  let open: () => void = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
};
const tick = () => new Promise((resolve) => setImmediate(resolve));

describe('BatchLane', () => {
  it('gathers what comes up while it runs into one next run', async () => {
    const runs: (string[] | null)[] = [];
    const first = gate();
    const lane = new BatchLane<string>(async (keys) => {
      runs.push(keys && [...keys]);
      if (runs.length === 1) await first.opened;
    });
    const a = lane.add(['a']);
    await tick();
    const b = lane.add(['b']);
    const c = lane.add(['c', 'b']);
    expect(b).toBe(c);
    first.open();
    await Promise.all([a, b]);
    expect(runs).toEqual([['a'], ['b', 'c']]);
  });

  it('lets everything swallow single keys', async () => {
    const runs: (string[] | null)[] = [];
    const lane = new BatchLane<string>(async (keys) => void runs.push(keys && [...keys]));
    void lane.add(['a']);
    void lane.add(null);
    await lane.add(['b']);
    expect(runs).toEqual([null]);
  });

  it('goes on after a run that failed', async () => {
    let fail = true;
    const lane = new BatchLane<string>(async () => {
      if (fail) throw new Error('no');
    });
    await expect(lane.add(['a'])).rejects.toThrow('no');
    fail = false;
    await lane.add(['a']);
  });
});

describe('ObjectLane', () => {
  it('runs different keys at the same time up to its limit, one key’s runs one after another', async () => {
    const gates = new Map(['a', 'b', 'c'].map((key) => [key, gate()]));
    const began: string[] = [];
    const lane = new ObjectLane<string>(2, async (key) => {
      began.push(key);
      await gates.get(key)?.opened;
    });
    const done = ['a', 'b', 'c', 'a'].map((key) => lane.add(key));
    await tick();
    expect(began).toEqual(['a', 'b']);
    gates.get('b')?.open();
    await done[1];
    await tick();
    expect(began).toEqual(['a', 'b', 'c']);
    for (const { open } of gates.values()) open();
    await Promise.all(done);
    expect(began.filter((key) => key === 'a').length).toBeLessThanOrEqual(2);
  });

  it('runs a key again that was added while it ran', async () => {
    const hold = gate();
    let runs = 0;
    const lane = new ObjectLane<string>(4, async () => {
      runs++;
      if (runs === 1) await hold.opened;
    });
    const first = lane.add('a');
    await tick();
    const second = lane.add('a');
    hold.open();
    await Promise.all([first, second]);
    expect(runs).toBe(2);
  });

  it('lets those who wait for what they need take nobody’s place', async () => {
    const download = gate();
    const ran: string[] = [];
    const lane = new ObjectLane<string>(
      1,
      async (key) => void ran.push(key),
      async (key) => {
        if (key.startsWith('slow')) await download.opened;
        if (key === 'broken') throw new Error('no image');
      },
    );
    const slow = [lane.add('slow1'), lane.add('slow2')];
    await lane.add('quick');
    await lane.add('broken');
    expect(ran).toEqual(['quick', 'broken']);
    download.open();
    await Promise.all(slow);
    expect(ran).toHaveLength(4);
  });
});
