import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SimulatedCloud } from '../support/hosts/processes.js';

/** Real processes that kill themselves with SIGKILL at points of tasks that every life of a server passes. */
const POINTS = [
  'server.build/place:before',
  'server.build/place:between',
  'server.build/spawn:after#2',
  'server.reboot/ask:between',
  'server.delete/bury:after',
  'server.delete/await:between#2',
  'image.upload/receive:between',
  'image.delete/unlink:between',
];

describe('a controller that kills itself in a task', () => {
  const directory = mkdtempSync(join(tmpdir(), 'maru-fault-tasks-'));
  let cloud: SimulatedCloud;
  let flavorRef = '';
  let imageRef = '';

  beforeAll(async () => {
    // brings dist up to date
    await execa('scripts/maru', ['--version']);
    cloud = await SimulatedCloud.start(directory, ['host1']);
    imageRef = await upload('base');
    const { flavors } = await cloud.call<{ flavors: { id: string; name: string }[] }>(
      'GET',
      '/compute/v2.1/flavors',
    );
    flavorRef = flavors.find(({ name }) => name === 'm1.tiny')!.id;
  }, 300_000);
  afterAll(async () => {
    await cloud?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  /** Calls until there is an answer: the controller may die under a call, and is started again then. */
  const surviving = async (method: string, path: string, body?: unknown): Promise<Response> => {
    for (;;) {
      cloud.restartIfDead('controller');
      const reply = await cloud.tryOnce(method, path, body);
      if (reply) return reply;
    }
  };
  /** Until the image has its data; a client that got no answer looks, and sends it again. */
  const upload = async (name: string): Promise<string> => {
    for (;;) {
      const { images } = (await (await surviving('GET', `/image/v2/images?name=${name}`)).json()) as {
        images: { id: string; status: string }[];
      };
      const [image] = images;
      if (image?.status === 'active') return image.id;
      if (!image) {
        await surviving('POST', '/image/v2/images', { name, disk_format: 'raw', container_format: 'bare' });
      } else if (image.status === 'queued') {
        await surviving('PUT', `/image/v2/images/${image.id}/file`, new Uint8Array(100_000).fill(7));
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  const status = async (id: string): Promise<string> => {
    const reply = await surviving('GET', `/compute/v2.1/servers/${id}`);
    if (!reply.ok) return String(reply.status);
    const { server } = (await reply.json()) as {
      server: { status: string; 'OS-EXT-STS:task_state': string | null };
    };
    return server['OS-EXT-STS:task_state']
      ? `${server.status} ${server['OS-EXT-STS:task_state']}`
      : server.status;
  };
  const becomes = async (id: string, wanted: string) =>
    await expect.poll(() => status(id), { timeout: 120_000, interval: 50 }).toBe(wanted);
  const create = async (name: string): Promise<string> => {
    const find = async () =>
      (
        (await (await surviving('GET', `/compute/v2.1/servers?name=${name}`)).json()) as {
          servers: { id: string }[];
        }
      ).servers[0]?.id;
    for (;;) {
      const found = await find();
      if (found) return found;
      const reply = await surviving('POST', '/compute/v2.1/servers', {
        server: { name, imageRef, flavorRef },
      });
      if (!reply.ok && reply.status < 500) throw new Error(`${reply.status} ${await reply.text()}`);
    }
  };
  const act = async (id: string, body: object, wanted: string) => {
    // a client that got no answer asks again
    for (const end = Date.now() + 120_000; ; ) {
      await surviving('POST', `/compute/v2.1/servers/${id}/action`, body);
      await expect.poll(() => status(id), { timeout: 120_000, interval: 50 }).not.toContain(' ');
      if ((await status(id)) === wanted) return;
      if (Date.now() > end) throw new Error(`${id} does not become ${wanted}`);
    }
  };

  it.each(POINTS)(
    'converges after SIGKILL at %s',
    async (point) => {
      await cloud.kill('controller');
      cloud.run('controller', { MARU_KILL_AT: point });
      const before = cloud.restarts;
      const name = `s${POINTS.indexOf(point)}`;
      const id = await create(name);
      await becomes(id, 'ACTIVE');
      await act(id, { reboot: { type: 'HARD' } }, 'ACTIVE');
      await surviving('DELETE', `/compute/v2.1/servers/${id}`);
      await becomes(id, '404');
      const image = await upload(`image-${name}`);
      await surviving('DELETE', `/image/v2/images/${image}`);
      await expect
        .poll(async () => (await tasks()).map(({ kind, step }) => `${kind}/${step}`), {
          timeout: 120_000,
          interval: 100,
        })
        .toEqual([]);
      expect(cloud.imageFiles()).toEqual([expect.stringMatching(new RegExp(`^${imageRef}\\.`))]);
      cloud.restartIfDead('controller');
      expect(cloud.restarts).toBe(before + 1);
    },
    600_000,
  );

  const tasks = async () =>
    ((await (await surviving('GET', '/maru/v1/tasks')).json()) as { tasks: { kind: string; step: string }[] })
      .tasks;

  it('leaves a host with no guest and nothing to do', async () => {
    // its next heartbeat says so
    await expect
      .poll(() => cloud.call<{ hosts: object[] }>('GET', '/maru/v1/hosts'), {
        timeout: 60_000,
        interval: 100,
      })
      .toMatchObject({ hosts: [{ name: 'host1', guests: 0, faults: 0 }] });
    await expect.poll(() => cloud.stepsOf('host1'), { timeout: 60_000, interval: 100 }).toEqual([]);
  }, 180_000);
});
