import { countServerUse } from '../../store/compute/server.js';
import type { Tx } from '../../store/store.js';
import type { App } from '../app.js';
import { overQuota } from '../errors.js';
import { COMPUTE_QUOTAS } from '../quota/compute.js';
import { effectiveLimits } from '../quota/quota.js';

/** What each server of a request takes of its project's quota. */
export interface ServerSize {
  readonly vcpus: number;
  readonly ram: number;
}

/**
 * How many servers of this size the project may make now, at most `max`; 403 in Nova's words when not even `min`. Holds the
 * project's lock until the transaction ends, so that what was counted stays true.
 */
export async function claimServerQuota(
  tx: Tx,
  app: App,
  projectId: string,
  size: ServerSize,
  min: number,
  max: number,
): Promise<number> {
  await app.store.lockFamily(tx, projectId, 'compute');
  const limits = await effectiveLimits(tx, projectId, 'compute', COMPUTE_QUOTAS);
  const used = await countServerUse(tx, projectId);
  const headroom = (limit: number, inUse: number, each: number) =>
    limit < 0 || each === 0 ? max : Math.floor(Math.max(limit - inUse, 0) / each);
  const allowed = Math.min(
    max,
    headroom(limits.instances, used.instances, 1),
    headroom(limits.cores, used.cores, size.vcpus),
    headroom(limits.ram, used.ram, size.ram),
  );
  if (allowed >= min) return allowed;
  const wanted = { instances: min, cores: min * size.vcpus, ram: min * size.ram };
  const overs = (['cores', 'instances', 'ram'] as const).filter(
    (name) => limits[name] >= 0 && used[name] + wanted[name] > limits[name],
  );
  const list = (values: Readonly<Record<'cores' | 'instances' | 'ram', number>>) =>
    overs.map((name) => values[name]).join(', ');
  throw overQuota(
    `Quota exceeded for ${overs.join(', ')}: Requested ${list(wanted)}, but already used ${list(used)} of ${list(limits)} ${overs.join(', ')}`,
    { status: 403 },
  );
}
