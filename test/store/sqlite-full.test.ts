import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isStorageFull } from '../../src/store/storage-full.js';
import { Store } from '../../src/store/store.js';
import { newDatabase } from '../support/stores.js';

describe('a transaction that SQLite itself rolled back', () => {
  const cleanups: (() => Promise<void> | void)[] = [];
  let store: Store;

  beforeAll(async () => {
    store = await Store.open(await newDatabase('sqlite', cleanups));
    cleanups.push(() => store.close());
    await store.tx(async (tx) => void (await sql`create table filler (text text)`.execute(tx)));
  });
  afterAll(async () => {
    for (const cleanup of cleanups.reverse()) await cleanup();
  });

  const rows = async () => (await sql`select text from filler`.execute(store.read)).rows.length;
  const limit = async (pages: number) =>
    await store.tx(async (tx) => void (await sql.raw(`pragma max_page_count = ${pages}`).execute(tx)));

  it('fails with the reason, and nothing of it stays, whatever its body does', async () => {
    await limit(1);
    const large = 'x'.repeat(1_000_000);
    const full = store.tx(async (tx) => {
      await sql`insert into filler values ('small')`.execute(tx);
      await sql`insert into filler values (${large})`.execute(tx);
    });
    await expect(full).rejects.toSatisfy(isStorageFull);
    const stubborn = store.tx(async (tx) => {
      await sql`insert into filler values (${large})`.execute(tx).catch(() => {});
      await sql`insert into filler values ('outside')`.execute(tx);
    });
    await expect(stubborn).rejects.toThrow(/rolled the transaction back/);
    expect(await rows()).toBe(0);
    await limit(1_000_000);
    await store.tx(async (tx) => void (await sql`insert into filler values (${large})`.execute(tx)));
    expect(await rows()).toBe(1);
  });
});
