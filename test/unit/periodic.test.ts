import { afterEach, describe, expect, it, vi } from 'vitest';
import { startPeriodic } from '../../src/periodic.js';
import { createLogger } from '../../src/protocol/log.js';

describe('periodic jobs', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it('run after their pause, and by their schedule, go on after failures, and end when stopped', async () => {
    vi.useFakeTimers({ now: new Date(2030, 0, 1, 12, 16, 30) });
    const lines: string[] = [];
    const runs: string[] = [];
    const at = (name: string) => runs.filter((run) => run === name).length;
    const job = (name: string, when: number | string) => ({
      name,
      when,
      run: async () => {
        runs.push(name);
        if (runs.length === 1) throw new Error('not now');
      },
    });
    const log = createLogger('info', {}, (line) => lines.push(line));
    const periodic = startPeriodic(log, [job('often', 10), job('hourly', '17 * * * *')]);
    await vi.advanceTimersByTimeAsync(25_000);
    expect(runs).toEqual(['often', 'often']);
    expect(lines.join()).toContain('not now');
    await vi.advanceTimersByTimeAsync(10_000);
    expect(at('hourly')).toBe(1);
    await vi.advanceTimersByTimeAsync(3600_000);
    expect(at('hourly')).toBe(2);
    periodic.stop();
    const before = runs.length;
    await vi.advanceTimersByTimeAsync(2 * 3600_000);
    expect(runs).toHaveLength(before);
  });
});
