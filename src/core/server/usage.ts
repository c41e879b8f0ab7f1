import { countGroups } from '../../store/compute/group.js';
import { countKeypairs } from '../../store/compute/keypair.js';
import { countServerUse } from '../../store/compute/server.js';
import type { Reader } from '../../store/store.js';

/** What a project uses of the compute service's limits; key pairs are counted per user. */
export async function computeUsage(
  db: Reader,
  projectId: string,
  userId: string | null,
): Promise<{ instances: number; cores: number; ram: number; server_groups: number; key_pairs: number }> {
  return {
    ...(await countServerUse(db, projectId)),
    server_groups: await countGroups(db, projectId),
    key_pairs: userId === null ? 0 : await countKeypairs(db, userId),
  };
}
