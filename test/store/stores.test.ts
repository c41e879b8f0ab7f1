import { sql } from 'kysely';
import { expect, it } from 'vitest';
import { forEachStore } from '../support/stores.js';

forEachStore('a new store', (openStore, dialect) => {
  it('is migrated, empty and of the dialect asked for', async () => {
    const store = await openStore();
    expect(store.dialect).toBe(dialect);
    const { rows } = await sql<{ n: number }>`select count(*) as n from "change"`.execute(store.read);
    expect(Number(rows[0]?.n)).toBe(0);
  });

  it('shares nothing with another one', async () => {
    const [first, second] = [await openStore(), await openStore()];
    await first.tx(async (tx) => {
      await sql`create table only_here (id text)`.execute(tx);
    });
    await expect(sql`select * from only_here`.execute(second.read)).rejects.toThrow(/only_here/);
  });
});
