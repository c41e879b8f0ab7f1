import { expect, it } from 'vitest';
import { allServices } from '../../src/api/services.js';
import { TestApp } from '../support/app.js';

it('a path that is no UTF-8 is refused in the words of its service, with a request id', async () => {
  const compute = (app: TestApp['app']) => allServices(app).find(({ name }) => name === 'compute')!;
  const cloud = await TestApp.open({ services: [compute] });
  try {
    for (const [path, key] of [
      ['/identity/v3/users/%ff', 'error'],
      ['/compute/v2.1/servers/%ff', 'badRequest'],
      ['/%ff', 'error'],
    ] as const) {
      const reply = await cloud.request('GET', path, { headers: { accept: 'application/json' } });
      expect(reply.status, path).toBe(400);
      expect(reply.headers['x-openstack-request-id'], path).toMatch(/^req-[0-9a-f-]{36}$/);
      expect(reply.json[key].code, reply.text).toBe(400);
    }
  } finally {
    await cloud.close();
  }
});
