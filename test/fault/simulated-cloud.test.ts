import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SimulatedCloud } from '../support/hosts/processes.js';
import { type ServerRequest, serverRequest } from '../support/hosts/server-request.js';

/**
 * Processes are killed at odd moments while servers come and go. A simulated host forgets its whole machine with its process:
 * that is a host that was lost and came back empty, which is more than a restarted agent has to cope with.
 */
describe('kill -9 of controller and agents', () => {
  const directory = mkdtempSync(join(tmpdir(), 'maru-fault-'));
  let cloud: SimulatedCloud;
  let server: ServerRequest;

  beforeAll(async () => {
    // brings dist up to date
    await execa('scripts/maru', ['--version']);
    cloud = await SimulatedCloud.start(directory, ['host1', 'host2']);
    server = await serverRequest(cloud);
  }, 300_000);
  afterAll(async () => {
    await cloud?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const state = async (id: string): Promise<string> => {
    const response = await cloud.request('GET', `/compute/v2.1/servers/${id}`);
    if (!response.ok) return String(response.status);
    return ((await response.json()) as { server: { status: string } }).server.status;
  };
  const becomes = async (id: string, wanted: string) => {
    const deadline = Date.now() + 120_000;
    let seen = '';
    while (Date.now() < deadline) {
      seen = await state(id);
      if (seen === wanted) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const logs = ['controller', 'host1', 'host2'].map((name) => `${name}: ${cloud.log(name).slice(-1500)}`);
    throw new Error(`server ${id} is ${seen}, not ${wanted}\n${logs.join('\n')}`);
  };
  const crash = async (names: readonly string[], afterMs: number) => {
    await new Promise((resolve) => setTimeout(resolve, afterMs));
    await Promise.all(names.map((name) => cloud.kill(name)));
    for (const name of names) cloud.run(name);
  };

  const HOSTS = ['host1', 'host2'];
  const MOMENTS: [victims: readonly string[], afterMs: number][] = [
    [['controller'], 0],
    [HOSTS, 60],
    [['controller', ...HOSTS], 150],
  ];
  it.each(MOMENTS)(
    '%j killed after %i ms: a server comes up and goes away all the same',
    async (victims, afterMs) => {
      const made = await cloud.call<{ server: { id: string } }>('POST', '/compute/v2.1/servers', { server });
      const { id } = made.server;
      await crash(victims, afterMs);
      await becomes(id, 'ACTIVE');
      await cloud.call('DELETE', `/compute/v2.1/servers/${id}`);
      await crash(victims, afterMs);
      await becomes(id, '404');
    },
    600_000,
  );

  it('leaves hosts that match their specs, and nothing that is in error', async () => {
    await expect
      .poll(() => cloud.call<{ hosts: object[] }>('GET', '/maru/v1/hosts'), {
        timeout: 90_000,
        interval: 500,
      })
      .toMatchObject({
        hosts: HOSTS.map((name) => ({ name, state: 'up', guests: 0, faults: 0, simulated: true })),
      });
    for (const name of HOSTS) {
      await expect.poll(() => cloud.stepsOf(name), { timeout: 90_000, interval: 500 }).toEqual([]);
    }
  }, 300_000);
});
