import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { imageService } from '../../src/api/image/service.js';
import { uploadsUnderWay } from '../../src/core/image/under-way.js';
import { writeLimits } from '../../src/store/quota.js';
import { TestApp, type TestUser } from '../support/app.js';

const MIB = 1024 ** 2;

/** Over a socket: what was refused may still be on its way. */
describe('an upload that is refused before all of it was sent', () => {
  let cloud: TestApp;
  let alice: TestUser;
  let port: number;
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });

  beforeAll(async () => {
    cloud = await TestApp.open({
      services: [(app) => imageService(app.config)],
      config: { max_image_size_gb: 1 / 512 },
    });
    alice = await cloud.projectUser('alice');
    await cloud.fastify.listen({ port: 0, host: '127.0.0.1' });
    port = (cloud.fastify.server.address() as AddressInfo).port;
  });
  afterAll(async () => {
    agent.destroy();
    await cloud?.close();
  });

  const ask = (method: string, path: string) =>
    request({
      agent,
      method,
      port,
      host: '127.0.0.1',
      path,
      headers: { 'x-auth-token': alice.token, 'content-type': 'application/octet-stream' },
    });

  it.each([
    ['larger than an image may be', -1, /exceeds the limit/],
    ['more than the quota leaves', 1, /quota exceeded/],
  ])('%s: the client gets its answer, and its next one over the same connection', async (_, mib, why) => {
    const { projectId, token } = alice;
    await cloud.app.store.tx((tx) => writeLimits(tx, projectId, 'image', { image_size_total: mib }));
    const body = { name: 'large', disk_format: 'raw', container_format: 'bare' };
    const { json: image } = await cloud.request('POST', '/image/v2/images', { token, body });
    const upload = ask('PUT', `/image/v2/images/${image.id}/file`);
    const sockets = new Set<Socket>();
    upload.on('socket', (socket) => sockets.add(socket));
    upload.write(Buffer.alloc(3 * MIB, 7));
    const [answer] = (await once(upload, 'response')) as [IncomingMessage];
    expect([answer.statusCode, await text(answer)]).toEqual([413, expect.stringMatching(why)]);
    for (let n = 0; n < 8; n++) upload.write(Buffer.alloc(MIB, 7));
    upload.end();
    await once(upload, 'close');

    const next = ask('GET', `/image/v2/images/${image.id}`);
    next.on('socket', (socket) => sockets.add(socket));
    next.end();
    const [shown] = (await once(next, 'response')) as [IncomingMessage];
    expect(JSON.parse(await text(shown))).toMatchObject({ id: image.id, status: 'queued' });
    expect(sockets.size).toBe(1);
    expect(uploadsUnderWay(projectId)).toBe(0);
  });
});
