import { insertHost } from '../../src/store/hosts.js';
import { nowText, type Store } from '../../src/store/store.js';

/** Hosts of these ids, in the database only, each with its id for a name. All in one transaction. */
export async function addHosts(store: Store, ...ids: string[]): Promise<void> {
  await store.tx(async (tx) => {
    for (const id of ids) {
      await insertHost(tx, {
        id,
        name: id,
        agent_url: 'https://x:1',
        underlay_ip: '192.0.2.1',
        enabled: 1,
        simulated: 0,
        sequence: 0,
        created_at: nowText(),
      });
    }
  });
}
