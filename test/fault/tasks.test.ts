import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { imageService } from '../../src/api/image/service.js';
import type { App } from '../../src/core/app.js';
import { computeStatus } from '../../src/core/server/status.js';
import { cancelTask } from '../../src/core/task/task.js';
import { registerTasks } from '../../src/core/tasks.js';
import { createLogger } from '../../src/protocol/log.js';
import type { ServerRow } from '../../src/store/compute/server.js';
import type { Store } from '../../src/store/store.js';
import { Killed, onKillPoints } from '../../src/tasks/kill-points.js';
import { Tasks } from '../../src/tasks/tasks.js';
import type { TestUser } from '../support/app.js';
import { ComputeCloud } from '../support/compute-cloud.js';
import { ModelHosts } from '../support/model-hosts.js';
import { DIALECTS } from '../support/stores.js';

const silent = createLogger('error', {}, () => {});
/** Each point is killed at the first and at a later time that it is reached: steps run in callers' transactions and in the runner. */
const OCCASIONS = [1, 2];
/** Kinds whose points are all exercised by a test of their own. */
const ELSEWHERE: Readonly<Record<string, string>> = { 'router.move': 'test/store/router-moves.test.ts' };
const POINTS = killPoints();

describe('the registry', () => {
  it('has points for every step of every kind, and each kind a test that kills there', () => {
    for (const [kind, file] of Object.entries(ELSEWHERE))
      expect([kind, readFileSync(file, 'utf8').includes('onKillPoints')]).toEqual([kind, true]);
    for (const kind of kinds().filter(({ name }) => !ELSEWHERE[name])) {
      const steps = Object.keys(kind.steps);
      expect(steps.length).toBeGreaterThan(0);
      for (const step of steps)
        for (const moment of ['before', 'between', 'after'])
          expect(POINTS).toContain(`${kind.name}/${step}:${moment}`);
    }
  });
});

/**
 * The controller's work is abandoned at every point of every kind, as by kill -9: nothing more happens in it, transactions that were
 * open are lost. Another one then goes on; clients ask again, hosts report again.
 */
describe.each(DIALECTS)('a controller that ends at any point of a task, on %s', (dialect) => {
  let cloud: ComputeCloud;
  let user: TestUser;
  let model: ModelHosts;
  let hosts: string[];
  let crashes = 0;
  let reached: Map<string, number>;
  let number = 0;

  beforeAll(async () => {
    cloud = await ComputeCloud.open({
      dialect,
      services: [(app) => imageService(app.config)],
      parts: { log: silent },
    });
    user = await cloud.cloud.projectUser('demo');
    hosts = [await cloud.hosts.add(cloud.cloud, 'host1'), await cloud.hosts.add(cloud.cloud, 'host2')];
    model = new ModelHosts(cloud, hosts);
    // the first host that has one of these fails
    model.fails = (server) => server.name.startsWith('flaky') && server.run_epoch === 1;
  });
  afterAll(async () => {
    await cloud?.close();
  });

  const restart = () => {
    crashes++;
    const { app } = cloud.cloud;
    const { store } = app;
    const tasks = new Tasks({ store, log: silent, leaseSeconds: 0.05, retrySeconds: 0.01 });
    (app as { tasks: Tasks }).tasks = tasks;
    registerTasks(app);
  };
  /** Does something until it was not interrupted by a crash; a client that got no answer does it again. */
  const surviving = async <T>(action: () => Promise<T>): Promise<T> => {
    for (;;) {
      const before = killed;
      try {
        const result = await action();
        if (killed === before) return result;
      } catch (error) {
        if (killed === before) throw error;
      }
      restart();
    }
  };
  let killed = 0;
  const killAt = (point: string, occasion: number) => {
    reached = new Map();
    let done = false;
    return onKillPoints((at) => {
      const times = (reached.get(at) ?? 0) + 1;
      reached.set(at, times);
      if (done || at !== point || times < occasion) return;
      done = true;
      killed++;
      throw new Killed(at);
    });
  };
  const named = async (name: string) =>
    await cloud.cloud.app.store.read
      .selectFrom('server')
      .selectAll()
      .where('name', '=', name)
      .where('deleted_at', 'is', null)
      .execute();
  const converge = async (what: string, done: () => Promise<boolean>) => {
    for (const end = Date.now() + 120_000; !(await done()); ) {
      if (Date.now() > end) {
        const tasks = await cloud.cloud.app.tasks.rows.list(cloud.cloud.app.store.read, false, 10);
        throw new Error(`${what} does not happen; tasks: ${JSON.stringify(tasks, null, 1)}`);
      }
      await surviving(() => model.round());
      await surviving(() => cloud.look());
    }
  };
  const post = async (path: string, body: unknown) =>
    await cloud.cloud.request('POST', `/compute/v2.1${path}`, { token: user.token, body });

  const create = async (name: string): Promise<string> =>
    await surviving(async () => {
      const [found] = await named(name);
      if (found) return found.id;
      return (await cloud.create(user.token, { name, networks: 'none' }, V)).json.server.id as string;
    });
  const becomes = async (id: string, wanted: Partial<ServerRow>) =>
    await converge(`${id} ${JSON.stringify(wanted)}`, async () => {
      const row = await cloud.row(id);
      return Object.entries(wanted).every(([name, value]) => row[name as keyof ServerRow] === value);
    });
  const act = async (id: string, body: object, wanted: Partial<ServerRow>) => {
    await surviving(async () => {
      const reply = await post(`/servers/${id}/action`, body);
      // asked before a crash, and done or under way
      expect([202, 409, 500]).toContain(reply.status);
    });
    await becomes(id, { ...wanted, task_state: null });
  };
  const cancelNow = async (id: string) =>
    await surviving(async () => {
      const { app } = cloud.cloud;
      const task = await app.tasks.rows.activeOf(app.store.read, 'server', id);
      if (task && task.state === 'active') await cancelTask(app, task.id);
    });
  const remove = async (id: string) => {
    await surviving(async () => {
      await cloud.cloud.request('DELETE', `/compute/v2.1/servers/${id}`, { token: user.token });
    });
    await becomes(id, { vm_state: 'deleted' });
  };

  const uploaded = async (name: string, bytes: Buffer, wanted: string): Promise<string> => {
    const headers = { 'content-type': 'application/octet-stream' };
    const { token } = user;
    const list = async () =>
      (await cloud.cloud.request('GET', `/image/v2/images?name=${name}`, { token })).json.images;
    let sent = 0;
    await converge(`${name} ${wanted}`, async () => {
      const [image] = await list();
      const body = { name, disk_format: 'raw', container_format: 'bare' };
      if (!image) await surviving(() => cloud.cloud.request('POST', '/image/v2/images', { token, body }));
      else if (image.status === wanted && (wanted === 'active' || sent > 0)) return true;
      else if (image.status === 'queued') {
        await surviving(async () => {
          sent++;
          await cloud.cloud.request('PUT', `/image/v2/images/${image.id}/file`, {
            token,
            body: bytes,
            headers,
          });
        });
      }
      return false;
    });
    return (await list())[0].id;
  };
  const removeImage = async (id: string) =>
    await surviving(async () => {
      const reply = await cloud.cloud.request('DELETE', `/image/v2/images/${id}`, { token: user.token });
      expect([204, 404, 500]).toContain(reply.status);
    });

  /** Every workflow that there is, with its failures and cancellations. */
  const life = async (suffix: string) => {
    const id = await create(`flaky-${suffix}`);
    await becomes(id, { status: 'ACTIVE', run_epoch: 2 });
    await act(id, { 'os-stop': null }, { status: 'SHUTOFF', power: 'stopped' });
    await act(id, { 'os-start': null }, { status: 'ACTIVE', power: 'running' });
    await act(id, { reboot: { type: 'HARD' } }, { status: 'ACTIVE' });
    for (const body of [{ 'os-stop': null }, { reboot: { type: 'SOFT' } }]) {
      await surviving(async () => void (await post(`/servers/${id}/action`, body)));
      await cancelNow(id);
      await becomes(id, { status: 'ACTIVE', power: 'running', task_state: null });
    }
    await remove(id);
    const other = await create(`cancelled-${suffix}`);
    await cancelNow(other);
    await becomes(other, { status: 'ERROR', host_id: null });
    await remove(other);
    await removeImage(await uploaded(`good-${suffix}`, Buffer.alloc(10_000, 7), 'active'));
    // another format than it says: refused, and taken away
    const wrong = Buffer.alloc(1024);
    wrong.write('QFI\xfb', 'latin1');
    wrong.writeUInt32BE(3, 4);
    await removeImage(await uploaded(`bad-${suffix}`, wrong, 'queued'));
  };

  const settled = async (suffix: string) => {
    const { app } = cloud.cloud;
    const db = app.store.read;
    await converge('no task is left', async () => (await app.tasks.rows.list(db, false, 10)).length === 0);
    await surviving(() => model.round());
    expect(model.twice).toEqual([]);
    for (const [host, guests] of model.guests) expect([host, ...guests]).toEqual([host]);
    expect(readdirSync(app.config.image_dir)).toEqual([]);
    expect(await db.selectFrom('tombstone').selectAll().execute()).toEqual([]);
    expect(await db.selectFrom('allocation').selectAll().execute()).toEqual([]);
    const rows = await db.selectFrom('server').selectAll().where('name', 'like', `%-${suffix}`).execute();
    expect(rows).toHaveLength(2);
    for (const row of rows) {
      expect(computeStatus(row)).toEqual({ vm_state: row.vm_state, status: row.status });
    }
  };

  it('needs no crash to converge, and reaches every point', async () => {
    const take = killAt('nowhere', 1);
    await life('quiet');
    take();
    await settled('quiet');
    expect(POINTS.filter((point) => !reached.has(point))).toEqual([]);
  }, 300_000);

  it.each(POINTS.flatMap((point) => OCCASIONS.map((occasion) => [point, occasion] as const)))(
    'converges after %s, time %i',
    async (point, occasion) => {
      const suffix = `n${number++}`;
      const before = crashes;
      const take = killAt(point, occasion);
      try {
        await life(suffix);
      } finally {
        take();
      }
      await settled(suffix);
      // every point is reached at least once; not all of them twice
      if (occasion === 1 || (reached.get(point) ?? 0) > occasion) expect(crashes).toBe(before + 1);
    },
    300_000,
  );
});

const V = { 'openstack-api-version': 'compute 2.37' };

function kinds() {
  const tasks = new Tasks({ store: {} as Store, log: silent });
  registerTasks({ tasks, config: { build_timeout: 300 } } as unknown as App);
  return tasks.kinds;
}

function killPoints(): readonly string[] {
  const tasks = new Tasks({ store: {} as Store, log: silent });
  tasks.register(...kinds().filter(({ name }) => !ELSEWHERE[name]));
  return tasks.killPoints;
}
