import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { Cloud } from '../../scripts/lab/cloud.js';
import { runTempest, type TempestResult } from '../../scripts/lab/tempest.js';
import { Lab } from '../support/lab.js';

/** A selection of OpenStack's own integration tests against the lab's cloud; each is a test of its own here. */
const ids = readFileSync('test/conformance/smoke.txt', 'utf8')
  .split('\n')
  .map((line) => line.replace(/#.*/, '').trim())
  .filter(Boolean);

let results: ReadonlyMap<string, TempestResult>;

beforeAll(async () => {
  const lab = await Lab.open();
  const { clouds } = parse(readFileSync(lab.facts.clouds_file, 'utf8')) as {
    clouds: { maru: { auth: { password: string } } };
  };
  const adminPassword = clouds.maru.auth.password;
  const admin = new Cloud(lab.facts.endpoint, {
    username: 'admin',
    password: adminPassword,
    project: 'admin',
  });
  await admin.authenticate();
  const ended = await runTempest(admin, {
    directory: `/var/lib/${lab.facts.lab}/tempest`,
    adminPassword,
    imageName: 'tiny',
    ids,
    timeoutMs: 1_200_000,
  });
  results = new Map(ended.map((result) => [result.id, result]));
}, 2_400_000);

describe('Tempest', () => {
  it.each(ids)('%s', (id) => {
    const result = results.get(id);
    expect(result?.state, result?.said).toBe('passed');
  });
});
