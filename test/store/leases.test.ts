import { afterAll, expect, it } from 'vitest';
import type { Delivery } from '../../src/hosts/delivery.js';
import type { Isolation } from '../../src/hosts/isolation.js';
import { LeaseKeeper } from '../../src/hosts/leases.js';
import type { SharedView } from '../../src/hosts/shared-view.js';
import { createLogger } from '../../src/protocol/log.js';
import { Store } from '../../src/store/store.js';
import { newDatabase } from '../support/stores.js';

const cleanups: (() => Promise<void> | void)[] = [];
afterAll(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

it('a controller that hears of hosts while it registers does so once', async () => {
  const store = await Store.open(await newDatabase('postgres', cleanups));
  cleanups.push(() => store.close());
  const tx = store.tx.bind(store);
  let registering = false;
  let second = false;
  store.tx = async (...args: Parameters<typeof tx>) => {
    if (registering) {
      second = true;
    } else {
      registering = true;
      // as long as a slow database takes
      await new Promise((resolve) => setTimeout(resolve, 5));
      store.events.emit('hosts');
      await new Promise((resolve) => setTimeout(resolve, 50));
      registering = false;
    }
    return (await tx(...args)) as never;
  };
  const leases = new LeaseKeeper({
    store,
    log: createLogger('error'),
    delivery: { disown: async () => {} } as unknown as Delivery,
    shared: { exchange: async () => {} } as unknown as SharedView,
    isolation: { look: async () => false } as unknown as Isolation,
    name: 'c1',
    address: '127.0.0.1',
  });
  await leases.start();
  expect(second).toBe(false);
  const rows = await store.read.selectFrom('controller').select('id').execute();
  expect(rows).toEqual([{ id: leases.controllerId }]);
  await leases.close();
});
