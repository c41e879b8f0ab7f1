import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { TooBusy } from '../../src/core/errors.js';
import { FailureThrottle } from '../../src/core/identity/throttle.js';

/** Something that many wait for. */
function gate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

/** Bytes that are still in use, without what is only not collected yet. */
function heapUsed(): number {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
  return process.memoryUsage().heapUsed;
}

const turns = () => new Promise((resolve) => setImmediate(resolve));

describe('the throttle of failures', () => {
  afterEach(() => void vi.useRealTimers());

  it('refuses unseen what comes while many wait, says so, and only of that key', async () => {
    let seen = 0;
    const { opened, open } = gate();
    const throttle = new FailureThrottle(() => opened);
    const wrong = async () => {
      seen++;
      return false;
    };
    for (let i = 0; i < 5; i++) await throttle.run('key', wrong);
    const waiting = Array.from({ length: 200 }, () => throttle.run('key', wrong).catch((error) => error));
    await expect(throttle.run('key', async () => true)).rejects.toMatchObject({ status: 503, retryAfter: 5 });
    expect(await throttle.run('other', async () => true)).toBe(true);
    open();
    const outcomes = await Promise.all(waiting);
    expect(outcomes.filter((outcome) => outcome === false).length).toBe(seen - 5);
    expect(outcomes.every((outcome) => outcome === false || outcome instanceof TooBusy)).toBe(true);
    expect(seen).toBeLessThan(5 + 25);
    // who waits its turn is judged by what is right
    expect(await throttle.run('key', async () => true)).toBe(true);
  });

  it('is not outrun by asking at once: attempts under way count', async () => {
    const delays: number[] = [];
    const { opened, open } = gate();
    const throttle = new FailureThrottle(async (ms) => void delays.push(ms));
    let running = 0;
    let most = 0;
    const wrong = async () => {
      most = Math.max(most, ++running);
      await opened;
      running--;
      return false;
    };
    const all = Array.from({ length: 25 }, (_, i) => throttle.run('key', wrong, `guess ${i}`));
    await turns();
    // the free ones, and the first of those that go one after another
    expect(most).toBe(6);
    open();
    expect(new Set(await Promise.all(all))).toEqual(new Set([false]));
    expect(most).toBe(6);
    expect(delays.length).toBeGreaterThan(17);
    expect(delays.at(-1)).toBe(5000);
  });

  it('takes one secret that comes many times at once for one attempt', async () => {
    const { opened, open } = gate();
    const throttle = new FailureThrottle(async () => {});
    let seen = 0;
    const right = async () => {
      seen++;
      await opened;
      return true;
    };
    const all = Array.from({ length: 300 }, () => throttle.run('key', right, 'the same'));
    await turns();
    expect(seen).toBe(1);
    open();
    expect(new Set(await Promise.all(all))).toEqual(new Set([true]));
    // each is judged for itself when the first was right: it may have been good once only
    expect(seen).toBe(300);
    const wrong = vi.fn(async () => false);
    await Promise.all(Array.from({ length: 300 }, () => throttle.run('key', wrong, 'the same')));
    expect(wrong).toHaveBeenCalledTimes(1);
  });

  it('gives the place back when an attempt could not be judged', async () => {
    const sleep = vi.fn(async () => {});
    const throttle = new FailureThrottle(sleep);
    const broken = async () => {
      throw new Error('the database is away');
    };
    for (let i = 0; i < 40; i++) await expect(throttle.run('key', broken, `${i}`)).rejects.toThrow('away');
    expect(throttle.size).toBe(0);
    for (let i = 0; i < 5; i++) await throttle.run('key', async () => false);
    expect(sleep).not.toHaveBeenCalled();
  });

  it('keeps neither names nor what is long ago', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const throttle = new FailureThrottle(async () => {});
    const before = heapUsed();
    for (let i = 0; i < 200; i++) await throttle.run(`${i}`.padEnd(1 << 19, 'x'), async () => false);
    expect(heapUsed() - before).toBeLessThan(50 << 20);
    expect(throttle.size).toBe(200);
    await throttle.run('good', async () => true);
    expect(throttle.size).toBe(200);
    vi.setSystemTime(Date.now() + 16 * 60_000);
    await throttle.run('another', async () => false);
    expect(throttle.size).toBe(1);
  });
});
