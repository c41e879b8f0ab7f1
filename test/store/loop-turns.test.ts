import { sql } from 'kysely';
import { expect, it } from 'vitest';
import { nowText, type Reader } from '../../src/store/store.js';
import { forEachStore } from '../support/stores.js';

/** Queries that take longer together than one slice of the loop, on whatever machine. */
async function chain(db: Reader, done: () => boolean): Promise<void> {
  const until = performance.now() + 10_000;
  while (!done() && performance.now() < until) await sql`select 1`.execute(db);
}

forEachStore('a long chain of queries', (openStore) => {
  it('lets timers and requests have a turn, also within a snapshot', async () => {
    const store = await openStore();
    for (const run of [
      (done: () => boolean) => chain(store.read, done),
      (done: () => boolean) => store.snapshot((db) => chain(db, done)),
    ]) {
      let turned = false;
      setTimeout(() => {
        turned = true;
      }, 1);
      await run(() => turned);
      expect(turned).toBe(true);
    }
  });

  it('lets them have a turn between transactions', async () => {
    const store = await openStore();
    let turned = false;
    setTimeout(() => {
      turned = true;
    }, 1);
    const until = performance.now() + 10_000;
    while (!turned && performance.now() < until)
      await store.tx(async (tx) => void (await sql`select 1`.execute(tx)));
    expect(turned).toBe(true);
  });

  it('within a snapshot holds up no other reader, and sees nothing that is written meanwhile', async () => {
    const store = await openStore();
    const count = async (db: Reader) => (await db.selectFrom('setting').select('name').execute()).length;
    const before = await count(store.read);
    await store.snapshot(async (db) => {
      expect(await count(db)).toBe(before);
      await store.tx((tx) => tx.insertInto('setting').values({ name: 'new', value: nowText() }).execute());
      expect(await count(store.read)).toBe(before + 1);
      expect(await count(db)).toBe(before);
    });
  });
});
