import { expect, it } from 'vitest';
import { BoundedCache, bytesOf } from '../../src/core/token/bounded-cache.js';
import { EpochCache } from '../../src/core/token/epoch-cache.js';

it('lets the oldest go when there are too many', () => {
  const cache = new BoundedCache<number>({ entries: 2, bytes: 1000 });
  for (const [at, key] of ['a', 'b', 'a', 'c'].entries()) cache.set(key, at, 1);
  expect(['a', 'b', 'c'].map((key) => cache.get(key))).toEqual([2, undefined, 3]);
  expect([cache.size, cache.bytes]).toEqual([2, 6]);
});

it('lets as many of the oldest go as the newest needs', () => {
  const cache = new BoundedCache<string>({ entries: 100, bytes: 100 });
  for (const key of ['a', 'b', 'c']) cache.set(key, key, 28);
  cache.set('d', 'd', 60);
  expect(['a', 'b', 'c', 'd'].map((key) => cache.get(key))).toEqual([undefined, undefined, 'c', 'd']);
  expect(cache.bytes).toBe(92);
  cache.set('e', 'e', 99);
  expect([cache.get('e'), cache.get('d'), cache.bytes]).toEqual([undefined, 'd', 92]);
  cache.set('d', 'D', 1);
  cache.delete('c');
  cache.delete('c');
  expect([cache.get('d'), cache.bytes]).toEqual(['D', 3]);
  cache.clear();
  expect([cache.size, cache.bytes]).toEqual([0, 0]);
});

it('bounds what is derived from rows that clients have made large', async () => {
  const cache = new EpochCache<string>({ entries: 1000, bytes: 1_000_000 });
  let reads = 0;
  const read = async () => {
    reads++;
    return 'x'.repeat(100_000);
  };
  for (let at = 0; at < 20; at++) await cache.get(1, `user ${at}`, read);
  expect(bytesOf('x'.repeat(100_000))).toBeGreaterThanOrEqual(200_000);
  await cache.get(1, 'user 19', read);
  expect(reads).toBe(20);
  await cache.get(1, 'user 0', read);
  expect(reads).toBe(21);
  await cache.get(2, 'user 0', read);
  expect(reads).toBe(22);
});
