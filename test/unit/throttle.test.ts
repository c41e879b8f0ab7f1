import { describe, expect, it } from 'vitest';
import { FailureThrottle } from '../../src/core/identity/throttle.js';

describe('the throttle of failures', () => {
  it('refuses unseen what comes while many wait, and only of that key', async () => {
    let seen = 0;
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const throttle = new FailureThrottle(() => held);
    const wrong = async () => {
      seen++;
      return false;
    };
    for (let i = 0; i < 5; i++) await throttle.run('key', wrong);
    const waiting = Array.from({ length: 200 }, () => throttle.run('key', wrong));
    expect(await throttle.run('key', async () => true)).toBe(false);
    expect(await throttle.run('other', async () => true)).toBe(true);
    release();
    expect(new Set(await Promise.all(waiting))).toEqual(new Set([false]));
    expect(seen).toBeLessThan(5 + 25);
    // who waits its turn is judged by what is right
    expect(await throttle.run('key', async () => true)).toBe(true);
  });
});
