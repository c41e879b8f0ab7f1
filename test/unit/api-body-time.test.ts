import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import type { FastifyRequest } from 'fastify';
import { afterEach, expect, it, vi } from 'vitest';
import { readBody } from '../../src/api/shared/body.js';

afterEach(() => vi.useRealTimers());

function asked(stream: boolean) {
  const payload = new PassThrough();
  const request = { raw: payload, routeOptions: { config: { operation: { stream } } } };
  const body = readBody(request as unknown as FastifyRequest, payload as unknown as IncomingMessage);
  return { payload, body };
}

it('waits a minute for a body that drips, and ends the connection', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const { payload, body } = asked(false);
  const refused = expect(body).rejects.toMatchObject({ status: 408 });
  payload.write('{');
  await vi.advanceTimersByTimeAsync(60_000);
  await refused;
  await vi.advanceTimersByTimeAsync(1000);
  expect(payload.destroyed).toBe(true);
});

it('leaves whole bodies and streams alone', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const whole = asked(false);
  whole.payload.end('{"a":1}');
  expect(await whole.body).toEqual({ a: 1 });
  const streamed = asked(true);
  expect(await streamed.body).toBe(streamed.payload);
  expect(vi.getTimerCount()).toBe(0);
});
