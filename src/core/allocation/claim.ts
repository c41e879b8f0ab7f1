import {
  deleteAllocations,
  insertAllocations,
  lockCapacity,
  readInventories,
} from '../../store/compute/placement.js';
import { nowText, type Tx } from '../../store/store.js';

/** Amounts by resource class. */
export type Resources = Readonly<Record<string, number>>;

/** Who takes capacity. */
export interface Consumer {
  readonly id: string;
  readonly project_id: string;
  readonly user_id: string;
}

/** Capacity that an inventory offers altogether. */
export function capacityOf(inventory: {
  readonly total: number;
  readonly reserved: number;
  readonly allocation_ratio: number;
}): number {
  return Math.floor((inventory.total - inventory.reserved) * inventory.allocation_ratio);
}

/**
 * Takes resources of a host for a consumer, all or nothing; false when they are not all there. The only function that
 * allocates: it locks the host's capacity before it counts what is used.
 */
export async function claimResources(
  tx: Tx,
  hostId: string,
  consumer: Consumer,
  resources: Resources,
): Promise<boolean> {
  if (!(await lockCapacity(tx, hostId))) return false;
  const inventories = new Map((await readInventories(tx, hostId)).map((row) => [row.resource_class, row]));
  const wanted = Object.entries(resources).filter(([, amount]) => amount > 0);
  for (const [resourceClass, amount] of wanted) {
    const inventory = inventories.get(resourceClass);
    if (!inventory || amount > inventory.max_unit) return false;
    if (inventory.used + amount > inventory.capacity) return false;
  }
  const created_at = nowText();
  await insertAllocations(
    tx,
    wanted.map(([resource_class, amount]) => ({
      host_id: hostId,
      consumer_id: consumer.id,
      resource_class,
      used: amount,
      project_id: consumer.project_id,
      user_id: consumer.user_id,
      created_at,
    })),
  );
  return true;
}

/** Gives back what a consumer holds, on one host or everywhere. */
export async function releaseResources(tx: Tx, consumerId: string, hostId?: string): Promise<void> {
  await deleteAllocations(tx, consumerId, hostId);
}
