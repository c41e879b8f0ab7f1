import { afterAll, beforeAll, expect, it } from 'vitest';
import { adminService } from '../../src/api/admin/service.js';
import type { CollectedLog } from '../../src/core/log/collect.js';
import { deregisterController, registerController } from '../../src/store/controllers.js';
import { TestApp } from '../support/app.js';
import { RowHosts } from '../support/fake-hosts.js';

const REQUEST = 'req-8e3b4bd0-2b2f-4a5c-8f0a-3d9c5a1e6f11';
const HOUR_MS = 3_600_000;
const SERVER = '2f0a4bd0-2b2f-4a5c-8f0a-3d9c5a1e6f11';

let cloud: TestApp;
let token: string;

beforeAll(async () => {
  cloud = await TestApp.open({
    services: [() => adminService()],
    parts: {
      hosts: new RowHosts().gateway,
      ownLog: { find: async () => ({ lines: [], truncated: false, source: 'a file' }) } as never,
    },
  });
  token = (await cloud.admin()).token;
  const { store, config } = cloud.app;
  const register = async (name: string, address: string, leaseMs = HOUR_MS) =>
    await store.tx((tx) => registerController(tx, { id: `id-${name}-${leaseMs}`, name, address }, leaseMs));
  await register(config.name, '127.0.0.1:5000');
  await register('c2', '192.0.2.7:5000');
  await register('c3', ':5001');
  // killed: its lease has run out
  await register('c4', '192.0.2.9:5000', -1);
});
afterAll(() => cloud?.close());

const missing = async (query: string): Promise<Record<string, string>> => {
  const reply = await cloud.request('GET', `/maru/v1/logs?${query}`, { token });
  const log = reply.json as CollectedLog;
  return Object.fromEntries(log.missing.map(({ program, name, reason }) => [`${program} ${name}`, reason]));
};

it('the controllers that were not asked are named, each with what to run', async () => {
  expect(await missing(`request_id=${REQUEST}`)).toEqual({
    'controller c2': `not asked: each controller keeps its own log; OS_AUTH_URL=http://192.0.2.7:5000/identity/v3 maru logs --request ${REQUEST}, or on its machine: journalctl -u maru-controller --grep '${REQUEST}'`,
    'controller c3': `not asked: each controller keeps its own log; OS_AUTH_URL=http://ITS_ADDRESS:5001/identity/v3 maru logs --request ${REQUEST}, or on its machine: journalctl -u maru-controller --grep '${REQUEST}'`,
    'controller c4': expect.stringMatching(
      `^not asked: each controller keeps its own log, and it has not been heard of for \\d+ min; on its machine: journalctl -u maru-controller --grep '${REQUEST}'$`,
    ),
  });
  expect((await missing(`object_id=${SERVER}`))['controller c2']).toContain(
    `maru logs --server ${SERVER}, or`,
  );
});

it('one that ended by itself, or came back under its name, is not named twice', async () => {
  const { store } = cloud.app;
  await store.tx((tx) => deregisterController(tx, `id-c3-${HOUR_MS}`));
  await store.tx((tx) =>
    registerController(tx, { id: 'new', name: 'c4', address: '192.0.2.9:5000' }, HOUR_MS),
  );
  const named = await missing(`request_id=${REQUEST}`);
  expect(Object.keys(named)).toEqual(['controller c2', 'controller c4']);
  expect(named['controller c4']).toContain('OS_AUTH_URL=http://192.0.2.9:5000');
});
