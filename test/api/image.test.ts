import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { imageService } from '../../src/api/image/service.js';
import type { Context } from '../../src/core/context.js';
import { uploadsUnderWay } from '../../src/core/image/under-way.js';
import { uploadImage } from '../../src/core/image/upload.js';
import { registerTasks } from '../../src/core/tasks.js';
import { findImage, moveImageStatus } from '../../src/store/image.js';
import { writeLimits } from '../../src/store/quota.js';
import type { Task } from '../../src/tasks/kind.js';
import { Tasks } from '../../src/tasks/tasks.js';
import { TestApp } from '../support/app.js';
import { DIALECTS } from '../support/stores.js';

const OCTETS = { 'content-type': 'application/octet-stream' };
const PATCH = { 'content-type': 'application/openstack-images-v2.1-json-patch' };

describe.each(DIALECTS)('image API on %s', (dialect) => {
  let cloud: TestApp;
  let alice: string;
  let bob: string;
  let admin: string;
  const directory = mkdtempSync(join(tmpdir(), 'maru-image-test-'));

  beforeAll(async () => {
    cloud = await TestApp.open({ dialect, services: [(app) => imageService(app.config)] });
    alice = await cloud.projectToken('alice');
    bob = await cloud.projectToken('bob');
    admin = await cloud.adminToken();
  });
  afterAll(async () => {
    await cloud.close();
    rmSync(directory, { recursive: true });
  });

  async function create(token: string, body: Record<string, unknown> = {}) {
    const reply = await cloud.request('POST', '/image/v2/images', {
      token,
      body: { name: 'tiny', disk_format: 'raw', container_format: 'bare', ...body },
    });
    expect(reply.status).toBe(201);
    return reply.json;
  }

  async function download(id: string): Promise<Buffer> {
    const url = `/image/v2/images/${id}/file`;
    return (await cloud.fastify.inject({ method: 'GET', url, headers: { 'x-auth-token': admin } }))
      .rawPayload;
  }

  function upload(token: string, id: string, bytes: Uint8Array) {
    return cloud.request('PUT', `/image/v2/images/${id}/file`, { token, body: bytes, headers: OCTETS });
  }

  function filesOf(id: string): string[] {
    return readdirSync(cloud.app.config.image_dir).filter((name) => name.startsWith(id));
  }

  function qcow2(name: string, ...options: string[]): Buffer {
    const file = join(directory, name);
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', ...options, file, '64M'], { cwd: directory });
    return readFileSync(file);
  }

  it('creates, uploads, verifies, downloads and deletes', async () => {
    const image = await create(alice, { foo: 'bar', tags: ['b', 'a'] });
    expect(image).toMatchObject({
      status: 'queued',
      visibility: 'shared',
      foo: 'bar',
      tags: ['a', 'b'],
      size: null,
      file: `/v2/images/${image.id}/file`,
      schema: '/v2/schemas/image',
    });
    expect((await cloud.request('GET', `/image/v2/images/${image.id}/file`, { token: alice })).status).toBe(
      204,
    );
    const bytes = randomBytes(300_000);
    expect((await upload(alice, image.id, bytes)).status).toBe(204);
    const shown = (await cloud.request('GET', `/image/v2/images/${image.id}`, { token: alice })).json;
    expect(shown).toMatchObject({
      status: 'active',
      size: bytes.length,
      virtual_size: bytes.length,
      checksum: createHash('md5').update(bytes).digest('hex'),
      os_hash_algo: 'sha512',
      os_hash_value: createHash('sha512').update(bytes).digest('hex'),
    });
    const download = await cloud.fastify.inject({
      method: 'GET',
      url: `/image/v2/images/${image.id}/file`,
      headers: { 'x-auth-token': alice },
    });
    expect(download.rawPayload.equals(bytes)).toBe(true);
    expect(download.headers['content-md5']).toBe(shown.checksum);
    const range = await cloud.fastify.inject({
      method: 'GET',
      url: `/image/v2/images/${image.id}/file`,
      headers: { 'x-auth-token': alice, range: 'bytes=10-19' },
    });
    expect(range.statusCode).toBe(206);
    expect(range.rawPayload.equals(bytes.subarray(10, 20))).toBe(true);

    expect((await upload(alice, image.id, bytes)).status).toBe(409);
    expect((await cloud.request('DELETE', `/image/v2/images/${image.id}`, { token: alice })).status).toBe(
      204,
    );
    expect((await cloud.request('DELETE', `/image/v2/images/${image.id}`, { token: alice })).status).toBe(
      404,
    );
    expect(filesOf(image.id)).toEqual([]);
  });

  it('refuses images that would open other files, and keeps nothing of them', async () => {
    qcow2('base.qcow2');
    for (const [bytes, format, reason] of [
      [qcow2('overlay.qcow2', '-b', 'base.qcow2', '-F', 'qcow2'), 'qcow2', 'backing file'],
      [qcow2('external.qcow2', '-o', 'data_file=data.raw'), 'qcow2', 'external data file'],
      [qcow2('as-raw.qcow2'), 'raw', 'disk_format is raw'],
    ] as const) {
      const image = await create(alice, { disk_format: format });
      const reply = await cloud.request('PUT', `/image/v2/images/${image.id}/file`, {
        token: alice,
        body: bytes,
        headers: { ...OCTETS, accept: 'application/json' },
      });
      expect(reply.status).toBe(400);
      expect(reply.json.message).toContain(reason);
      expect(filesOf(image.id)).toEqual([]);
      const shown = await cloud.request('GET', `/image/v2/images/${image.id}`, { token: alice });
      expect(shown.json).toMatchObject({ status: 'queued', size: null });
    }
  });

  it('refuses a virtual size above the limit', async () => {
    const image = await create(alice, { disk_format: 'qcow2' });
    const huge = qcow2('huge.qcow2');
    huge.writeBigUInt64BE(BigInt(4096) * BigInt(1024 ** 3), 24);
    expect((await upload(alice, image.id, huge)).status).toBe(400);
  });

  it("hides other projects' images, shows shared ones to members who accepted", async () => {
    const image = await create(alice);
    const path = `/image/v2/images/${image.id}`;
    for (const [method, url] of [
      ['GET', path],
      ['DELETE', path],
      ['GET', `${path}/file`],
      ['GET', `${path}/members`],
      ['PUT', `${path}/tags/x`],
    ] as const) {
      expect((await cloud.request(method, url, { token: bob })).status, `${method} ${url}`).toBe(404);
    }
    expect((await upload(bob, image.id, randomBytes(10))).status).toBe(404);

    const { projectId } = await cloud.projectUser('bob');
    const offered = await cloud.request('POST', `${path}/members`, {
      token: alice,
      body: { member: projectId },
    });
    expect(offered.json).toMatchObject({ status: 'pending', member_id: projectId });
    const again = await cloud.request('POST', `${path}/members`, {
      token: alice,
      body: { member: projectId },
    });
    expect(again.status).toBe(409);
    expect((await cloud.request('GET', path, { token: bob })).status).toBe(200);
    const ids = async () =>
      (await cloud.request('GET', '/image/v2/images', { token: bob })).json.images.map(
        (i: { id: string }) => i.id,
      );
    expect(await ids()).not.toContain(image.id);
    const byOwner = await cloud.request('PUT', `${path}/members/${projectId}`, {
      token: alice,
      body: { status: 'accepted' },
    });
    expect(byOwner.status).toBe(403);
    await cloud.request('PUT', `${path}/members/${projectId}`, { token: bob, body: { status: 'accepted' } });
    expect(await ids()).toContain(image.id);
    expect((await cloud.request('DELETE', path, { token: bob })).status).toBe(403);
  });

  it('lets only administrators publish', async () => {
    const body = { name: 'x', visibility: 'public' };
    expect((await cloud.request('POST', '/image/v2/images', { token: alice, body })).status).toBe(403);
    const image = await create(admin, { visibility: 'public' });
    expect((await cloud.request('GET', `/image/v2/images/${image.id}`, { token: bob })).status).toBe(200);
  });

  it('changes attributes and properties by patch, and refuses read-only ones', async () => {
    const image = await create(alice, { foo: 'bar' });
    const patch = (body: unknown, headers = PATCH) =>
      cloud.request('PATCH', `/image/v2/images/${image.id}`, { token: alice, body, headers });
    const changed = await patch([
      { op: 'replace', path: '/name', value: 'y' },
      { op: 'remove', path: '/foo' },
      { op: 'add', path: '/os_distro', value: 'debian' },
      { op: 'replace', path: '/protected', value: true },
    ]);
    expect(changed.json).toMatchObject({ name: 'y', os_distro: 'debian', protected: true });
    expect(changed.json.foo).toBeUndefined();
    expect((await patch([{ op: 'replace', path: '/status', value: 'active' }])).status).toBe(403);
    expect((await patch([{ op: 'replace', path: '/min_disk', value: -1 }])).status).toBe(400);
    expect((await patch([{ op: 'remove', path: '/nope' }])).status).toBe(409);
    expect((await patch([], { 'content-type': 'application/json' })).status).toBe(415);
    expect((await cloud.request('DELETE', `/image/v2/images/${image.id}`, { token: alice })).status).toBe(
      403,
    );
  });

  it('pages, sorts and filters', async () => {
    const carol = await cloud.projectToken('carol');
    for (const name of ['c', 'a', 'b', 'a2']) await create(carol, { name, tags: [name] });
    const seen: string[] = [];
    let next: string | undefined =
      '/v2/images?limit=2&sort=name:asc&visibility=shared&owner=' +
      (await cloud.projectUser('carol')).projectId;
    while (next) {
      const page: { images: { name: string }[]; next?: string } = (
        await cloud.request('GET', `/image${next}`, { token: carol })
      ).json;
      expect(page.images.length).toBeLessThanOrEqual(2);
      seen.push(...page.images.map((i: { name: string }) => i.name));
      next = page.next;
    }
    expect(seen).toEqual(['a', 'a2', 'b', 'c']);
    const tagged = await cloud.request('GET', '/image/v2/images?tag=b', { token: carol });
    expect(tagged.json.images).toHaveLength(1);
    expect((await cloud.request('GET', '/image/v2/images?sort_key=bad', { token: carol })).status).toBe(400);
    expect((await cloud.request('GET', '/image/v2/images?limit=x', { token: carol })).status).toBe(400);
    const marker = await cloud.request('GET', `/image/v2/images?marker=${crypto.randomUUID()}`, {
      token: carol,
    });
    expect(marker.status).toBe(400);
  });

  it('answers bad input in its own format and changes nothing', async () => {
    const before = (await cloud.request('GET', '/image/v2/images?limit=1000', { token: admin })).json.images
      .length;
    for (const body of [{ disk_format: 'bad' }, { min_ram: 'x' }, { name: 7 }, { tags: 'x' }, [], '{bad']) {
      const reply = await cloud.request('POST', '/image/v2/images', {
        token: alice,
        body,
        headers: { accept: 'application/json' },
      });
      expect(reply.status).toBe(400);
      expect(reply.json).toMatchObject({ code: '400 Bad Request', title: 'Bad Request' });
    }
    const html = await cloud.request('GET', '/image/v2/images/nope', {
      token: alice,
      headers: { accept: '*/*' },
    });
    expect(html.status).toBe(404);
    expect(html.headers['content-type']).toContain('text/html');
    expect((await cloud.request('PUT', '/image/v2/images', { token: alice })).status).toBe(405);
    expect((await cloud.request('GET', '/image/v2/images')).status).toBe(401);
    const after = (await cloud.request('GET', '/image/v2/images?limit=1000', { token: admin })).json.images
      .length;
    expect(after).toBe(before);
  });

  it('counts uploads under way against the quota of their project, and no longer than they last', async () => {
    const { app } = cloud;
    const carol = await cloud.projectUser('carol');
    const ctx = { isAdmin: true, projectId: carol.projectId, reaches: () => true } as unknown as Context;
    await app.store.tx((tx) => writeLimits(tx, carol.projectId, 'image', { image_size_total: 1 }));
    const bytes = Buffer.alloc(700 * 1024, 7);
    const first = (await create(carol.token)).id;
    const second = (await create(carol.token)).id;
    const slow = new PassThrough();
    const going = uploadImage(app, ctx, first, slow);
    slow.write(bytes);
    await expect.poll(() => uploadsUnderWay(carol.projectId)).toBe(bytes.length);
    const refused = await upload(carol.token, second, bytes);
    expect([refused.status, refused.text]).toEqual([413, expect.stringContaining('uploads under way')]);
    // a small one still fits beside it
    expect((await upload(carol.token, second, bytes.subarray(0, 1000))).status).toBe(204);
    slow.destroy();
    await expect(going).rejects.toThrow();
    expect(uploadsUnderWay(carol.projectId)).toBe(0);
    expect((await upload(carol.token, first, bytes)).status).toBe(204);
  });

  /** As time does when the process that works on it does not renew it. */
  const endLease = (imageId: string) =>
    cloud.app.store.tx((tx) =>
      tx
        .updateTable('task')
        .set({ lease_until: '2000-01-01T00:00:00.000Z' })
        .where('object_id', '=', imageId)
        .where('lease_until', 'is not', null)
        .execute(),
    );

  it('queues an image again whose upload the end of the process cut off', async () => {
    const image = await create(alice);
    const object = { kind: 'image', id: image.id };
    const task = await cloud.app.store.tx(async (tx) => {
      await moveImageStatus(tx, image.id, ['queued'], 'saving');
      const request = { kind: 'image.upload', object, projectId: null, requestId: null };
      return await cloud.app.tasks.begin(tx, request);
    });
    writeFileSync(join(cloud.app.config.image_dir, `${image.id}.${task.id}.part`), 'half of it');
    const shown = async () =>
      (await cloud.request('GET', `/image/v2/images/${image.id}`, { token: alice })).json;
    // while the process that receives it may be alive nobody touches it
    await cloud.app.tasks.drain();
    expect(await shown()).toMatchObject({ status: 'saving' });
    await endLease(image.id);
    await expect
      .poll(async () => {
        await cloud.app.tasks.drain();
        return (await shown()).status;
      })
      .toBe('queued');
    expect(filesOf(image.id)).toEqual([]);
    expect((await upload(alice, image.id, randomBytes(100))).status).toBe(204);
  });

  it('keeps the file of an image although the answer to its activation was lost', async () => {
    const { app } = cloud;
    const image = await create(alice);
    const bytes = randomBytes(1000);
    const commit = app.store.tx.bind(app.store);
    const tx = vi.spyOn(app.store, 'tx');
    tx.mockImplementationOnce(commit).mockImplementationOnce(async (body) => {
      await commit(body);
      throw new Error('Connection terminated unexpectedly');
    });
    const reply = await upload(alice, image.id, bytes);
    tx.mockRestore();
    expect(reply.status).toBe(204);
    const task = (await app.tasks.rows.latestOf(app.store.read, 'image', image.id))!;
    expect(task).toMatchObject({ state: 'done', error: null });
    await app.tasks.drain();
    expect((await download(image.id)).equals(bytes)).toBe(true);
    // not even an undo takes it away
    const { undoEffect } = app.tasks.kinds.find(({ name }) => name === 'image.upload')!.steps.receive!;
    await undoEffect!({ id: task.id, object: { kind: 'image', id: image.id } } as Task);
    expect(filesOf(image.id)).toHaveLength(1);
  });

  it('an upload that was undone while its process stood still does nothing to the next one, and leaves nothing', async () => {
    const { app } = cloud;
    const dave = await cloud.projectUser('dave');
    const { id } = await create(dave.token);
    const bytes = randomBytes(1000);
    let wake = () => {};
    const still = new Promise<void>((resolve) => {
      wake = resolve;
    });
    const renew = vi.spyOn(app.tasks.rows, 'renew').mockResolvedValue({ cancelled: false });
    const write = app.images.write.bind(app.images);
    const slow = vi.spyOn(app.images, 'write').mockImplementationOnce(async (...args) => {
      await still;
      return await write(...args);
    });
    const late = upload(dave.token, id, randomBytes(2000));
    await expect.poll(() => slow.mock.calls.length).toBe(1);
    await endLease(id);
    const other = { ...app, tasks: new Tasks({ store: app.store, log: app.log }) };
    registerTasks(other);
    await expect
      .poll(async () => {
        await other.tasks.drain();
        return (await findImage(app.store.read, id))!.status;
      })
      .toBe('queued');
    expect((await upload(dave.token, id, bytes)).status).toBe(204);
    wake();
    await late;
    renew.mockRestore();
    slow.mockRestore();
    await other.tasks.close();
    expect((await download(id)).equals(bytes)).toBe(true);
    expect(filesOf(id)).toEqual([(await findImage(app.store.read, id))!.file_name]);
    expect((await cloud.request('DELETE', `/image/v2/images/${id}`, { token: dave.token })).status).toBe(204);
    expect(filesOf(id)).toEqual([]);
  });

  it('lists versions and schemas', async () => {
    const versions = await cloud.request('GET', '/image/');
    expect(versions.status).toBe(300);
    expect(versions.json.versions[0]).toMatchObject({ status: 'CURRENT' });
    const schema = await cloud.request('GET', '/image/v2/schemas/image', { token: alice });
    expect(schema.json.name).toBe('image');
  });
});
