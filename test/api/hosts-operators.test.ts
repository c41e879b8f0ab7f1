import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { adminService } from '../../src/api/admin/service.js';
import { conflict, MaruError } from '../../src/core/errors.js';
import type { HostGateway } from '../../src/core/gateway.js';
import type { OrphanRemoval } from '../../src/protocol/messages.js';
import { listChanges } from '../../src/store/changes.js';
import { findHost, updateHost } from '../../src/store/hosts.js';
import { noteOrphans } from '../../src/store/orphans.js';
import { TestApp } from '../support/app.js';
import { NO_AUTHORITY, RowHosts } from '../support/fake-hosts.js';

const SERVER_ID = '11110001-0000-4000-8000-000000000001';

/** The operators' API about hosts, with hosts that are rows; test/fault/restored-backup.test.ts has real ones. */
describe('operators’ API about hosts', () => {
  const rows = new RowHosts();
  let cloud: TestApp;
  let admin: string;
  let member: string;
  let host1: string;
  let asked: unknown[];
  let named: string[];
  let refusal: Error | null;

  beforeAll(async () => {
    const gateway: HostGateway = {
      ...rows.gateway,
      plan: async (hostId) => {
        if (hostId !== host1) throw new MaruError('unavailable', 'host2 does not answer');
        return { host: 'host1', steps: [{ object: 'server/a', action: 'virsh define', detail: 'x' }] };
      },
      isNamed: async (_host, key) => named.includes(key),
      removeOrphan: async (hostId: string, removal: OrphanRemoval) => {
        if (refusal) throw refusal;
        asked.push([hostId, removal]);
      },
      authority: {
        status: async () => ({ ...NO_AUTHORITY, phase: 'rotating', waiting_for: ['host1'] }),
        rotate: async () => {
          asked.push('rotate');
          return NO_AUTHORITY;
        },
        abort: async () => {
          throw conflict('The authority is not being replaced; maru ca rotate begins it.');
        },
        finish: async (force) => {
          asked.push(['finish', force]);
          return { ...NO_AUTHORITY, tokens_ended: 1 };
        },
      },
    };
    cloud = await TestApp.open({ services: [adminService], parts: { hosts: gateway } });
    admin = await cloud.adminToken();
    member = await cloud.projectToken('alice');
    host1 = await rows.add(cloud, 'host1');
    await rows.add(cloud, 'host2');
  });
  beforeEach(() => {
    asked = [];
    named = [];
    refusal = null;
  });
  afterAll(() => cloud?.close());

  const call = (method: string, path: string, body?: unknown, token = admin) =>
    cloud.request(method, `/maru/v1${path}`, { token, body });
  const observe = (observe_only: number) =>
    cloud.app.store.tx((tx) => updateHost(tx, host1, { observe_only }));
  const tell = (orphans: readonly { kind: string; name: string; detail: string; object?: string }[]) =>
    cloud.app.store.tx(async (tx) => {
      await updateHost(tx, host1, { orphans: JSON.stringify(orphans) });
      await noteOrphans(tx, host1, orphans);
    });

  it('is for administrators only', async () => {
    for (const [method, path, body] of [
      ['GET', '/ca'],
      ['POST', '/ca/rotate', {}],
      ['POST', '/ca/abort', {}],
      ['POST', '/ca/finish', {}],
      ['GET', '/orphans'],
      ['POST', '/hosts/host1/orphans/remove', { kind: 'domain', name: 'x' }],
      ['GET', '/incarnation'],
      ['POST', '/incarnation', {}],
      ['POST', '/incarnation/accept', { all: true }],
      ['DELETE', '/hosts/host1'],
    ] as const) {
      expect((await call(method, path, body, member)).status, path).toBe(403);
      expect((await cloud.request(method, `/maru/v1${path}`, { body })).status, path).toBe(401);
    }
    expect(asked).toEqual([]);
    expect(await findHost(cloud.app.store.read, host1)).toBeDefined();
  });

  it('passes on what is asked of the authority, with its refusals', async () => {
    expect((await call('GET', '/ca')).json.ca).toMatchObject({ phase: 'rotating', waiting_for: ['host1'] });
    expect((await call('POST', '/ca/rotate', {})).status).toBe(202);
    expect((await call('POST', '/ca/finish', { force: true })).json.ca.tokens_ended).toBe(1);
    expect((await call('POST', '/ca/finish', {})).status).toBe(200);
    expect(asked).toEqual(['rotate', ['finish', true], ['finish', false]]);
    const abort = await call('POST', '/ca/abort', {});
    expect([abort.status, abort.json.error.message]).toEqual([
      409,
      expect.stringContaining('maru ca rotate'),
    ]);
    expect((await call('POST', '/ca/finish', { force: 'yes' })).status).toBe(400);
    const { problems } = (await call('GET', '/status')).json.status;
    expect(problems[0]).toEqual({
      gravity: 'attention',
      what: 'The certificate authority is being replaced: 1 host(s) wait (host1)',
      advice: 'maru ca show',
    });
  });

  it('lists orphans since when they are known, and has one removed', async () => {
    const disks = { kind: 'server-disks', name: SERVER_ID, detail: '/x', object: `server/${SERVER_ID}` };
    await tell([disks, { kind: 'bridge', name: 'brq1', detail: 'no master' }]);
    const first = (await call('GET', '/orphans')).json.orphans;
    expect(first).toMatchObject([
      { host: 'host1', ...disks, database: null },
      { host: 'host1', kind: 'bridge', object: null },
    ]);
    await tell([disks]);
    const again = (await call('GET', '/orphans?host=host1')).json.orphans;
    expect(again).toHaveLength(1);
    expect(again[0].since).toBe(first[0].since);
    expect((await call('GET', '/orphans?host=host2')).json.orphans).toEqual([]);
    expect((await call('GET', '/orphans?host=nowhere')).status).toBe(404);

    const path = '/hosts/host1/orphans/remove';
    const { kind, name } = disks;
    expect((await call('POST', path, { kind, name, destroy_data: true })).status).toBe(204);
    expect(asked).toEqual([[host1, { kind, name, destroy_data: true }]]);
    expect((await call('POST', path, { kind, name: 'other' })).json.error.message).toMatch(/no orphan/);
    named = [disks.object];
    expect((await call('POST', path, { kind, name })).json.error.message).toMatch(
      /should have: it is no orphan/,
    );
    named = [];
    refusal = new MaruError('conflict', 'Host host1: it holds data');
    expect((await call('POST', path, { kind, name })).status).toBe(409);
    await observe(1);
    expect((await call('POST', path, { kind, name })).json.error.message).toMatch(
      /maru incarnation accept host1/,
    );
    await observe(0);
    expect(asked).toHaveLength(1);
  });

  it('begins an incarnation in which nothing is changed, tells what would be, and ends it host by host', async () => {
    const before = (await call('GET', '/incarnation')).json.incarnation;
    expect(before.reason).toBe('this cloud was set up');
    expect((await call('POST', '/incarnation', { reason: 'restored Monday' })).status).toBe(204);
    expect((await call('GET', '/incarnation')).status).toBe(401);
    admin = await cloud.adminToken();
    const { incarnation } = (await call('GET', '/incarnation')).json;
    expect(incarnation.id).not.toBe(before.id);
    expect(incarnation).toMatchObject({
      reason: 'restored Monday',
      hosts: [
        { name: 'host1', observe_only: true, steps: [{ object: 'server/a' }], problem: null },
        { name: 'host2', observe_only: true, steps: null, problem: 'host2 does not answer' },
      ],
    });
    const { problems } = (await call('GET', '/status')).json.status;
    expect(problems[0].what).toBe('Nothing is changed on 2 host(s) (host1, host2): restored Monday');
    expect((await call('GET', '/hosts/host1')).json.host.observe_only).toBe(true);

    for (const body of [{}, { hosts: [] }, { all: false }, { hosts: ['host1'], all: true }])
      expect((await call('POST', '/incarnation/accept', body)).status).toBe(400);
    const missing = await call('POST', '/incarnation/accept', { hosts: ['host1', 'nowhere'] });
    expect(missing.status).toBe(404);
    expect((await findHost(cloud.app.store.read, host1))?.observe_only).toBe(1);
    const changes = async () =>
      (await listChanges(cloud.app.store.read, 1000)).filter(({ id }) => id === host1).length;
    const recorded = await changes();
    expect((await call('POST', '/incarnation/accept', { hosts: ['host1'] })).json.accepted).toEqual([
      'host1',
    ]);
    expect(await changes()).toBe(recorded + 1);
    expect((await call('POST', '/incarnation/accept', { all: true })).json.accepted).toEqual(['host2']);
    expect((await call('POST', '/incarnation/accept', { all: true })).json.accepted).toEqual([]);
  });
});
