import { expect, it } from 'vitest';
import { checkQuota, DEFAULT_CLASS, effectiveLimits } from '../../src/core/quota/quota.js';
import { deleteLimits, projectsWithLimits, writeLimits } from '../../src/store/quota.js';
import { forEachStore, untilAvailable } from '../support/stores.js';

forEachStore('quota', (openStore) => {
  it('takes the project’s own limit, then the default class’s, then the built-in one', async () => {
    const store = await openStore();
    const limits = () => effectiveLimits(store.read, 'p1', 'compute', { instances: 10, cores: 20 });
    expect(await limits()).toEqual({ instances: 10, cores: 20 });
    await store.tx((tx) => writeLimits(tx, DEFAULT_CLASS, 'compute', { cores: 30 }));
    expect(await limits()).toEqual({ instances: 10, cores: 30 });
    await store.tx((tx) => writeLimits(tx, 'p1', 'compute', { cores: -1, instances: 3 }));
    expect(await limits()).toEqual({ instances: 3, cores: -1 });
    expect(await projectsWithLimits(store.read, 'compute')).toEqual([DEFAULT_CLASS, 'p1']);
    await store.tx((tx) => deleteLimits(tx, 'p1', 'compute'));
    expect(await limits()).toEqual({ instances: 10, cores: 30 });
  });

  it('lets exactly as many parallel claims through as the limit has room for', async () => {
    const store = await openStore();
    const claim = (i: number) =>
      store.tx(async (tx) => {
        await checkQuota(tx, store, {
          projectId: 'p1',
          service: 'compute',
          resource: 'instances',
          fallback: 10,
          adding: 1,
          used: async () =>
            (await tx.selectFrom('quota').select('resource').where('service', '=', 'claims').execute())
              .length,
        });
        await tx
          .insertInto('quota')
          .values({ project_id: 'p1', service: 'claims', resource: `r${i}`, hard_limit: 0 })
          .execute();
      });
    const results = await Promise.allSettled(
      Array.from({ length: 50 }, (_, i) => untilAvailable(() => claim(i))),
    );
    expect(results.filter((r) => r.status === 'fulfilled')).toHaveLength(10);
    const refusal = results.find((r) => r.status === 'rejected');
    expect(refusal?.reason.code).toBe('over-quota');
  });
});
