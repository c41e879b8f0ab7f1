import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { NO_WISHES } from '../../src/core/scheduler/candidate.js';
import { explainPlacement } from '../../src/core/scheduler/place.js';
import { explainServer } from '../../src/core/server/explain.js';
import { computeStatus } from '../../src/core/server/status.js';
import type { ObjectReport } from '../../src/protocol/messages.js';
import { deleteHost } from '../../src/store/hosts.js';
import { nowText } from '../../src/store/store.js';
import type { TestUser } from '../support/app.js';
import { ComputeCloud } from '../support/compute-cloud.js';
import { DIALECTS } from '../support/stores.js';

const DOWN = { predicate: 'up', reason: 'it is down: not heard of since the controller started' };

const V = { 'openstack-api-version': 'compute 2.37' };
const ERROR: Partial<ObjectReport> = {
  state: 'error',
  error: {
    message: 'qemu-img could not create the disk',
    command: 'qemu-img create -f qcow2 disk',
    exit_code: 1,
    stderr: 'No space left on device',
    hint: 'free some space',
  },
};

describe.each(DIALECTS)('when hosts fail on %s', (dialect) => {
  let cloud: ComputeCloud;
  let user: TestUser;
  let admin: string;
  let hosts: string[];

  beforeEach(async () => {
    cloud = await ComputeCloud.open({ dialect });
    user = await cloud.cloud.projectUser('demo');
    admin = await cloud.cloud.adminToken();
    hosts = [await cloud.hosts.add(cloud.cloud, 'host1'), await cloud.hosts.add(cloud.cloud, 'host2')];
  });
  afterEach(async () => {
    // every stored status is what follows from the row
    const rows = await cloud.cloud.app.store.read.selectFrom('server').selectAll().execute();
    for (const row of rows)
      expect(computeStatus(row)).toEqual({ vm_state: row.vm_state, status: row.status });
    await cloud.close();
  });

  const create = async (server: Record<string, unknown> = {}) =>
    (await cloud.create(user.token, { networks: 'none', ...server }, V)).json.server.id as string;
  const show = async (id: string) =>
    (await cloud.cloud.request('GET', `/compute/v2.1/servers/${id}`, { token: admin })).json.server;
  const task = async (id: string) =>
    (await cloud.cloud.app.tasks.rows.latestOf(cloud.cloud.app.store.read, 'server', id))!;
  const remove = (id: string) =>
    cloud.cloud.request('DELETE', `/compute/v2.1/servers/${id}`, { token: user.token });
  const overdue = () => cloud.overdue();
  const look = () => cloud.look();
  const allocated = async (id: string) =>
    (
      await cloud.cloud.app.store.read
        .selectFrom('allocation')
        .select('host_id')
        .distinct()
        .where('consumer_id', '=', id)
        .execute()
    ).map((row) => row.host_id);

  it('a failed build is tried on the other host once the first has confirmed that nothing is left there', async () => {
    const network = await cloud.network(user.projectId);
    const id = (await cloud.create(user.token, { networks: [{ uuid: network }] })).json.server.id;
    const first = (await cloud.row(id)).host_id!;
    await cloud.applied(id, 'running', ERROR);
    expect(await cloud.row(id)).toMatchObject({ status: 'BUILD', task_state: 'scheduling', host_id: null });
    const db = cloud.cloud.app.store.read;
    const tombstones = await db.selectFrom('tombstone').select(['host_id', 'object_key']).execute();
    expect(tombstones).toEqual([{ host_id: first, object_key: `server/${id}` }]);
    expect(await db.selectFrom('port_binding').selectAll().execute()).toEqual([]);
    // looking again changes nothing, however often
    await look();
    expect((await cloud.row(id)).host_id).toBeNull();
    expect(await allocated(id)).toEqual([first]);
    expect(await task(id)).toMatchObject({
      kind: 'server.build',
      step: 'place',
      state: 'active',
      waiting_for: expect.stringContaining('to confirm that nothing of the server is left there'),
    });
    await cloud.gone(first, id);
    const moved = await cloud.row(id);
    expect(moved).toMatchObject({ status: 'BUILD', task_state: 'spawning', run_epoch: 2, build_attempts: 2 });
    expect(moved.host_id).toBe(hosts.find((host) => host !== first));
    const bindings = await db.selectFrom('port_binding').select('host_id').execute();
    expect(bindings).toEqual([{ host_id: moved.host_id }]);
    expect(await allocated(id)).toEqual([moved.host_id]);
    // late words of the first host mean nothing
    await cloud.report(first, { key: `server/${id}`, revision: 'x', ...ERROR } as ObjectReport);
    await cloud.applied(id);
    expect((await show(id)).status).toBe('ACTIVE');
    expect(await task(id)).toMatchObject({ state: 'done', error: null, next_run_at: null });
  });

  it('a silent host keeps the server, which is in ERROR until the host is back and has built it', async () => {
    const id = await create();
    const first = (await cloud.row(id)).host_id!;
    cloud.hosts.down.add(first);
    await overdue();
    const failed = await show(id);
    expect(failed).toMatchObject({ status: 'ERROR', 'OS-EXT-STS:task_state': null });
    expect(failed.fault.message).toMatch(/^The host did not answer/);
    expect(failed.fault.details).toMatch(/not built elsewhere.*maru host remove host[12]/);
    expect(await cloud.row(id)).toMatchObject({ host_id: first, run_epoch: 1 });
    await look();
    expect((await cloud.row(id)).host_id).toBe(first);
    expect(await task(id)).toMatchObject({
      state: 'active',
      waiting_for: expect.stringContaining('to answer'),
    });
    cloud.hosts.down.delete(first);
    await look();
    expect((await task(id)).deadline).not.toBeNull();
    await cloud.applied(id);
    expect(await show(id)).toMatchObject({ status: 'ACTIVE' });
    expect((await show(id)).fault).toBeUndefined();
    expect(await task(id)).toMatchObject({ state: 'done' });
  });

  it('a silent host that says when it is back that it cannot build it gives it to another', async () => {
    const id = await create();
    const first = (await cloud.row(id)).host_id!;
    cloud.hosts.down.add(first);
    await overdue();
    cloud.hosts.down.delete(first);
    await cloud.applied(id, 'nostate', ERROR);
    expect(await cloud.row(id)).toMatchObject({ status: 'BUILD', host_id: null });
    await cloud.gone(first, id);
    expect((await cloud.row(id)).host_id).toBe(hosts.find((host) => host !== first));
  });

  it('a host that is up but late has to destroy what it began before another one gets it', async () => {
    const id = await create();
    const first = (await cloud.row(id)).host_id!;
    await overdue();
    expect(await cloud.row(id)).toMatchObject({ status: 'BUILD', host_id: null });
    // it goes silent, and the time for its receipt passes
    cloud.hosts.down.add(first);
    await overdue();
    const failed = await show(id);
    expect(failed.status).toBe('ERROR');
    expect(failed.fault.message).toContain('has not confirmed that it destroyed');
    expect(failed.fault.details).toContain('maru host remove');
    await look();
    expect((await cloud.row(id)).host_id).toBeNull();
    cloud.hosts.down.delete(first);
    await cloud.gone(first, id);
    expect(await cloud.row(id)).toMatchObject({ status: 'BUILD', fault: null, run_epoch: 2 });
    await cloud.applied(id);
    expect((await show(id)).status).toBe('ACTIVE');
  });

  it.each([
    ['while it is silent', false],
    ['while its receipt is waited for', true],
  ])('a host that is removed %s has nothing to confirm any more', async (_when, retracted) => {
    const id = await create();
    const first = (await cloud.row(id)).host_id!;
    if (retracted) await cloud.applied(id, 'nostate', ERROR);
    cloud.hosts.down.add(first);
    await overdue();
    expect((await show(id)).status).toBe('ERROR');
    await cloud.cloud.app.store.tx((tx) => deleteHost(tx, first));
    await look();
    const moved = await cloud.row(id);
    expect(moved).toMatchObject({ status: 'BUILD', run_epoch: 2 });
    expect(moved.host_id).toBe(hosts.find((host) => host !== first));
    expect(await allocated(id)).toEqual([moved.host_id]);
  });

  it('deleting a server whose receipt is waited for waits for that receipt only', async () => {
    const id = await create();
    const first = (await cloud.row(id)).host_id!;
    await cloud.applied(id, 'nostate', ERROR);
    expect((await remove(id)).status).toBe(204);
    expect((await show(id))['OS-EXT-STS:task_state']).toBe('deleting');
    expect(await allocated(id)).toEqual([first]);
    await cloud.gone(first, id);
    expect(await show(id)).toBeUndefined();
    expect(await allocated(id)).toEqual([]);
    const tasks = await cloud.cloud.app.tasks.rows.list(cloud.cloud.app.store.read, true, 10);
    expect(tasks.map(({ kind, state }) => `${kind} ${state}`).sort()).toEqual([
      'server.build cancelled',
      'server.delete done',
    ]);
  });

  it('without another host the server is in ERROR with the agent’s words, until the host manages after all', async () => {
    cloud.hosts.down.add(hosts[1]!);
    const id = await create();
    await cloud.applied(id, 'nostate', ERROR);
    // its agent goes on trying for a while
    expect(await show(id)).toMatchObject({ status: 'BUILD', 'OS-EXT-STS:task_state': 'spawning' });
    await overdue();
    const failed = await show(id);
    expect(failed.status).toBe('ERROR');
    expect(failed.fault).toMatchObject({
      code: 500,
      message: 'qemu-img could not create the disk',
      details:
        'Host: host1\nCommand: qemu-img create -f qcow2 disk\nExit code: 1\nStderr: No space left on device\nHint: free some space',
    });
    const own = await cloud.cloud.request('GET', `/compute/v2.1/servers/${id}`, { token: user.token });
    expect(own.json.server.fault.details).toBeUndefined();
    const actions = await cloud.cloud.request('GET', `/compute/v2.1/servers/${id}/os-instance-actions`, {
      token: user.token,
    });
    expect(actions.json.instanceActions[0]).toMatchObject({ action: 'create', message: 'Error' });
    const explained = await explainServer(cloud.cloud.app, id);
    expect(explained).toMatchObject({ status: 'ERROR', host: 'host1' });
    expect(explained.fault).toContain('No space left on device');
    expect(explained.hosts).toEqual([
      {
        name: 'host1',
        fits: false,
        weight: 0,
        reasons: [{ predicate: 'avoided', reason: 'building the server failed on it' }],
      },
      { name: 'host2', fits: false, weight: 0, reasons: [DOWN] },
    ]);
    await cloud.applied(id);
    expect(await show(id)).toMatchObject({ status: 'ACTIVE' });
    expect((await show(id)).fault).toBeUndefined();
  });

  it('what would happen can be asked without anything happening', async () => {
    cloud.hosts.down.add(hosts[1]!);
    const { app } = cloud.cloud;
    const verdicts = await explainPlacement(app.store.read, app, {
      ...NO_WISHES,
      resources: { VCPU: 1, MEMORY_MB: 512, DISK_GB: 1 },
      physical_networks: ['extnet'],
    });
    const weights = { memory: 1, vcpus: 1, disk: 1 };
    expect(verdicts).toEqual([
      { host: 'host1', host_id: hosts[0], ok: true, reasons: [], weight: 1, weights },
      { host: 'host2', host_id: hosts[1], ok: false, reasons: [DOWN], weight: 0, weights: {} },
    ]);
    expect(await cloud.cloud.app.store.read.selectFrom('allocation').selectAll().execute()).toEqual([]);
  });

  it('nothing stays in BUILD for ever', async () => {
    cloud.hosts.down.add(hosts[1]!);
    const id = await create();
    await look();
    expect((await show(id)).status).toBe('BUILD');
    await overdue();
    const failed = await show(id);
    expect(failed.status).toBe('ERROR');
    expect(failed.fault.message).toBe(`Build of instance ${id} did not succeed within 300 seconds.`);
    expect(failed.fault.details).toContain('Host host1 is up but has not reported it done');
  });

  it('a change of power that never happens is given up', async () => {
    const id = await create();
    await cloud.applied(id);
    await cloud.cloud.request('POST', `/compute/v2.1/servers/${id}/action`, {
      token: user.token,
      body: { 'os-stop': null },
    });
    await overdue();
    expect(await show(id)).toMatchObject({ status: 'ACTIVE', 'OS-EXT-STS:task_state': null });
    await cloud.applied(id, 'shutdown');
    expect((await show(id)).status).toBe('SHUTOFF');
  });

  it('deleting converges: at once when the host is down, later when it goes down, and its capacity only when it is back', async () => {
    const first = await create();
    const second = await create();
    const [one, two] = [(await cloud.row(first)).host_id!, (await cloud.row(second)).host_id!];
    cloud.hosts.down.add(one);
    expect((await remove(first)).status).toBe(204);
    expect(await show(first)).toBeUndefined();
    expect(await allocated(first)).toEqual([one]);
    await cloud.gone(one, first);
    expect(await allocated(first)).toEqual([]);

    await remove(second);
    expect((await show(second))['OS-EXT-STS:task_state']).toBe('deleting');
    // asking again is harmless
    expect((await remove(second)).status).toBe(204);
    await look();
    expect(await show(second)).toBeDefined();
    cloud.hosts.down.add(two);
    await look();
    expect(await show(second)).toBeUndefined();
  });

  it('quota is free as soon as deletion is asked for', async () => {
    const ids = await Promise.all(Array.from({ length: 10 }, () => create()));
    expect((await cloud.create(user.token, { networks: 'none' }, V)).status).toBe(403);
    await remove(ids[0]!);
    expect((await cloud.create(user.token, { networks: 'none' }, V)).status).toBe(202);
  });

  it('reports of servers that belong elsewhere, or are nobody’s, are not believed', async () => {
    const id = await create();
    const mine = (await cloud.row(id)).host_id!;
    const stranger = hosts.find((host) => host !== mine)!;
    const report: ObjectReport = {
      key: `server/${id}`,
      revision: 'x',
      state: 'applied',
      observed: { power_state: 'running', launched_at: nowText() },
    };
    await cloud.report(stranger, report);
    await cloud.report(mine, { ...report, key: 'server/00000000-0000-4000-8000-000000000000' });
    expect((await show(id)).status).toBe('BUILD');
    await cloud.gone(stranger, id);
    expect((await show(id)).status).toBe('BUILD');
  });

  it('shuts no server down for a report about it as it was asked for before', async () => {
    const id = await create();
    await cloud.applied(id);
    await cloud.applied(id, 'shutdown', { revision: 'of before' });
    expect(await cloud.row(id)).toMatchObject({ power: 'running' });
    await cloud.applied(id, 'shutdown');
    expect(await cloud.row(id)).toMatchObject({ power: 'stopped' });
  });

  it('takes a guest that ran and went off before anybody heard of it for built, and starts it when asked', async () => {
    const id = await create();
    await cloud.applied(id, 'shutdown');
    expect(await cloud.row(id)).toMatchObject({ status: 'SHUTOFF', task_state: null, power: 'stopped' });
    const start = () =>
      cloud.cloud.request('POST', `/compute/v2.1/servers/${id}/action`, {
        token: user.token,
        body: { 'os-start': null },
      });
    expect((await start()).status).toBe(202);
    // it goes off again unheard, and the deadline of the start passes
    await cloud.applied(id, 'shutdown');
    await overdue();
    expect(await cloud.row(id)).toMatchObject({ status: 'SHUTOFF', task_state: null, power: 'stopped' });
    expect((await start()).status).toBe(202);
    expect(await cloud.row(id)).toMatchObject({ power: 'running' });
  });
});
