import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { encrypt } from '../../src/core/identity/cipher.js';
import { KeyRing } from '../../src/core/identity/key-ring.js';
import { Sealing } from '../../src/core/identity/sealing.js';
import { TokenKeys } from '../../src/core/token/keys.js';
import { credentials } from '../../src/store/identity/delegations.js';
import type { Store } from '../../src/store/store.js';
import { forEachStore } from '../support/stores.js';

const HOUR = 3600;

forEachStore('keys of identity', (openStore) => {
  const master = randomBytes(32);

  /** Makes every key so much older. */
  const age = (store: Store, seconds: number) =>
    store.tx(async (tx) => {
      await tx
        .updateTable('identity_key')
        .set((eb) => ({ created_at: eb('created_at', '-', seconds) }))
        .execute();
    });

  it('are sealed in the database and the same at every controller', async () => {
    const store = await openStore();
    const [one, two] = [new KeyRing(store, master, 'token'), new KeyRing(store, master, 'token')];
    const key = await one.newest();
    expect((await two.newest()).secret).toEqual(key.secret);
    const rows = await store.read.selectFrom('identity_key').selectAll().execute();
    expect(rows).toHaveLength(1);
    for (const encoding of ['base64', 'hex'] as const) {
      expect(JSON.stringify(rows)).not.toContain(key.secret.toString(encoding));
    }
    await expect(new KeyRing(store, randomBytes(32), 'token').newest()).rejects.toThrow(
      /every controller of one database needs the same file/,
    );
  });

  it('do not verify a token when any character differs', async () => {
    const keys = new TokenKeys(new KeyRing(await openStore(), master, 'token'), HOUR);
    const text = await keys.sign(randomBytes(70));
    for (let i = 0; i < text.length; i++) {
      const other = text[i] === 'A' ? 'B' : 'A';
      expect(await keys.verify(text.slice(0, i) + other + text.slice(i + 1))).toBeNull();
    }
    for (const bad of ['', text.slice(1), `${text}A`, `${text}=`, 'x'.repeat(5000)])
      expect(await keys.verify(bad)).toBeNull();
  });

  it('rotate without ending a token, at every controller, until it has expired', async () => {
    const store = await openStore();
    const [one, two] = [1, 2].map(() => new TokenKeys(new KeyRing(store, master, 'token'), HOUR)) as [
      TokenKeys,
      TokenKeys,
    ];
    const old = await one.sign(Buffer.from('old'));
    await age(store, 10);
    await one.rotate();
    const fresh = await one.sign(Buffer.from('new'));
    expect(fresh.slice(0, 5)).not.toBe(old.slice(0, 5));
    expect((await one.verify(old))?.toString()).toBe('old');
    expect((await two.verify(fresh))?.toString()).toBe('new');
    await two.rotate(HOUR);
    expect((await two.sign(Buffer.from('x'))).slice(0, 5)).toBe(fresh.slice(0, 5));
    await one.prune();
    expect((await one.verify(old))?.toString()).toBe('old');
    // the first key's successor was made longer ago than any token lives
    await age(store, 2 * HOUR);
    await two.prune();
    await one.prune();
    expect(await one.verify(old)).toBeNull();
    expect((await one.verify(fresh))?.toString()).toBe('new');
  });

  it('can all be replaced, which ends every token', async () => {
    const store = await openStore();
    const keys = new TokenKeys(new KeyRing(store, master, 'token'), HOUR);
    // in the same second as other rotations, too
    for (let round = 0; round < 4; round++) {
      await keys.rotate();
      const text = await keys.sign(Buffer.from('stolen'));
      await keys.rotate();
      expect((await keys.sign(Buffer.from('x'))).slice(0, 5)).not.toBe(text.slice(0, 5));
      await keys.replace();
      expect(await keys.verify(text)).toBeNull();
    }
    expect(await keys.verify(await keys.sign(Buffer.from('new')))).not.toBeNull();
  });

  it('rotate under sealed secrets, which are sealed anew, those from before there were several keys too', async () => {
    const store = await openStore();
    const sealing = new Sealing(store, master, new KeyRing(store, master, 'credential'));
    const other = new Sealing(store, master, new KeyRing(store, master, 'credential'));
    const insert = async (id: string, blob: string) =>
      store.tx((tx) => credentials.insert(tx, { id, user_id: 'u', project_id: null, type: 'x', blob }));
    await insert('legacy', encrypt(master, 'one', 'legacy'));
    for (let i = 0; i < 250; i++) await insert(`row-${i}`, await other.seal(`secret ${i}`, `row-${i}`));
    await age(store, 10);
    expect(await sealing.rotate()).toBe(251);
    const rows = await credentials.list(store.read);
    expect(new Set(rows.map((row) => row.blob.slice(0, 12))).size).toBe(1);
    for (const row of rows.slice(0, 5)) {
      const expected = row.id === 'legacy' ? 'one' : `secret ${row.id.slice(4)}`;
      expect(await other.open(row.blob, row.id)).toBe(expected);
    }
    expect(JSON.stringify(rows)).not.toContain('secret');
    await expect(sealing.open(rows[0]!.blob, 'another')).rejects.toThrow();
    // a controller may still have sealed with the older key: it stays for a day
    await insert('late', await other.seal('late', 'late'));
    const keys = async () =>
      (await store.read.selectFrom('identity_key').select('id').where('purpose', '=', 'credential').execute())
        .length;
    expect(await keys()).toBe(2);
    await age(store, 2 * 86_400);
    await sealing.housekeeping();
    expect(await keys()).toBe(1);
    const late = await credentials.get(store.read, 'late');
    expect(await other.open(late!.blob, 'late')).toBe('late');
  });

  it('are sealed anew although one secret cannot be opened, whose key stays', async () => {
    const store = await openStore();
    const sealing = new Sealing(store, master, new KeyRing(store, master, 'credential'));
    const insert = async (id: string, blob: string) =>
      store.tx((tx) => credentials.insert(tx, { id, user_id: 'u', project_id: null, type: 'x', blob }));
    await insert('a-broken', `${(await sealing.seal('x', 'a-broken')).slice(0, -4)}AAAA`);
    for (let i = 0; i < 3; i++) await insert(`b-${i}`, await sealing.seal(`secret ${i}`, `b-${i}`));
    await age(store, 10);
    expect(await sealing.rotate()).toBe(3);
    expect(await sealing.open((await credentials.get(store.read, 'b-2'))!.blob, 'b-2')).toBe('secret 2');
    await age(store, 2 * 86_400);
    expect(await sealing.housekeeping()).toBe(0);
    expect(await sealing.keys()).toHaveLength(2);
    await store.tx((tx) => credentials.remove(tx, 'a-broken'));
    await sealing.housekeeping();
    expect(await sealing.keys()).toHaveLength(1);
  });
});
