import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Moment } from '../support/hosts/fate.js';
import { FaultCloud } from '../support/hosts/fault-cloud.js';
import { FaultScene } from '../support/hosts/fault-scene.js';
import { expectSound, unsettled } from '../support/hosts/invariants.js';
import { workflowsOf } from '../support/hosts/workflows.js';

/**
 * The agent is killed at every change that it makes, before it and after it, in every workflow that reaches hosts; the next agent on that
 * machine has to bring it about, once.
 */
describe('an agent killed at each of its changes', () => {
  let cloud: FaultCloud;
  let scene: FaultScene;
  let starts = 0;

  beforeAll(async () => {
    cloud = await FaultCloud.start({ hosts: ['host1'] });
    scene = await FaultScene.open(cloud);
    cloud.machines.get('host1')?.listeners.add((line) => {
      if (line.includes('Started Booted')) starts++;
    });
  });
  afterAll(() => cloud?.close());

  /** True when the agent lived to the end: then there are fewer changes than that. */
  const survives = async (
    change: number,
    moment: Moment,
    half: () => Promise<void>,
    expectedStarts: number,
  ) => {
    const before = starts;
    const fate = cloud.killAgentAt('host1', change, moment);
    await half();
    await cloud.waitFor('death, or an end', async () => (fate.dead ? [] : await unsettled(cloud)));
    const what = fate.dead ? `killed ${fate.last}` : `not killed, ${fate.changes.length} changes`;
    if (fate.dead) {
      await cloud.stopAgent('host1');
      await cloud.startAgent('host1');
    }
    cloud.killAgentAt('host1', Number.POSITIVE_INFINITY, moment);
    await expectSound(cloud, what);
    expect(starts - before, what).toBe(expectedStarts);
    return !fate.dead;
  };

  it.each(
    workflowsOf(
      () => scene,
      () => cloud,
    ),
  )(
    '$name',
    async ({ prepare, halves, starts: expected }) => {
      // an earlier test that failed may have left it dead
      if (cloud.agents.get('host1')?.fate.dead) await cloud.stopAgent('host1');
      if (!cloud.agents.has('host1')) await cloud.startAgent('host1');
      await prepare?.();
      if (prepare) await expectSound(cloud, 'prepared');
      let kills = 0;
      for (const moment of ['before', 'after'] as const) {
        for (let change = 1, alive = false; !alive; change++) {
          alive = true;
          for (const [n, half] of halves.entries()) {
            if (await survives(change, moment, half, expected[n] ?? 0)) continue;
            alive = false;
            kills++;
          }
        }
      }
      expect(kills).toBeGreaterThan(0);
      expect(await scene.tenant.lost()).toEqual([]);
    },
    900_000,
  );
});
