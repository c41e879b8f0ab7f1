import { mkdtempSync, rmSync } from 'node:fs';
import * as x509 from '@peculiar/x509';
import { expect, it } from 'vitest';
import { Authorities } from '../../src/hosts/authorities.js';
import { createJoinToken, joinHost, renewCertificate } from '../../src/hosts/join.js';
import { Reports } from '../../src/hosts/reports.js';
import { computeSpec } from '../../src/hosts/spec.js';
import { decodeJoinToken } from '../../src/protocol/join-token.js';
import { specObject } from '../../src/protocol/keys.js';
import {
  addTombstone,
  deleteHost,
  findHost,
  findRemovedHosts,
  insertJoinToken,
  listTombstones,
  reserveSequences,
  setPhysicalNetworks,
  useJoinToken,
} from '../../src/store/hosts.js';
import { findFaults, findReports, findReportsOf } from '../../src/store/reports.js';
import { nowText } from '../../src/store/store.js';
import { addHosts } from '../support/host-rows.js';
import { forEachStore } from '../support/stores.js';

forEachStore('hosts', (openStore, dialect) => {
  it('hands out sequence numbers in blocks that never overlap', async () => {
    const store = await openStore();
    await addHosts(store, 'h');
    expect(await store.tx((tx) => reserveSequences(tx, 'h', 0, 1000))).toBe(0);
    expect(await store.tx((tx) => reserveSequences(tx, 'h', 0, 1000))).toBe(1000);
    expect(await store.tx((tx) => reserveSequences(tx, 'h', 7777, 1000))).toBe(7777);
    expect((await findHost(store.read, 'h'))?.sequence).toBe(8777);
  });

  it('lets one of many concurrent uses of a join token win', async () => {
    const store = await openStore();
    const expires_at = new Date(Date.now() + 60_000).toISOString();
    const token = {
      hash: 't',
      host_name: null,
      created_at: nowText(),
      expires_at,
      used_at: null,
      used_by_key: null,
    };
    await store.tx((tx) => insertJoinToken(tx, token));
    const uses = await Promise.all(
      Array.from({ length: 10 }, (_, n) => store.tx((tx) => useJoinToken(tx, 't', `key-${n}`))),
    );
    expect(uses.filter(Boolean)).toHaveLength(1);
  });

  it('stores reports that differ from the known ones, and only those', async () => {
    const store = await openStore();
    await addHosts(store, 'h');
    const told: string[] = [];
    const reports = new Reports(store, async (_host, keys) => new Set(keys));
    reports.reportListeners.push(async (_tx, _host, news) => void told.push(...news.map((r) => r.key)));
    const a = { key: 'port/a', revision: 'r1', state: 'applied' } as const;
    const failed = {
      key: 'server/b',
      revision: 'r1',
      state: 'error',
      error: { message: 'no', exit_code: 1 },
    } as const;
    await reports.take('h', [a, failed]);
    await reports.take('h', [a, failed]);
    await reports.take('h', [{ ...a, revision: 'r2' }, failed]);
    expect(told).toEqual(['port/a', 'server/b', 'port/a']);
    expect(await findReportsOf(store.read, 'port/a')).toMatchObject([{ host_id: 'h', revision: 'r2' }]);
    expect(await findFaults(store.read, 'h')).toMatchObject([
      { key: 'server/b', error: { message: 'no', exit_code: 1 } },
    ]);
    // a message that a newer one of the same agent overtook says nothing new
    const at = (number: number, run = 'one') => ({ run, number });
    await reports.take('h', [{ ...a, revision: 'r3' }], at(2));
    await reports.take('h', [{ ...a, revision: 'r2' }], at(1));
    expect((await findReports(store.read, 'h', [a.key]))[0]?.revision).toBe('r3');
    await reports.take('h', [{ ...a, revision: 'r4' }], at(1, 'two'));
    expect((await findReports(store.read, 'h', [a.key]))[0]?.revision).toBe('r4');
    await reports.take('h', [{ key: 'port/a', revision: null, state: 'gone' }]);
    expect(await findReports(store.read, 'h', ['port/a'])).toEqual([]);
  });

  it('keeps a tombstone until the host it was meant for says that the object is gone', async () => {
    const store = await openStore();
    await addHosts(store, 'h', 'other');
    const gone: string[] = [];
    const reports = new Reports(store, async (_host, keys) => new Set(keys));
    reports.goneListeners.push(async (_tx, host, key) => void gone.push(`${host} ${key}`));
    await store.tx((tx) => addTombstone(tx, 'h', 'server', 's', { id: 's' } as never, 'req-1'));
    await store.tx((tx) => addTombstone(tx, 'h', 'server', 's', { id: 'again' } as never, 'req-2'));
    const { spec } = await computeSpec(store, [], 'h');
    expect(spec['server/s']).toMatchObject({ tombstone: true, body: { id: 's' } });
    const receipt = { key: 'server/s', revision: spec['server/s']!.revision, state: 'gone' } as const;
    await reports.take('other', [receipt]);
    // of an earlier tombstone of the same server
    await reports.take('h', [{ ...receipt, revision: specObject({ id: 'old' } as never, true).revision }]);
    await reports.take('h', [{ ...receipt, revision: null }]);
    expect(gone).toEqual([]);
    await reports.take('h', [receipt]);
    await reports.take('h', [receipt]);
    expect(gone).toEqual(['h server/s']);
    expect(await listTombstones(store.read, 'h')).toEqual([]);
  });

  it('takes no stale word that a server is gone', async () => {
    const store = await openStore();
    await addHosts(store, 'h');
    const reports = new Reports(store, async (_host, keys) => new Set(keys));
    const server = { key: 'server/s', revision: 'r1', state: 'applied' } as const;
    await reports.take('h', [server]);
    const stale = { key: 'server/s', revision: 'of an earlier tombstone', state: 'gone' } as const;
    await reports.take('h', [stale]);
    expect(await findReports(store.read, 'h', [server.key])).toMatchObject([server]);
  });

  it('stores no message that a newer one overtook, at whichever controller', async () => {
    const store = await openStore();
    await addHosts(store, 'h');
    const taker = () => new Reports(store, async (_host, keys) => new Set(keys));
    const one = taker();
    // on SQLite there is no other
    const other = dialect === 'sqlite' ? one : taker();
    const a = { key: 'port/a', revision: 'r1', state: 'applied' } as const;
    const at = (number: number) => ({ run: 'agent', number });
    expect(await one.take('h', [a], at(1))).toBe(true);
    // it brings nothing new, and is the last word all the same
    expect(await other.take('h', [a], at(3))).toBe(true);
    expect(await one.take('h', [{ ...a, revision: 'r0' }], at(2))).toBe(false);
    expect(await findReports(store.read, 'h', [a.key])).toMatchObject([{ revision: 'r1' }]);
    expect(await one.take('h', [a], at(3))).toBe(true);
    expect(await one.take('h', [], at(1))).toBe(true);
  });

  it('gives out no certificate that it does not know', async () => {
    const store = await openStore();
    const directory = mkdtempSync('/tmp/maru-ca-');
    const authorities = await Authorities.open(directory);
    const csr = await signingRequest();
    const { token } = await createJoinToken(store, authorities, { hostName: null, ttlSeconds: 60 });
    const request = {
      secret: decodeJoinToken(token).secret,
      name: 'h',
      csr,
      addresses: [],
      agent_url: 'https://x:1',
      underlay_ip: '192.0.2.1',
    } as never;
    // the same request, sent again while the first is served
    const joined = await Promise.all([0, 1].map(() => joinHost(store, authorities, request)));
    expect(joined[0]!.host_id).toBe(joined[1]!.host_id);
    const seen = (await findHost(store.read, joined[0]!.host_id))!;
    const renew = () => renewCertificate(store, authorities, seen, { csr, addresses: [] } as never);
    const outcomes = await Promise.allSettled([renew(), renew(), renew()]);
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    await expect(renew()).rejects.toMatchObject({ status: 503 });
    const now = (await findHost(store.read, seen.id))!;
    expect(now.certificate_used_issue).toBe(seen.certificate_issue);
    await store.tx((tx) => deleteHost(tx, seen.id));
    await expect(renewCertificate(store, authorities, now, { csr, addresses: [] } as never)).rejects.toThrow(
      /try again/,
    );
    const [removed] = await findRemovedHosts(store.read, 'h');
    expect(removed!.certificate_issue).toBe(now.certificate_issue);
    rmSync(directory, { recursive: true });
  });

  it('forgets everything of a removed host', async () => {
    const store = await openStore();
    await addHosts(store, 'h');
    await store.tx((tx) => setPhysicalNetworks(tx, 'h', ['extnet', 'extnet', 'lan']));
    await store.tx((tx) => addTombstone(tx, 'h', 'volume', 'v', { id: 'v' } as never, null));
    await store.tx((tx) => deleteHost(tx, 'h'));
    expect(await findHost(store.read, 'h')).toBeUndefined();
    expect(await store.read.selectFrom('host_physical_network').selectAll().execute()).toEqual([]);
    expect(await listTombstones(store.read, 'h')).toEqual([]);
  });
});

it('keeps its authority across starts', async () => {
  const directory = mkdtempSync('/tmp/maru-ca-');
  const first = await Authorities.open(directory);
  expect((await Authorities.open(directory)).fingerprints).toEqual(first.fingerprints);
  rmSync(directory, { recursive: true });
});

async function signingRequest(): Promise<string> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const csr = await x509.Pkcs10CertificateRequestGenerator.create({
    name: 'CN=h',
    keys,
    signingAlgorithm: algorithm,
  });
  return csr.toString('pem');
}
