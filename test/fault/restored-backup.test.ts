import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KnownOrphan } from '../../src/core/host/orphans.js';
import type { IncarnationStatus } from '../../src/core/incarnation/incarnation.js';
import type { CloudStatus } from '../../src/core/status/status.js';
import { SimulatedCloud } from '../support/hosts/processes.js';
import { type ServerRequest, serverRequest } from '../support/hosts/server-request.js';

const HOSTS = ['host1', 'host2'];
const FILES = ['maru.db', 'maru.db-wal', 'maru.db-shm'];

/** Controller and agents as processes; the file of the database is put back to what it was. */
describe('a backup of the database is restored under running hosts', () => {
  const directory = mkdtempSync(join(tmpdir(), 'maru-restore-'));
  let cloud: SimulatedCloud;
  let server: ServerRequest;

  beforeAll(async () => {
    // brings dist up to date
    await execa('scripts/maru', ['--version']);
    cloud = await SimulatedCloud.start(directory, HOSTS);
    server = await serverRequest(cloud);
  }, 300_000);
  afterAll(async () => {
    await cloud?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const eventually = <T>(read: () => Promise<T>) => expect.poll(read, { timeout: 90_000, interval: 300 });
  const status = async (id: string) => {
    const response = await cloud.request('GET', `/compute/v2.1/servers/${id}`);
    if (!response.ok) return String(response.status);
    return ((await response.json()) as { server: { status: string } }).server.status;
  };
  const create = async (name: string) => {
    const made = await cloud.call<{ server: { id: string } }>('POST', '/compute/v2.1/servers', {
      server: { ...server, name },
    });
    await eventually(() => status(made.server.id)).toBe('ACTIVE');
    return made.server.id;
  };
  const destroy = async (id: string) => {
    await cloud.call('DELETE', `/compute/v2.1/servers/${id}`);
    await eventually(() => status(id)).toBe('404');
  };
  const incarnation = async () =>
    (await cloud.call<{ incarnation: IncarnationStatus }>('GET', '/maru/v1/incarnation')).incarnation;
  const orphans = async () =>
    (await cloud.call<{ orphans: KnownOrphan[] }>('GET', '/maru/v1/orphans')).orphans.filter(({ kind }) =>
      ['domain', 'server-disks'].includes(kind),
    );
  const problems = async () =>
    (await cloud.call<{ status: CloudStatus }>('GET', '/maru/v1/status')).status.problems;
  const copy = (from: string, to: string) => {
    for (const file of FILES) {
      rmSync(join(to, file), { force: true });
      if (existsSync(join(from, file))) copyFileSync(join(from, file), join(to, file));
    }
  };

  it('nothing is destroyed or started until that is accepted; then the database holds, and orphans are kept', async () => {
    const deleted = await create('deleted-later');
    const kept = await create('kept');
    const backup = mkdtempSync(join(directory, 'backup-'));
    const state = join(directory, 'controller');
    await cloud.kill('controller');
    copy(state, backup);
    cloud.run('controller');
    const before = await incarnation();
    expect(before.hosts.every((host) => !host.observe_only)).toBe(true);

    const created = await create('created-later');
    await destroy(deleted);
    await cloud.kill('controller');
    copy(backup, state);
    cloud.run('controller');

    await eventually(async () => (await incarnation()).hosts.map((host) => host.observe_only)).toEqual([
      true,
      true,
    ]);
    const restored = await incarnation();
    expect(restored.id).not.toBe(before.id);
    expect(restored.reason).toMatch(/older than what host host[12] has/);
    await eventually(async () => (await problems())[0]?.what).toMatch(
      /Nothing is changed on 2 host\(s\) \(host1, host2\)/,
    );

    // what came later is there and runs; what went is missing, and is not made
    await eventually(orphans).toMatchObject([
      { kind: 'server-disks', name: created, database: null },
      { kind: 'domain', object: `server/${created}`, detail: expect.stringContaining('running') },
    ]);
    const steps = async () => {
      let found: readonly (readonly { object: string }[] | null)[] = [];
      // a host that is slow, or has only just been started, is asked again
      await eventually(async () => {
        found = (await incarnation()).hosts.map((host) => host.steps);
        return found.every((some) => some !== null);
      }).toBe(true);
      return found.flatMap((some) => some ?? []);
    };
    const wanted = `server/${deleted}`;
    await eventually(async () => (await steps()).some(({ object }) => object === wanted)).toBe(true);
    const first = JSON.stringify(await steps());
    await new Promise((resolve) => setTimeout(resolve, 7_000));
    expect(JSON.stringify(await steps())).toBe(first);
    expect((await steps()).filter(({ object }) => object === `server/${kept}`)).toEqual([]);
    const [, domain] = await orphans();
    const removal = { kind: 'domain', name: domain!.name, destroy_data: true };
    const path = `/maru/v1/hosts/${domain!.host}/orphans/remove`;
    expect((await cloud.request('POST', path, removal)).status).toBe(409);

    // restarts of everything end nothing
    await cloud.kill('controller');
    cloud.run('controller');
    expect((await incarnation()).id).toBe(restored.id);

    const reply = await cloud.call<{ accepted: string[] }>('POST', '/maru/v1/incarnation/accept', {
      all: true,
    });
    expect(reply.accepted).toEqual(HOSTS);
    await eventually(steps).toEqual([]);
    for (const host of HOSTS) {
      await eventually(async () => {
        const { plan } = await cloud.call<{ plan: { steps: unknown[] } }>(
          'GET',
          `/maru/v1/hosts/${host}/plan`,
        );
        return plan.steps;
      }).toEqual([]);
    }
    await eventually(() => Promise.all([deleted, kept, created].map(status))).toEqual([
      'ACTIVE',
      'ACTIVE',
      '404',
    ]);
    const left = [`server/${created}`, `server/${created}`];
    await eventually(async () => (await orphans()).map(({ object }) => object)).toEqual(left);
    const standing = async () => (await problems()).filter(({ what }) => what.includes('Nothing is changed'));
    await eventually(standing).toEqual([]);

    // and what is left over goes only when it is named
    expect((await cloud.request('POST', path, { ...removal, destroy_data: false })).status).toBe(409);
    expect((await cloud.request('POST', path, removal)).status).toBe(204);
    const disks = { kind: 'server-disks', name: created, destroy_data: true };
    expect((await cloud.request('POST', path, disks)).status).toBe(204);
    await eventually(orphans).toEqual([]);
    expect(await status(kept)).toBe('ACTIVE');
  }, 900_000);
});
