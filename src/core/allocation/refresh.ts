import type { HostFacts } from '../../protocol/messages.js';
import { computeHosts } from '../../store/compute/hosts.js';
import type { App } from '../app.js';
import { onHostFacts } from './inventory.js';

/** Brings every host's inventories up to the configured ratios and reserves, which may have changed. */
export async function refreshInventories(app: App): Promise<void> {
  for (const { id } of await computeHosts(app.store.read)) {
    // one host at a time: creates of servers need not wait for all of them
    await app.store.tx(async (tx) => {
      const [host] = await computeHosts(tx, [id]);
      if (host?.facts) await onHostFacts(tx, app.config, id, JSON.parse(host.facts) as HostFacts);
    });
  }
}
