import { afterAll, beforeAll, expect, it } from 'vitest';
import { IdentityEpoch } from '../../src/core/identity/epoch.js';
import { Store } from '../../src/store/store.js';
import { newDatabase } from '../support/stores.js';

const cleanups: (() => Promise<void> | void)[] = [];
let store: Store;

beforeAll(async () => {
  store = await Store.open(await newDatabase('sqlite', cleanups));
});
afterAll(async () => {
  await store.close();
  for (const cleanup of cleanups.reverse()) await cleanup();
});

it('is not counted on before followers know of the write', async () => {
  const epoch = new IdentityEpoch(store);
  let finish = () => {};
  let told = false;
  const before = await epoch.current();
  epoch.follow(async () => {
    await new Promise<void>((resolve) => {
      finish = resolve;
    });
    told = true;
  });
  const written = epoch.write(async () => {});
  await expect.poll(() => typeof epoch.current()).toBe('object');
  const seen = Promise.resolve(epoch.current()).then((value) => ({ value, told }));
  finish();
  expect(await seen).toEqual({ value: before + 1, told: true });
  await written;
  expect(epoch.current()).toBe(before + 1);
});

it('lets a follower that failed try again, and the write be', async () => {
  const epoch = new IdentityEpoch(store);
  await epoch.current();
  let failures = 2;
  let told = 0;
  epoch.follow(async () => {
    if (failures-- > 0) throw new Error('the database is gone');
    told++;
  });
  expect(await epoch.write(async () => 'written')).toBe('written');
  await expect(epoch.current()).rejects.toThrow('the database is gone');
  await epoch.current();
  expect(told).toBe(1);
});
