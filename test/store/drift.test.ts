import { expect, it } from 'vitest';
import type { DriftEvent } from '../../src/protocol/messages.js';
import { listDrift, standingDrift, storeDrift } from '../../src/store/drift.js';
import { forEachStore } from '../support/stores.js';

const at = (second: number) => new Date(Date.UTC(2030, 0, 1, 0, 0, second)).toISOString();

function event(object: DriftEvent['object'], seen: number, healed: number | null = null): DriftEvent {
  return {
    object,
    action: 'ip link add',
    detail: 'bridge was missing',
    first_seen: at(seen),
    state: healed === null ? 'reported' : 'healed',
    healed_at: healed === null ? null : at(healed),
  };
}

forEachStore('drift', (openStore) => {
  it('keeps what stands, and what was healed', async () => {
    const store = await openStore();
    const say = (host: string, ...events: DriftEvent[]) => store.tx((tx) => storeDrift(tx, host, events));
    const listed = async (host: string | null) =>
      (await listDrift(store.read, host, 100)).map(
        ({ host_id, object, state }) => `${host_id} ${object} ${state}`,
      );

    await say('h1', event('network/a', 1), event('port/b', 2));
    await say('h2', event('router/c', 3));
    expect(await listed('h1')).toEqual(['h1 port/b reported', 'h1 network/a reported']);
    expect(await standingDrift(store.read)).toEqual(
      new Map([
        ['h1', 2],
        ['h2', 1],
      ]),
    );

    // one was healed, the other put right by somebody
    await say('h1', event('network/a', 1, 5));
    expect(await listed('h1')).toEqual(['h1 network/a healed']);
    // it is told until it is acknowledged, and remembered afterwards
    await say('h1', event('network/a', 1, 5));
    await say('h1');
    expect(await listed(null)).toEqual(['h2 router/c reported', 'h1 network/a healed']);
    expect(await standingDrift(store.read)).toEqual(new Map([['h2', 1]]));
  });

  it('remembers a bounded number of what was healed', async () => {
    const store = await openStore();
    for (let n = 0; n < 620; n += 31) {
      const events = Array.from({ length: 31 }, (_, i) => event(`port/${n + i}`, 1, n + i));
      await store.tx((tx) => storeDrift(tx, 'h1', events));
    }
    const left = await listDrift(store.read, 'h1', 10_000);
    expect(left).toHaveLength(500);
    expect(left.at(-1)?.object).toBe('port/120');
    expect(left[0]?.object).toBe('port/619');
  });
});
