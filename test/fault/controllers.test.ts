import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster } from '../support/hosts/cluster.js';
import { type ServerRequest, serverRequest } from '../support/hosts/server-request.js';
import { newDatabase } from '../support/stores.js';

interface ControllerState {
  readonly name: string;
  readonly state: string;
  readonly hosts: number;
}

const CONTROLLERS = ['c1', 'c2', 'c3'] as const;
const HOSTS = ['host1', 'host2', 'host3', 'host4'];
/** Longer than a host may be silent before it counts as down. */
const BEYOND_DOWN_MS = 35_000;

/** Three controllers on one PostgreSQL behind one address, each with its own idea of the time. */
describe('several controllers', { timeout: 900_000 }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'maru-controllers-'));
  let cluster: Cluster;
  let server: ServerRequest;

  beforeAll(async () => {
    // brings dist up to date
    await execa('scripts/maru', ['--version']);
    cluster = await Cluster.start(
      directory,
      await newDatabase('postgres', []),
      [{ name: 'c1' }, { name: 'c2', clockShiftMs: 4 * 60_000 }, { name: 'c3', clockShiftMs: -4 * 60_000 }],
      HOSTS,
    );
    server = await serverRequest(cluster);
  }, 300_000);
  afterAll(async () => {
    await cluster?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const controllers = async () =>
    (await cluster.call<{ controllers: ControllerState[] }>('GET', '/maru/v1/controllers')).controllers;
  const shared = async (names: readonly string[]) => {
    const up = (await controllers()).filter(({ state }) => state === 'up');
    const most = Math.ceil(HOSTS.length / names.length);
    return (
      up.length === names.length &&
      up.every(({ name, hosts }) => names.includes(name) && hosts <= most) &&
      up.reduce((sum, { hosts }) => sum + hosts, 0) === HOSTS.length
    );
  };
  const create = async (count: number) => {
    const made: string[] = [];
    for (let n = 0; n < count; n++) {
      const reply = await cluster.call<{ server: { id: string } }>('POST', '/compute/v2.1/servers', {
        server,
      });
      made.push(reply.server.id);
    }
    return made;
  };
  const status = async (id: string) => {
    const response = await cluster.request('GET', `/compute/v2.1/servers/${id}`);
    const text = await response.text();
    if (!response.ok) return String(response.status);
    return (JSON.parse(text) as { server: { status: string } }).server.status;
  };
  const become = async (ids: readonly string[], wanted: string) => {
    await cluster.until(`${ids.length} servers ${wanted}`, async () => {
      const seen = await Promise.all(ids.map(status));
      return seen.every((one) => one === wanted);
    });
  };
  const remove = async (ids: readonly string[]) => {
    for (const id of ids) await cluster.call('DELETE', `/compute/v2.1/servers/${id}`);
  };
  /** Hosts have what the database says, and nothing else. */
  const settled = async (guests: number) => {
    await cluster.until('hosts match their specs', async () => {
      const { hosts } = await cluster.call<{ hosts: { name: string; guests: number; faults: number }[] }>(
        'GET',
        '/maru/v1/hosts',
      );
      if (hosts.reduce((sum, host) => sum + host.guests, 0) !== guests) return false;
      if (hosts.some((host) => host.faults > 0)) return false;
      for (const name of HOSTS) {
        const response = await cluster.request('GET', `/maru/v1/hosts/${name}/plan`);
        const text = await response.text();
        if (!response.ok || (JSON.parse(text) as { plan: { steps: unknown[] } }).plan.steps.length > 0)
          return false;
      }
      return true;
    });
  };
  const mostLoaded = async () =>
    [...(await controllers())].filter((c) => c.state === 'up').sort((a, b) => b.hosts - a.hosts)[0]!.name;

  it('share the hosts evenly, and serve requests through one address', async () => {
    await cluster.until('hosts shared', () => shared(CONTROLLERS));
    const ids = await create(6);
    await become(ids, 'ACTIVE');
    await remove(ids);
    await become(ids, '404');
    await settled(0);
  });

  it('take over the work of one that is killed in the middle of it', async () => {
    const ids = await create(4);
    const victim = await mostLoaded();
    const doomed = ids.splice(0, 1);
    await remove(doomed);
    await cluster.kill(victim);
    await become(ids, 'ACTIVE');
    await become(doomed, '404');
    await cluster.until('hosts taken over', () => shared(CONTROLLERS.filter((name) => name !== victim)));
    await settled(3);
    cluster.run(victim);
    await cluster.until('hosts shared again', () => shared(CONTROLLERS));
    await remove(ids);
    await become(ids, '404');
    await settled(0);
  });

  it('hand hosts over at once when one ends in order', async () => {
    const leaving = await mostLoaded();
    await cluster.kill(leaving, 'SIGTERM');
    // it has said so, and nobody waits for its lease: one that was killed stays in the list until it runs again
    await cluster.until('it is forgotten', async () =>
      (await controllers()).every(({ name }) => name !== leaving),
    );
    await cluster.until('hosts handed over', () => shared(CONTROLLERS.filter((name) => name !== leaving)));
    cluster.run(leaving);
    await cluster.until('hosts shared again', () => shared(CONTROLLERS));
  });

  it('are not disturbed by one that wakes up after its lease has run out', async () => {
    const ids = await create(4);
    await become(ids, 'ACTIVE');
    const victim = await mostLoaded();
    const more = await create(2);
    cluster.pause(victim);
    cluster.leaveOut(victim, true);
    const others = CONTROLLERS.filter((name) => name !== victim);
    // nobody has its hosts before its lease has run out
    await cluster.until('hosts taken over', () => shared(others));
    await become(more, 'ACTIVE');
    await remove(ids);
    await become(ids, '404');
    await settled(2);
    cluster.resume(victim);
    cluster.leaveOut(victim, false);
    await cluster.until('back', () => shared(CONTROLLERS));
    await settled(2);
    expect(await Promise.all(more.map(status))).toEqual(['ACTIVE', 'ACTIVE']);
    expect(cluster.isRunning(victim)).toBe(true);
    await remove(more);
    await become(more, '404');
  });

  it('go on without one that is cut off from the database, which says so and comes back by itself', async () => {
    const ids = await create(3);
    const victim = await mostLoaded();
    cluster.database(victim).drop();
    cluster.leaveOut(victim, true);
    await become(ids, 'ACTIVE');
    const others = CONTROLLERS.filter((name) => name !== victim);
    await cluster.until('hosts taken over', () => shared(others));
    const refusals: [path: string, shape: object | null][] = [
      ['/identity/v3/projects', { error: { code: 503 } }],
      ['/compute/v2.1/servers', { serviceUnavailable: { code: 503 } }],
      ['/network/v2.0/networks', { NeutronError: { type: expect.any(String) } }],
      ['/volume/v3/types', {}],
      ['/placement/resource_providers', { errors: [{ status: 503 }] }],
      ['/maru/v1/hosts', { error: { code: 503 } }],
      ['/image/v2/images', null],
    ];
    // at once: each takes as long as the controller waits for its database
    await Promise.all(
      refusals.map(async ([path, shape]) => {
        const response = await cluster.ask(victim, 'GET', path);
        const text = await response.text();
        expect([path, response.status, text]).toEqual([path, 503, text]);
        if (shape) expect(JSON.parse(text)).toMatchObject(shape);
      }),
    );
    cluster.database(victim).heal();
    cluster.leaveOut(victim, false);
    await cluster.until('back', () => shared(CONTROLLERS));
    expect((await cluster.ask(victim, 'GET', '/compute/v2.1/servers')).status).toBe(200);
    expect(cluster.isRunning(victim)).toBe(true);
    await settled(3);
    await remove(ids);
    await become(ids, '404');
  });

  it('agree on which hosts are alive though agents reach only some of them', async () => {
    const [deaf, ...others] = CONTROLLERS;
    cluster.fromAgents(deaf).drop();
    const begun = performance.now();
    const ids = await create(3);
    await become(ids, 'ACTIVE');
    const left = BEYOND_DOWN_MS - (performance.now() - begun);
    if (left > 0) await new Promise((resolve) => setTimeout(resolve, left));
    const response = await cluster.ask(deaf, 'GET', '/maru/v1/hosts');
    const { hosts } = (await response.json()) as { hosts: { state: string }[] };
    expect(hosts.map(({ state }) => state)).toEqual(HOSTS.map(() => 'up'));
    cluster.fromAgents(deaf).heal();
    await remove(ids);
    await become(ids, '404');
    await settled(0);
    expect(others.every((name) => cluster.isRunning(name))).toBe(true);
  });

  it('leave no host to one that cannot reach it', async () => {
    const victim = await mostLoaded();
    const others = CONTROLLERS.filter((name) => name !== victim);
    await cluster.cutFromAgents(victim, true);
    // enough for every host to get something that the victim cannot bring there
    const ids = await create(8);
    await become(ids, 'ACTIVE');
    await cluster.until('isolated', async () => {
      const state = (await controllers()).find(({ name }) => name === victim);
      return state?.state === 'isolated' && state.hosts === 0;
    });
    await cluster.until('hosts taken over', () => shared(others));
    await cluster.cutFromAgents(victim, false);
    await cluster.until('back', () => shared(CONTROLLERS));
    await remove(ids);
    await become(ids, '404');
    await settled(0);
  });
});
