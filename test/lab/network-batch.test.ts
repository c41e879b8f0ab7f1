import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runBatch } from '../../agents/network/batch.js';
import { Failures } from '../../agents/network/model.js';
import { NetworkLab } from './network-lab.js';
import { id } from './network-spec.js';

describe('a batch of changes', () => {
  let lab: NetworkLab;
  beforeAll(async () => {
    lab = await NetworkLab.up();
  });
  afterAll(() => lab?.down());

  const run = async (...lines: string[]) => {
    const failures = new Failures();
    const object = `network/${id(1)}` as const;
    const failed = await runBatch(
      lab.host,
      'ip',
      lines.map((line) => ({ line, object })),
      failures,
    );
    return { failed: [...failed], error: failures.get(object) };
  };

  it('takes a device that went meanwhile for taken away, and goes on', async () => {
    const { failed, error } = await run('link del dev gone0', 'link add name made0 type bridge');
    expect(failed).toEqual([]);
    expect(error).toBeUndefined();
    expect(await lab.host.machine.succeeds('ip', ['link', 'show', 'made0'])).toBe(true);
  });

  it('tells each line that failed, with the object it is for, and does the others', async () => {
    const { failed, error } = await run(
      'link set dev none0 up',
      'link del dev gone0',
      'link del dev lo',
      'link add name made1 type bridge',
    );
    expect(failed).toEqual([0, 2]);
    expect(error).toMatchObject({ command: 'ip link set dev none0 up', exit_code: 1 });
    expect(await lab.host.machine.succeeds('ip', ['link', 'show', 'made1'])).toBe(true);
  });
});
