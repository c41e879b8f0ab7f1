import { expect, it } from 'vitest';
import { TooBusy } from '../../src/core/errors.js';
import { HashQueue } from '../../src/core/identity/hash-queue.js';

it('hashing is bounded, takes addresses in turn, and refuses those who ask for most', async () => {
  const queue = new HashQueue();
  const order: string[] = [];
  let running = 0;
  let most = 0;
  const ask = (address: string | undefined) =>
    queue
      .run(address, async () => {
        most = Math.max(most, ++running);
        order.push(address ?? 'authenticated');
        await new Promise((resolve) => setImmediate(resolve));
        running--;
        return 'done' as const;
      })
      .catch((error: unknown) => error);
  const flood = Array.from({ length: 1000 }, () => ask('flood'));
  const others = [...Array.from({ length: 3 }, () => ask('other')), ask('third')];
  const own = Array.from({ length: 300 }, () => ask(undefined));
  const refused = (await Promise.all(flood)).filter((outcome) => outcome !== 'done');
  expect(refused.length).toBeGreaterThan(750);
  for (const error of refused) expect(error).toBeInstanceOf(TooBusy);
  expect(refused[0]).toMatchObject({ status: 503, retryAfter: 2 });
  expect(await Promise.all(others)).toEqual(['done', 'done', 'done', 'done']);
  expect(new Set(await Promise.all(own))).toEqual(new Set(['done']));
  expect(most).toBe(2);
  expect(order.lastIndexOf('other')).toBeLessThan(20);
  // all places are free again, also after work that failed
  await expect(
    queue.run('x', async () => {
      throw new Error('broken');
    }),
  ).rejects.toThrow('broken');
  expect(await Promise.all([ask('x'), ask('y'), ask('z')])).toEqual(['done', 'done', 'done']);
});
