import type { Config } from '../../config.js';
import type { HostFacts } from '../../protocol/messages.js';
import {
  type Inventory,
  numberHost,
  readInventories,
  writeInventories,
} from '../../store/compute/placement.js';
import type { Tx } from '../../store/store.js';
import { capacityOf } from './claim.js';

/** What a host offers, from its facts and the configured ratios. */
export function inventoriesOf(config: Config, hostId: string, facts: HostFacts): Inventory[] {
  const row = (resource_class: string, total: number, most: number, allocation_ratio: number) => {
    const reserved = Math.min(most, total);
    return {
      host_id: hostId,
      resource_class,
      total,
      reserved,
      allocation_ratio,
      min_unit: 1,
      max_unit: total,
      step_size: 1,
      capacity: capacityOf({ total, reserved, allocation_ratio }),
    };
  };
  return [
    row('DISK_GB', Math.floor(facts.disk_gb), 0, 1),
    row('MEMORY_MB', facts.memory_mb, config.reserved_host_memory_mb, config.ram_allocation_ratio),
    row('VCPU', facts.vcpus, 0, config.cpu_allocation_ratio),
  ];
}

/**
 * Brings a host's inventories up to its facts; writes nothing when they are. To be called whenever a host tells its facts,
 * in the transaction that stores them.
 */
export async function onHostFacts(tx: Tx, config: Config, hostId: string, facts: HostFacts): Promise<void> {
  const wanted = inventoriesOf(config, hostId, facts);
  const present = await readInventories(tx, hostId);
  const same =
    present.length === wanted.length &&
    wanted.every((row, i) =>
      Object.entries(row).every(([key, value]) => present[i]?.[key as keyof Inventory] === value),
    );
  if (same) return;
  await numberHost(tx, hostId);
  await writeInventories(tx, hostId, wanted);
}
