import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Moment } from '../support/hosts/fate.js';
import { FaultCloud } from '../support/hosts/fault-cloud.js';
import { FaultScene } from '../support/hosts/fault-scene.js';
import { expectSound, unsettled } from '../support/hosts/invariants.js';
import { workflowsOf } from '../support/hosts/workflows.js';
import { DIALECTS } from '../support/stores.js';

/**
 * The controller is killed at every transaction of every workflow, before it begins and after it was committed, those that take
 * reports of hosts included. Its client asks again when it hears no answer; each thing is made once, and nothing that was
 * acknowledged is lost.
 */
describe.each(DIALECTS)('a controller on %s killed at each of its transactions', (dialect) => {
  let cloud: FaultCloud;
  let scene: FaultScene;
  let starts = 0;
  // all that a controller does is the same on both: fewer deaths on PostgreSQL, which is slower
  const stride = dialect === 'sqlite' ? 1 : 4;

  beforeAll(async () => {
    cloud = await FaultCloud.start({ hosts: ['host1', 'host2'], dialect });
    scene = await FaultScene.open(cloud);
    for (const machine of cloud.machines.values()) {
      machine.listeners.add((line) => {
        if (line.includes('Started Booted')) starts++;
      });
    }
  });
  afterAll(() => cloud?.close());

  /** True when the controller lived to the end: then there are fewer transactions than that. */
  const survives = async (
    transaction: number,
    moment: Moment,
    half: () => Promise<void>,
    expectedStarts: number,
  ) => {
    const before = starts;
    const { operations } = scene.tenant;
    operations.splice(0);
    const fate = cloud.killControllerAt(transaction, moment);
    const done = half();
    const settledOrDead = async () => {
      await Promise.race([done, fate.death]);
      await cloud.waitFor('death, or an end', async () => (fate.dead ? [] : await unsettled(cloud)));
    };
    await Promise.race([settledOrDead(), fate.death]);
    const what = `${fate.dead ? 'killed' : 'not killed'} ${moment} transaction ${transaction}`;
    if (fate.dead) await cloud.replaceController();
    else fate.disarm();
    await done;
    await expectSound(cloud, what);
    // a reboot that was asked for, unheard, and asked for again is two
    const unheard = operations.some((operation) => operation.endsWith('no answer'));
    const most = expectedStarts > 0 && unheard ? 2 : expectedStarts;
    expect(starts - before, what).toBeGreaterThanOrEqual(expectedStarts);
    expect(starts - before, what).toBeLessThanOrEqual(most);
    return !fate.dead;
  };

  it.each(
    workflowsOf(
      () => scene,
      () => cloud,
    ).filter((_, n) => dialect === 'sqlite' || n === 0),
  )(
    '$name',
    async ({ prepare, halves, starts: expected }) => {
      await prepare?.();
      if (prepare) await expectSound(cloud, 'prepared');
      let kills = 0;
      for (const moment of ['before', 'after'] as const) {
        for (let transaction = 1, alive = false; !alive; transaction += stride) {
          alive = true;
          for (const [n, half] of halves.entries()) {
            if (await survives(transaction, moment, half, expected[n] ?? 0)) continue;
            alive = false;
            kills++;
          }
        }
      }
      expect(kills).toBeGreaterThan(0);
      expect(await scene.tenant.lost()).toEqual([]);
    },
    1_200_000,
  );
});
