import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Reporter } from '../../agents/reporter.js';
import { Liveness } from '../../src/hosts/liveness.js';
import { createLogger } from '../../src/protocol/log.js';
import type { ObjectReport } from '../../src/protocol/messages.js';

const report = (key: string, revision: string): ObjectReport => ({
  key: key as ObjectReport['key'],
  revision,
  state: 'applied',
});
const silent = createLogger('error', {}, () => {});
const wait = (ms: number) => vi.advanceTimersByTimeAsync(ms);

describe('Reporter', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('sends what comes up together in one request', async () => {
    const sent: string[][] = [];
    const reporter = new Reporter(async (reports) => void sent.push(reports.map((r) => r.key)), silent);
    reporter.add(report('port/a', '1'));
    reporter.add(report('port/b', '1'));
    await wait(60);
    expect(sent).toEqual([['port/a', 'port/b']]);
    expect(reporter.pending()).toEqual([]);
  });

  it('keeps reports until they are taken, the newest of each object only', async () => {
    let broken = true;
    const sent: (string | null)[] = [];
    const reporter = new Reporter(async (reports) => {
      if (broken) throw new Error('no controller');
      sent.push(...reports.map((r) => r.revision));
    }, silent);
    reporter.add(report('port/a', '1'));
    await wait(60);
    reporter.add(report('port/a', '2'));
    expect(reporter.pending()).toEqual([report('port/a', '2')]);
    broken = false;
    await wait(1300);
    expect(sent).toEqual(['2']);
    reporter.close();
  });

  it('sends at once again after a heartbeat took along what could not be sent', async () => {
    let broken = true;
    const sent: (string | null)[] = [];
    const reporter = new Reporter(async (reports) => {
      if (broken) throw new Error('no controller');
      sent.push(...reports.map((r) => r.revision));
    }, silent);
    reporter.add(report('port/a', '1'));
    await wait(60);
    reporter.acknowledge(reporter.pending());
    broken = false;
    await wait(1300);
    reporter.add(report('port/a', '2'));
    await wait(200);
    expect(sent).toEqual(['2']);
    reporter.close();
  });

  it('still sends what was replaced while an older report was on its way', async () => {
    const sent: (string | null)[] = [];
    const reporter: Reporter = new Reporter(async (reports) => {
      sent.push(...reports.map((r) => r.revision));
      if (sent.length === 1) reporter.add(report('port/a', '2'));
    }, silent);
    reporter.add(report('port/a', '1'));
    await wait(100);
    expect(sent).toEqual(['1', '2']);
  });
});

describe('Liveness', () => {
  let now: number;
  let liveness: Liveness;
  beforeEach(() => {
    now = 1000;
    liveness = new Liveness(30_000, () => now);
  });
  afterEach(() => liveness.close());
  /** Time in which this process looked at the clock, as one that runs does. */
  const pass = (ms: number) => {
    for (let left = ms; left > 0; left -= 1000) {
      now += Math.min(left, 1000);
      liveness.isDown('h');
    }
  };

  it('tells silence from not having listened yet', () => {
    expect([liveness.isUp('h'), liveness.isDown('h')]).toEqual([false, false]);
    pass(30_000);
    expect(liveness.isDown('h')).toBe(true);
    liveness.contact('h');
    expect([liveness.isUp('h'), liveness.isDown('h'), liveness.silence('h')]).toEqual([true, false, 0]);
    pass(29_999);
    expect(liveness.isUp('h')).toBe(true);
    pass(1);
    expect([liveness.isUp('h'), liveness.isDown('h')]).toEqual([false, true]);
  });

  it('takes nobody for down because this process was stopped', () => {
    liveness.contact('h');
    now += 60_000;
    expect([liveness.isUp('h'), liveness.isDown('h')]).toEqual([false, false]);
    pass(30_000);
    expect(liveness.isDown('h')).toBe(true);
  });
});
