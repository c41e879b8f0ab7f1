import { mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FaultCloud, type FaultReply } from '../support/hosts/fault-cloud.js';
import { FaultScene } from '../support/hosts/fault-scene.js';
import { expectSound } from '../support/hosts/invariants.js';
import { SimulatedCloud } from '../support/hosts/processes.js';

/** The controller's state directory on a file system of its own that is too small: needs root. */
describe.skipIf(process.getuid?.() !== 0)('a controller whose disk is full', () => {
  const directory = mkdtempSync(join(tmpdir(), 'maru-full-'));
  let cloud: SimulatedCloud;

  beforeAll(async () => {
    // brings dist up to date
    await execa('scripts/maru', ['--version']);
    cloud = await SimulatedCloud.start(directory, ['host1'], 16);
  }, 300_000);
  afterAll(async () => {
    await cloud?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const filler = () => cloud.inside('controller', join(directory, 'controller', 'filler'));
  const fill = () => {
    const { bavail, bsize } = statfsSync(cloud.inside('controller', join(directory, 'controller')));
    try {
      writeFileSync(filler(), Buffer.alloc(Number(bavail) * Number(bsize)));
    } catch (error) {
      // the controller has taken some of it meanwhile: it is full all the same
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    }
  };

  it('refuses what it cannot store in each service’s words, answers what it can, and goes on when there is room', async () => {
    const { network } = await cloud.call<{ network: { id: string } }>('POST', '/network/v2.0/networks', {
      network: { name: 'before' },
    });
    fill();
    const refusals: [path: string, body: object, words: object][] = [
      [
        '/network/v2.0/networks',
        { network: { name: 'full' } },
        { NeutronError: { message: expect.any(String) } },
      ],
      [
        '/compute/v2.1/os-keypairs',
        { keypair: { name: 'full', public_key: KEY } },
        { serviceUnavailable: { code: 503 } },
      ],
      ['/identity/v3/projects', { project: { name: 'full' } }, { error: { code: 503 } }],
    ];
    for (const [path, body, words] of refusals) {
      // what the log still had room for may be taken; then no more
      const replies: Response[] = [];
      await expect
        .poll(
          async () => {
            const reply = await cloud.request('POST', path, numbered(body, replies.length));
            replies.push(reply);
            return reply.status;
          },
          { timeout: 90_000, interval: 5 },
        )
        .toBe(503);
      const text = await replies.at(-1)?.text();
      expect(text).toContain('no room left');
      expect(JSON.parse(text ?? '')).toMatchObject(words);
    }
    // nothing is there but what was acknowledged
    const refused = await cloud.request('POST', '/network/v2.0/networks', { network: { name: 'refused' } });
    expect(refused.status).toBe(503);
    const { networks } = await cloud.call<{ networks: { id: string; name: string }[] }>(
      'GET',
      '/network/v2.0/networks',
    );
    expect(networks.map(({ id }) => id)).toContain(network.id);
    expect(networks.map(({ name }) => name)).not.toContain('refused');
    const image = await cloud.call<{ hosts: { state: string }[] }>('GET', '/maru/v1/hosts');
    expect(image.hosts).toMatchObject([{ state: 'up' }]);

    rmSync(filler());
    await expect
      .poll(
        async () =>
          (await cloud.request('POST', '/network/v2.0/networks', { network: { name: 'after' } })).status,
        { timeout: 60_000 },
      )
      .toBe(201);
  }, 300_000);

  it('refuses an image that does not fit, keeps nothing of it, and takes it when there is room', async () => {
    const { id } = await cloud.call<{ id: string }>('POST', '/image/v2/images', {
      name: 'large',
      disk_format: 'raw',
      container_format: 'bare',
    });
    const bytes = new Uint8Array(6 * 1024 * 1024).fill(7);
    const { bavail, bsize } = statfsSync(cloud.inside('controller', join(directory, 'controller')));
    const room = Number(bavail) * Number(bsize) - 2 * 1024 * 1024;
    writeFileSync(filler(), Buffer.alloc(room));
    const reply = await cloud.request('PUT', `/image/v2/images/${id}/file`, bytes);
    expect([413, 503, 507]).toContain(reply.status);
    expect((await cloud.call<{ status: string }>('GET', `/image/v2/images/${id}`)).status).toBe('queued');
    rmSync(filler());
    await cloud.call('PUT', `/image/v2/images/${id}/file`, bytes);
    expect((await cloud.call<{ status: string }>('GET', `/image/v2/images/${id}`)).status).toBe('active');
  }, 300_000);
});

/** Machines in memory whose disk refuses some of what their agent writes. */
describe('a host whose disk is full', () => {
  let cloud: FaultCloud;
  let scene: FaultScene;

  beforeAll(async () => {
    cloud = await FaultCloud.start({ hosts: ['host1'] });
    scene = await FaultScene.open(cloud);
  });
  afterAll(() => cloud?.close());

  it.each([
    ['the spec', /writeFile .*spec\.json/],
    ['the image', /writeStream .*\/images\//],
    ['the overlay', /run qemu-img create/],
    ['the definition', /writeFile .*domain\.xml/],
    ['the record of the guest', /writeFile .*agent\.json/],
    ['anything at all', /./],
  ])(
    'no room for %s: the server waits and comes up when there is room',
    async (_, changes) => {
      const refused = cloud.fillDisk('host1', changes);
      // a new image each time: the cached one would need no room
      const image = await scene.uploadImage();
      const id = await scene.server({ imageRef: image });
      await cloud.waitFor('refused', async () => (refused.length > 0 ? [] : ['nothing was refused yet']));
      cloud.freeDisk('host1');
      await expectSound(cloud, 'room again');
      const reply: FaultReply<{ server: { status: string } }> = await cloud.request(
        'GET',
        `/compute/v2.1/servers/${id}`,
      );
      expect(reply.body.server.status).toBe('ACTIVE');
      await scene.tenant.delete('server', id);
      await expectSound(cloud, 'deleted');
      expect(await scene.tenant.lost()).toEqual([]);
    },
    600_000,
  );

  it('no room while a server is deleted: it goes all the same, or when there is room', async () => {
    const id = await scene.server();
    await expectSound(cloud, 'created');
    cloud.fillDisk('host1', /writeFile|makeDirectory/);
    await scene.tenant.delete('server', id);
    await new Promise((resolve) => setTimeout(resolve, 300));
    cloud.freeDisk('host1');
    await expectSound(cloud, 'room again');
    expect(await scene.tenant.lost()).toEqual([]);
  }, 300_000);
});

const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBZuIZbp0rIZ1bP3YgBLmQxO0c0b8n5gFJH2p5u2cV1k test';

/** Names must differ: what was taken before the disk was full is there. */
function numbered(body: object, n: number): object {
  return JSON.parse(JSON.stringify(body).replace('"full"', `"full-${n}"`));
}
