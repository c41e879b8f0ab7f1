import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { sql } from 'kysely';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import {
  deleteChanges,
  dropForeignChanges,
  listChanges,
  readChangeCounter,
  readChanges,
  trimChanges,
} from '../../src/store/changes.js';
import {
  claimHosts,
  deliveryShares,
  deregisterController,
  expireControllers,
  holdsHost,
  hostsOfController,
  listControllers,
  registerController,
  releaseHosts,
  renewController,
} from '../../src/store/controllers.js';
import {
  confirmRemoval,
  readContacts,
  readFaults,
  saveContacts,
  saveFaults,
  takeConfirmations,
} from '../../src/store/host-contacts.js';
import { reserveSequences } from '../../src/store/hosts.js';
import { writeSetting } from '../../src/store/settings.js';
import { holdDatabase } from '../../src/store/sole.js';
import { recordChange, Store } from '../../src/store/store.js';
import { addHosts } from '../support/host-rows.js';
import { forEachStore, newDatabase } from '../support/stores.js';

const LEASE_MS = 600_000;

async function register(store: Store, id: string): Promise<void> {
  await store.tx((tx) => registerController(tx, { id, name: id, address: '127.0.0.1:1' }, LEASE_MS));
}

/** So much time goes by for a controller, without anybody having to wait for it. */
async function letPass(store: Store, id: string, ms: number): Promise<void> {
  await store.tx((tx) =>
    tx
      .updateTable('controller')
      .set((eb) => ({ lease_until: eb('lease_until', '-', ms), heard_at: eb('heard_at', '-', ms) }))
      .where('id', '=', id)
      .execute(),
  );
}

async function hostsOf(store: Store, id: string): Promise<string[]> {
  return (await hostsOfController(store.read, id)).map((row) => row.host_id);
}

const later = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

forEachStore('leases on hosts', (openStore, dialect) => {
  it('are never given to two controllers, however many claim at once', async () => {
    const store = await openStore();
    await addHosts(store, ...Array.from({ length: 30 }, (_, n) => `h${String(n).padStart(2, '0')}`));
    const names = ['a', 'b', 'c'];
    for (const name of names) await register(store, name);
    expect(await deliveryShares(store.read)).toEqual({ hosts: 30, controllers: 3 });
    await Promise.all(names.map((name) => store.tx((tx) => claimHosts(tx, name, 10))));
    for (const name of names) await store.tx((tx) => claimHosts(tx, name, 10 - 10));
    const all = (await Promise.all(names.map((name) => hostsOf(store, name)))).flat();
    expect(new Set(all).size).toBe(all.length);
    for (const name of names) expect((await hostsOf(store, name)).length).toBeLessThanOrEqual(10);
    if (dialect === 'sqlite') expect(all).toHaveLength(30);
  });

  it('end with their controller’s, and the next owner has a higher epoch', async () => {
    const store = await openStore();
    await addHosts(store, 'h');
    await register(store, 'old');
    await store.tx((tx) => claimHosts(tx, 'old', 1));
    const [before] = await hostsOfController(store.read, 'old');
    const lease = { controllerId: 'old', epoch: before!.epoch };
    expect(await store.tx((tx) => holdsHost(tx, 'h', lease))).toBe(true);
    expect(await store.tx((tx) => reserveSequences(tx, 'h', 0, 1000, lease))).toBe(0);
    await register(store, 'new');
    await store.tx((tx) => expireControllers(tx));
    await store.tx((tx) => claimHosts(tx, 'new', 1));
    expect(await hostsOf(store, 'new')).toEqual([]);
    await letPass(store, 'old', LEASE_MS);
    // it ran out: nothing can be reserved under it, whether somebody took the host or not
    expect(await store.tx((tx) => reserveSequences(tx, 'h', 0, 1000, lease))).toBeNull();
    await store.tx((tx) => expireControllers(tx));
    await store.tx((tx) => claimHosts(tx, 'new', 1));
    const [after] = await hostsOfController(store.read, 'new');
    expect(after!.epoch).toBeGreaterThan(before!.epoch);
    expect(await store.tx((tx) => renewController(tx, 'old', 60_000))).toBe(false);
    expect(await store.tx((tx) => reserveSequences(tx, 'h', 0, 1000, lease))).toBeNull();
    const next = { controllerId: 'new', epoch: after!.epoch };
    expect(await store.tx((tx) => reserveSequences(tx, 'h', 0, 1000, next))).toBe(1000);
    expect(await listControllers(store.read)).toMatchObject([
      { name: 'new', alive: true, hosts: 1 },
      { name: 'old', alive: false, hosts: 0 },
    ]);
  });

  it('of a controller that lost its own are not shown beside what it is now', async () => {
    const store = await openStore();
    await addHosts(store, 'h');
    const lost = { id: 'c1-before', name: 'c1', address: '127.0.0.1:1' };
    await store.tx((tx) => registerController(tx, lost, LEASE_MS));
    await store.tx((tx) => claimHosts(tx, lost.id, 1));
    await register(store, 'c2');
    await letPass(store, lost.id, LEASE_MS);
    await store.tx((tx) => registerController(tx, { ...lost, id: 'c1-after' }, 60_000));
    expect(await listControllers(store.read)).toMatchObject([
      { id: 'c1-after', name: 'c1', alive: true, hosts: 0 },
      { id: 'c2', name: 'c2', alive: true },
    ]);
    await store.tx((tx) => claimHosts(tx, 'c2', 1));
    expect(await hostsOf(store, 'c2')).toEqual(['h']);
    // another of the same name that lives is none of its business
    await store.tx((tx) => registerController(tx, { ...lost, id: 'c1-twin' }, 60_000));
    expect(await listControllers(store.read)).toHaveLength(3);
  });

  it('of a controller that was killed and started again at once are shown no longer than they last', async () => {
    const store = await openStore();
    const killed = { id: 'c1-before', name: 'c1', address: '127.0.0.1:1' };
    await store.tx((tx) => registerController(tx, killed, LEASE_MS));
    await register(store, 'c2');
    await letPass(store, killed.id, LEASE_MS / 2);
    await store.tx((tx) => registerController(tx, { ...killed, id: 'c1-after' }, LEASE_MS));
    await store.tx((tx) => expireControllers(tx));
    expect(await listControllers(store.read)).toHaveLength(3);
    await letPass(store, killed.id, LEASE_MS / 2);
    await letPass(store, 'c2', LEASE_MS);
    await store.tx((tx) => expireControllers(tx));
    expect(await listControllers(store.read)).toMatchObject([
      { id: 'c1-after', alive: true },
      { id: 'c2', alive: false },
    ]);
  });

  it('are not about hosts that were removed while somebody claimed them', async () => {
    const store = await openStore();
    await addHosts(store, 'h1', 'h2');
    await register(store, 'a');
    await store.tx((tx) => claimHosts(tx, 'a', 2));
    await store.tx((tx) => tx.deleteFrom('host').where('id', '=', 'h1').execute());
    await store.tx((tx) => expireControllers(tx));
    expect(await hostsOf(store, 'a')).toEqual(['h2']);
  });

  it('are renewed, given up and handed over', async () => {
    const store = await openStore();
    await addHosts(store, 'h1', 'h2');
    await register(store, 'a');
    await store.tx((tx) => claimHosts(tx, 'a', 2));
    await letPass(store, 'a', LEASE_MS / 2);
    expect(await store.tx((tx) => renewController(tx, 'a', LEASE_MS))).toBe(true);
    await letPass(store, 'a', LEASE_MS / 2);
    await store.tx((tx) => expireControllers(tx));
    expect(await hostsOf(store, 'a')).toEqual(['h1', 'h2']);
    await register(store, 'b');
    await store.tx((tx) => releaseHosts(tx, 'a', ['h2']));
    await store.tx((tx) => claimHosts(tx, 'b', 5));
    expect(await hostsOf(store, 'b')).toEqual(['h2']);
    await store.tx((tx) => deregisterController(tx, 'a'));
    await store.tx((tx) => claimHosts(tx, 'b', 5));
    expect(await hostsOf(store, 'b')).toEqual(['h1', 'h2']);
  });

  it('come with what controllers tell each other about hosts', async () => {
    const store = await openStore();
    await addHosts(store, 'h1', 'h2');
    await register(store, 'a');
    await register(store, 'b');
    await store.tx((tx) => claimHosts(tx, 'a', 1));
    const contact = { hostId: 'h1', age: 100, incarnation: 'i', digest: 'd1' };
    await store.tx((tx) => saveContacts(tx, 'a', [contact]));
    // an older one does not count
    await store.tx((tx) => saveContacts(tx, 'b', [{ ...contact, age: 60_000, digest: 'd0' }]));
    const { now, contacts } = await readContacts(store.read, 'b', null);
    expect(contacts).toMatchObject([{ hostId: 'h1', incarnation: 'i', digest: 'd1' }]);
    expect(contacts[0]!.age).toBeGreaterThanOrEqual(100);
    expect(contacts[0]!.age).toBeLessThan(30_000);
    expect((await readContacts(store.read, 'a', null)).contacts).toEqual([]);
    expect((await readContacts(store.read, 'b', now + 60_000)).contacts).toEqual([]);

    await store.tx((tx) => claimHosts(tx, 'a', 0));
    await store.tx((tx) => saveFaults(tx, 'a', new Map([['h1', { fault: 'away', failing: 5_000 }]])));
    const faults = await readFaults(store.read, 'b');
    expect(faults.get('h1')).toMatchObject({ fault: 'away' });
    expect(faults.get('h1')!.failing).toBeGreaterThanOrEqual(5_000);
    // nobody delivers to the other
    expect(faults.get('h2')).toBeNull();
    expect((await readFaults(store.read, 'a')).has('h1')).toBe(false);

    await store.tx((tx) => confirmRemoval(tx, 'h1'));
    expect(await store.tx((tx) => takeConfirmations(tx, 'b'))).toEqual([]);
    expect(await store.tx((tx) => takeConfirmations(tx, 'a'))).toEqual(['h1']);
    expect(await store.tx((tx) => takeConfirmations(tx, 'a'))).toEqual([]);
  });

  it('changes are read once, also those of transactions that overlap', async () => {
    const store = await openStore();
    const read = async (position: string | null) =>
      await store.snapshot((db) => readChanges(db, store, position));
    const first = await read(null);
    expect(first).toMatchObject({ rows: [], gap: true });
    await store.tx((tx) => recordChange(tx, 'port', 'a', 'req-1'));
    const second = await read(first.position);
    expect(second).toMatchObject({ rows: [{ kind: 'port', id: 'a', request_id: 'req-1' }], gap: false });
    expect(await read(second.position)).toMatchObject({ rows: [], gap: false });
    if (dialect === 'sqlite') {
      await store.tx((tx) => deleteChanges(tx, second.position));
      expect(await listChanges(store.read, 10)).toEqual([]);
      return;
    }
    let position = second.position;
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let recorded = () => {};
    const written = new Promise<void>((resolve) => {
      recorded = resolve;
    });
    // takes its number first and commits last
    const slow = store.tx(async (tx) => {
      await recordChange(tx, 'port', 'slow');
      recorded();
      await held;
    });
    await written;
    await store.tx((tx) => recordChange(tx, 'port', 'quick'));
    const quick = await read(position);
    expect(quick.rows.map((row) => row.id)).toEqual(['quick']);
    position = quick.position;
    release();
    await slow;
    const last = await read(position);
    expect(last.rows.map((row) => row.id)).toEqual(['slow']);
    expect((await read(last.position)).rows).toEqual([]);
  });
});

describe('changes on postgres', () => {
  /**
   * Trims until nothing is left: what is younger than a transaction of any database of the server stays, and other test files have
   * theirs on this one.
   */
  const trimmed = async (store: Store) =>
    await expect
      .poll(async () => {
        await store.tx((tx) => trimChanges(tx, 10));
        return await listChanges(store.read, 10);
      })
      .toEqual([]);

  it('are kept for a time, and who was away for longer learns that some are missing', async () => {
    const store = await Store.open(await newDatabase('postgres', []));
    const read = async (position: string | null) =>
      await store.snapshot((db) => readChanges(db, store, position));
    try {
      const { position } = await read(null);
      await store.tx((tx) => recordChange(tx, 'port', 'a'));
      await store.tx((tx) => trimChanges(tx, 60_000));
      expect(await read(position)).toMatchObject({ rows: [{ id: 'a' }], gap: false });
      const { rows } = await sql<{ xid: string }>`select xid from change`.execute(store.read);
      let attentive = position;
      // a snapshot is beyond a change when no transaction of the server is older than that
      await expect
        .poll(async () => {
          attentive = (await read(position)).position;
          return BigInt(attentive.split(':')[0]!) > BigInt(rows[0]!.xid);
        })
        .toBe(true);
      await trimmed(store);
      expect(await read(position)).toMatchObject({ rows: [], gap: true });
      expect(await read(attentive)).toMatchObject({ rows: [], gap: false });
    } finally {
      await store.close();
    }
  });

  it('of another cluster, from which a dump was restored, are forgotten, but not how many there were', async () => {
    const store = await Store.open(await newDatabase('postgres', []));
    const read = async (position: string | null) =>
      await store.snapshot((db) => readChanges(db, store, position));
    try {
      await store.tx((tx) => recordChange(tx, 'port', 'own'));
      await store.tx(async (tx) => {
        await sql`insert into change (kind, id, xid) values ('port', 'foreign', '1000000000')`.execute(tx);
        await writeSetting(tx, 'changes_trimmed_below', '1000000000');
      });
      const before = (await read(null)).position;
      await store.tx((tx) => recordChange(tx, 'port', 'x'));
      expect((await read(before)).gap).toBe(true);
      const counter = await readChangeCounter(store);
      await store.tx(async (tx) => {
        await recordChange(tx, 'port', 'of this very transaction');
        await dropForeignChanges(tx);
      });
      expect((await listChanges(store.read, 10)).map(({ id }) => id)).toEqual([
        'own',
        'x',
        'of this very transaction',
      ]);
      expect(await read(before)).toMatchObject({
        rows: [{ id: 'x' }, { id: 'of this very transaction' }],
        gap: false,
      });
      // what a position of the other cluster has not seen is not known
      expect((await read('1000000000:1000000000:')).gap).toBe(true);
      await trimmed(store);
      expect(await readChangeCounter(store)).toBe(counter + 1);
      await store.tx(async (tx) => {
        await sql`select nextval('change_seq_seq')`.execute(tx);
      });
      // a number that nothing committed stands under may be given again after a crash
      expect(await readChangeCounter(store)).toBe(counter + 1);
    } finally {
      await store.close();
    }
  });

  it('are signalled to the other controllers, also after their connection broke', async () => {
    const url = await newDatabase('postgres', []);
    const [one, other] = [await Store.open(url), await Store.open(url)];
    try {
      let seen = 0;
      other.events.on('change', () => seen++);
      one.listen();
      other.listen();
      const tell = async () => {
        const before = seen;
        for (const deadline = Date.now() + 30_000; seen === before; ) {
          if (Date.now() > deadline) throw new Error('no signal came');
          await one.tx((tx) => recordChange(tx, 'port', 'a'));
          await later(50);
        }
      };
      await tell();
      const killer = new pg.Client({ connectionString: url });
      await killer.connect();
      const others = `from pg_stat_activity where datname = current_database() and pid != pg_backend_pid()`;
      const { rows } = await killer.query(`select pid, pg_terminate_backend(pid) ${others}`);
      const pids = rows.map(({ pid }) => pid);
      // they end when they come to it, and their clients hear of it then
      await expect
        .poll(async () => (await killer.query(`select pid ${others} and pid = any($1)`, [pids])).rows)
        .toEqual([]);
      await killer.end();
      // whatever hung on a connection that broke fails once and then works again
      await one.tx((tx) => recordChange(tx, 'port', 'b')).catch(() => {});
      await tell();
    } finally {
      await one.close();
      await other.close();
    }
  });
});

describe('an SQLite database', () => {
  it('serves one controller, which is named to a second', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'maru-sole-'));
    const url = `sqlite:${directory}/maru.db`;
    try {
      // brings dist up to date
      await execa('scripts/maru', ['--version']);
      const module = join(process.cwd(), 'dist/src/store/sole.js');
      const code = `import { holdDatabase } from ${JSON.stringify(module)};
        holdDatabase(${JSON.stringify(url)});
        console.log('held');
        setInterval(() => {}, 1000);`;
      const holder = execa('node', ['--input-type=module', '--eval', code]);
      await new Promise<void>((resolve, reject) => {
        holder.stdout?.once('data', () => resolve());
        holder.catch(reject);
      });
      expect(() => holdDatabase(url)).toThrow(
        new RegExp(`another controller \\(process ${holder.pid}\\) uses the database ${directory}/maru.db`),
      );
      holder.kill('SIGKILL');
      await holder.catch(() => {});
      // the lock went with its process, though what it wrote is still there
      const held = holdDatabase(url);
      expect(() => holdDatabase(url)).toThrow(`process ${process.pid}`);
      held.release();
      holdDatabase(url).release();
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }, 120_000);
});
