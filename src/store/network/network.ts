import { oneOf } from '../one-of.js';
import type { Reader, Tx } from '../store.js';
import type { NetworkTables } from '../tables/network.js';

type Network = NetworkTables['network'];
type Subnet = NetworkTables['subnet'];

export async function subnetsOfNetworks(db: Reader, networkIds: readonly string[]): Promise<Subnet[]> {
  if (networkIds.length === 0) return [];
  return await db
    .selectFrom('subnet')
    .selectAll()
    .where(oneOf(db, 'network_id', networkIds))
    .orderBy('created_at')
    .orderBy('id')
    .execute();
}

/** VNIs in use, for when drawing lots has failed. */
export async function usedVnis(db: Reader): Promise<Set<number>> {
  const rows = await db
    .selectFrom('network')
    .select('segmentation_id')
    .where('network_type', '=', 'vxlan')
    .execute();
  return new Set(rows.map((row) => row.segmentation_id ?? 0));
}

/** Networks on a physical network of hosts: flat and VLAN ones. */
export async function providerNetworks(db: Reader): Promise<Network[]> {
  return await db
    .selectFrom('network')
    .selectAll()
    .where('physical_network', 'is not', null)
    .orderBy('created_at')
    .orderBy('id')
    .execute();
}

/** Networks that a project's servers may be plugged into without naming one: its own, and shared ones it may use. */
export async function networksOfProject(db: Reader, projectId: string): Promise<Network[]> {
  return await db
    .selectFrom('network')
    .selectAll()
    .where('project_id', '=', projectId)
    .where('external', '=', 0)
    .orderBy('created_at')
    .orderBy('id')
    .execute();
}

/** Shared networks of other projects. */
export async function sharedNetworks(db: Reader, projectId: string): Promise<Network[]> {
  return await db
    .selectFrom('network')
    .selectAll()
    .where('project_id', '!=', projectId)
    .where('shared', '=', 1)
    .where('external', '=', 0)
    .orderBy('created_at')
    .orderBy('id')
    .execute();
}

/** Makes every other external network not the default one. */
export async function clearDefaultNetwork(tx: Tx, exceptId: string): Promise<void> {
  await tx.updateTable('network').set({ is_default: 0 }).where('id', '!=', exceptId).execute();
}

export async function hostIdByName(db: Reader, name: string): Promise<string | null> {
  const row = await db.selectFrom('host').select('id').where('name', '=', name).executeTakeFirst();
  return row?.id ?? null;
}

export async function hostName(db: Reader, hostId: string): Promise<string | null> {
  const row = await db.selectFrom('host').select('name').where('id', '=', hostId).executeTakeFirst();
  return row?.name ?? null;
}
