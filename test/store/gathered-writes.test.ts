import { expect, it } from 'vitest';
import { GatheredWrites } from '../../src/hosts/gathered-writes.js';
import { Reports } from '../../src/hosts/reports.js';
import { findReports } from '../../src/store/reports.js';
import { writeSetting } from '../../src/store/settings.js';
import type { Store } from '../../src/store/store.js';
import { addHosts } from '../support/host-rows.js';
import { forEachStore, untilAvailable } from '../support/stores.js';

const HOSTS = Array.from({ length: 40 }, (_, i) => `host${i}`);
const REPORT = { key: 'port/a', revision: 'r1', state: 'applied' } as const;

forEachStore('what many hosts write at once', (openStore, dialect) => {
  it('is committed together where commits hold everybody up', async () => {
    const store = await openStore();
    await addHosts(store, ...HOSTS);
    const reports = new Reports(store, async (_host, keys) => new Set(keys));
    const told: string[] = [];
    reports.reportListeners.push(async (_tx, hostId) => void told.push(hostId));
    const commits = store.commits;
    await Promise.all(
      HOSTS.map((id, i) => untilAvailable(() => reports.take(id, [REPORT], { run: 'one', number: i }))),
    );
    expect(new Set(told)).toEqual(new Set(HOSTS));
    for (const id of HOSTS) expect(await findReports(store.read, id, [REPORT.key])).toHaveLength(1);
    // two, unless the machine is so slow that they come one after another
    if (dialect === 'sqlite') expect(store.commits - commits).toBeLessThan(HOSTS.length / 4);
  });

  it('fails only for the one whose listener fails', async () => {
    const store = await openStore();
    await addHosts(store, ...HOSTS);
    const reports = new Reports(store, async (_host, keys) => new Set(keys));
    reports.reportListeners.push(async (_tx, hostId) => {
      if (hostId === 'host7') throw new Error('no such port');
    });
    const outcomes = await Promise.allSettled(
      HOSTS.map((id) => untilAvailable(() => reports.take(id, [REPORT]))),
    );
    const failed = HOSTS.filter((_, i) => outcomes[i]!.status === 'rejected');
    expect(failed).toEqual(['host7']);
    expect(await findReports(store.read, 'host7', [REPORT.key])).toEqual([]);
    expect(await findReports(store.read, 'host8', [REPORT.key])).toHaveLength(1);
  });

  it('is all stored when it is closed, what came meanwhile as well', async () => {
    const store = await openStore();
    const writes = new GatheredWrites(store);
    // on PostgreSQL each is a transaction of its own, and no more than there are connections
    const names = Array.from({ length: dialect === 'sqlite' ? 150 : 20 }, (_, i) => `gathered-${i}`);
    const all = names.map((name) => writes.run((tx) => writeSetting(tx, name, 'x')));
    await writes.close();
    if (dialect === 'sqlite') expect(await settings(store)).toBe(names.length);
    await Promise.all(all);
    expect(await settings(store)).toBe(names.length);
  });
});

async function settings(store: Store): Promise<number> {
  const rows = await store.read
    .selectFrom('setting')
    .select('name')
    .where('name', 'like', 'gathered-%')
    .execute();
  return rows.length;
}
