import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { adminService } from '../../src/api/admin/service.js';
import { Client } from '../../src/cli/client.js';
import { createProgram } from '../../src/cli/program.js';
import type { ObjectReport } from '../../src/protocol/messages.js';
import type { TestUser } from '../support/app.js';
import { ComputeCloud } from '../support/compute-cloud.js';
import { DIALECTS } from '../support/stores.js';

const V = { 'openstack-api-version': 'compute 2.37' };
const ERROR: Partial<ObjectReport> = { state: 'error', error: { message: 'no space left' } };

describe.each(DIALECTS)('tasks for operators on %s', (dialect) => {
  let cloud: ComputeCloud;
  let user: TestUser;
  let admin: string;
  let hosts: string[];

  beforeEach(async () => {
    cloud = await ComputeCloud.open({ dialect, services: [() => adminService()] });
    user = await cloud.cloud.projectUser('demo');
    admin = await cloud.cloud.adminToken();
    hosts = [await cloud.hosts.add(cloud.cloud, 'host1')];
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    await cloud.close();
  });

  const create = async () =>
    (await cloud.create(user.token, { networks: 'none' }, V)).json.server.id as string;
  const ask = async (method: string, path: string, token = admin) =>
    await cloud.cloud.request(method, `/maru/v1/tasks${path}`, { token });
  const taskOf = async (serverId: string) => {
    const { tasks } = (await ask('GET', '?all=true')).json;
    return tasks.find((task: { object: string }) => task.object === `server/${serverId}`);
  };
  const show = async (id: string) =>
    (await cloud.cloud.request('GET', `/compute/v2.1/servers/${id}`, { token: admin })).json.server;
  const explain = async (id: string) =>
    (await cloud.cloud.request('GET', `/maru/v1/servers/${id}/explain`, { token: admin })).json.explanation;

  it('lists what is under way with what it waits for and until when, and what has ended', async () => {
    const id = await create();
    const { tasks } = (await ask('GET', '')).json;
    expect(tasks).toHaveLength(1);
    expect(tasks[0]).toMatchObject({
      kind: 'server.build',
      object: `server/${id}`,
      project_id: user.projectId,
      step: 'spawn',
      state: 'active',
      waiting_for: 'host1 to start the guest',
      owner: null,
      error: null,
      finished_at: null,
    });
    expect(tasks[0].request_id).toMatch(/^req-/);
    const left = (Date.parse(tasks[0].deadline) - Date.now()) / 1000;
    expect(left).toBeGreaterThan(200);
    expect(left).toBeLessThan(301);
    expect(tasks[0].next_run_at).toBe(tasks[0].deadline);
    const shown = (await ask('GET', `/${tasks[0].id}`)).json.task;
    expect(shown.steps).toEqual([
      { name: 'place', undo: true, taken: true },
      { name: 'spawn', undo: false, taken: false },
      { name: 'retract', undo: false, taken: false },
    ]);
    expect((await explain(id)).task).toMatchObject({
      id: tasks[0].id,
      waiting_for: 'host1 to start the guest',
    });
    await cloud.applied(id);
    expect((await ask('GET', '')).json.tasks).toEqual([]);
    expect(await taskOf(id)).toMatchObject({ state: 'done', deadline: null, next_run_at: null });
  });

  it('is for administrators only', async () => {
    await create();
    expect((await ask('GET', '', user.token)).status).toBe(403);
    expect((await ask('POST', '/x/cancel', user.token)).status).toBe(403);
    expect((await ask('GET', '/x')).status).toBe(404);
    expect((await ask('POST', '/x/retry')).status).toBe(404);
    expect((await ask('GET', '?all=perhaps')).status).toBe(400);
  });

  it('cancelling a build leaves an ERROR, no guest, no capacity; retrying it builds it again after the receipt', async () => {
    const id = await create();
    const task = await taskOf(id);
    const cancelled = await ask('POST', `/${task.id}/cancel`);
    expect(cancelled.json.task).toMatchObject({ state: 'cancelled', error: 'cancelled by an operator' });
    const server = await show(id);
    expect(server).toMatchObject({ status: 'ERROR', 'OS-EXT-STS:task_state': null });
    expect(server.fault.message).toBe('The build was cancelled by an operator.');
    expect(await cloud.row(id)).toMatchObject({ host_id: null });
    expect((await ask('POST', `/${task.id}/cancel`)).status).toBe(409);

    expect((await ask('POST', `/${task.id}/retry`)).status).toBe(200);
    await cloud.cloud.app.tasks.drain();
    expect(await show(id)).toMatchObject({ status: 'BUILD', 'OS-EXT-STS:task_state': 'scheduling' });
    expect(await taskOf(id)).toMatchObject({
      state: 'active',
      step: 'place',
      waiting_for: expect.stringMatching(/^host1 to confirm/),
    });
    await cloud.gone(hosts[0]!, id);
    expect(await cloud.row(id)).toMatchObject({ host_id: hosts[0], run_epoch: 2 });
    await cloud.applied(id);
    expect(await show(id)).toMatchObject({ status: 'ACTIVE' });
    expect((await ask('POST', `/${task.id}/retry`)).status).toBe(409);
  });

  it('a failed build can be retried once its host was mended', async () => {
    const id = await create();
    await cloud.applied(id, 'nostate', ERROR);
    expect(await taskOf(id)).toMatchObject({ state: 'active', error: 'no space left' });
    await cloud.overdue();
    expect((await show(id)).status).toBe('ERROR');
    const task = await taskOf(id);
    expect(task).toMatchObject({ state: 'failed', error: 'no space left' });
    await ask('POST', `/${task.id}/retry`);
    expect((await show(id)).status).toBe('BUILD');
    await cloud.applied(id);
    await cloud.cloud.app.tasks.drain();
    expect((await show(id)).status).toBe('ACTIVE');
    expect(await taskOf(id)).toMatchObject({ id: task.id, state: 'done' });
  });

  it('cancelling a change of power takes the wish back; only the latest task can be retried', async () => {
    const id = await create();
    await cloud.applied(id);
    const act = (body: object) =>
      cloud.cloud.request('POST', `/compute/v2.1/servers/${id}/action`, { token: user.token, body });
    await act({ 'os-stop': null });
    const stop = (await ask('GET', '')).json.tasks[0];
    expect(stop).toMatchObject({ kind: 'server.power', step: 'await' });
    await ask('POST', `/${stop.id}/cancel`);
    expect(await cloud.row(id)).toMatchObject({ power: 'running', task_state: null, status: 'ACTIVE' });
    expect((await act({ reboot: { type: 'SOFT' } })).status).toBe(202);
    await cloud.applied(id);
    const refused = await ask('POST', `/${stop.id}/retry`);
    expect(refused.status).toBe(409);
    expect(refused.json.error.message).toContain('server.reboot');
  });

  it('a deletion cannot be cancelled, and says so', async () => {
    const id = await create();
    await cloud.cloud.request('DELETE', `/compute/v2.1/servers/${id}`, { token: user.token });
    const { tasks } = (await ask('GET', '')).json;
    expect(tasks[0]).toMatchObject({ kind: 'server.delete', waiting_for: 'host1 to destroy it' });
    const refused = await ask('POST', `/${tasks[0].id}/cancel`);
    expect(refused.status).toBe(409);
    expect(refused.json.error.message).toContain('cannot be kept');
  });

  it('maru task prints them', async () => {
    const id = await create();
    const task = await taskOf(id);
    vi.spyOn(Client.prototype, 'request').mockImplementation(async (method, path) => {
      const reply = await cloud.cloud.request(method, path, { token: admin });
      return reply.json;
    });
    const printed: string[] = [];
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
      printed.push(String(text));
      return true;
    });
    vi.stubEnv('OS_AUTH_URL', 'http://127.0.0.1:1');
    vi.stubEnv('OS_USERNAME', 'admin');
    vi.stubEnv('OS_PASSWORD', 'x');
    vi.stubEnv('OS_PROJECT_NAME', 'admin');
    const run = async (...args: string[]) => {
      printed.length = 0;
      await createProgram().parseAsync(['node', 'maru', ...args]);
      return printed.join('');
    };
    expect(await run('task', 'list')).toMatch(
      new RegExp(
        `${task.id}\\s+server\\.build\\s+server/${id}\\s+spawn\\s+active .* in [345] min\\s+host1 to start`,
      ),
    );
    const shown = await run('task', 'show', task.id);
    expect(shown).toMatch(/waits for:\s+host1 to start the guest/);
    expect(shown).toMatch(/✓ place \(has an undo\)/);
    expect(await run('server', 'explain', id)).toMatch(/task:\s+server\.build, step spawn, active since/);
    expect(await run('task', 'cancel', task.id)).toMatch(/state:\s+cancelled/);
    expect(await run('task', 'list', '--all', '--json')).toContain('"state": "cancelled"');
    vi.unstubAllEnvs();
  });
});
