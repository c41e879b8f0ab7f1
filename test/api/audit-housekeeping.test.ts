import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { loadConfig } from '../../src/config.js';
import { type Controller, startController } from '../../src/controller.js';
import { lowestAuditId } from '../../src/core/audit/id.js';
import { emptyRow } from '../../src/core/audit/record.js';
import { createLogger } from '../../src/protocol/log.js';
import { listAudits, putAudits } from '../../src/store/audit.js';
import { Store } from '../../src/store/store.js';

const DAY_MS = 86_400_000;
const MOST = 1_000;

let directory: string;
let controller: Controller | undefined;
let store: Store | undefined;
const complaints: string[] = [];

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'maru-housekeeping-'));
  const file = join(directory, 'maru.yaml');
  const database = `sqlite:${directory}/maru.db`;
  const section = {
    state_dir: directory,
    database,
    listen: '127.0.0.1:0',
    agent_listen: '127.0.0.1:0',
    // every second
    housekeeping_schedule: '* * * * * *',
    audit_retention: 1,
    audit_entries: MOST,
  };
  writeFileSync(file, stringify({ controller: section }));
  controller = await startController(
    loadConfig(file),
    createLogger('warn', {}, (line) => void complaints.push(line)),
  );
  store = await Store.open(database);
});
afterAll(async () => {
  await store?.close();
  await controller?.close();
  rmSync(directory, { recursive: true, force: true });
});

it('a controller forgets by itself who did what, when it is too old or too much', async () => {
  const row = (user: string, time: number) => ({
    ...emptyRow(),
    id: lowestAuditId(time),
    service: 'compute',
    action: 'planted',
    outcome: 'succeeded',
    user_id: user,
  });
  const now = Date.now();
  const old = Array.from({ length: 30 }, (_, n) => row('old', now - 2 * DAY_MS + n));
  const careful = Array.from({ length: 5 }, (_, n) => row('careful', now - DAY_MS / 2 + n));
  const busy = Array.from({ length: MOST + 200 }, (_, n) => row('busy', now - 10_000 + n));
  await store!.tx((tx) => putAudits(tx, [...old, ...careful, ...busy]));
  const kept = async (user: string) =>
    (await listAudits(store!.read, { user }, 2 * MOST)).map(({ id }) => id);
  // a run that was under way looks at what is too old before, and at what is too much after these were stored
  await expect
    .poll(async () => [(await kept('busy')).length < MOST, await kept('old')], { timeout: 40_000 })
    .toEqual([true, []]);
  expect(await kept('careful')).toHaveLength(5);
  // the newest stay
  const left = await kept('busy');
  expect(left).toEqual(
    busy
      .map(({ id }) => id)
      .sort()
      .reverse()
      .slice(0, left.length),
  );
  expect((await listAudits(store!.read, {}, 2 * MOST)).length).toBeLessThanOrEqual(MOST);
  expect(complaints.filter((line) => line.includes('periodic job failed'))).toEqual([]);
});
