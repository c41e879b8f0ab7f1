import type { AnyHostKind } from '../desired/kind.js';
import { specDigest } from '../protocol/keys.js';
import type { Heartbeat, HostSettings } from '../protocol/messages.js';
import type { HostRow } from '../store/hosts.js';
import { readIncarnation } from '../store/incarnation.js';
import type { Store } from '../store/store.js';
import { computeSpec } from './spec.js';

export interface Confirmation {
  readonly store: Store;
  readonly kinds: readonly AnyHostKind[];
  readonly drift: () => HostSettings['drift'];
}

/**
 * Whether a host that was booted holds exactly what it should have now, worked out from the database at this moment: then its guests
 * may start. Otherwise a push with what it should have is on its way, which says so too.
 */
export async function isConfirmed(
  { store, kinds, drift }: Confirmation,
  host: HostRow,
  beat: Pick<Heartbeat, 'incarnation' | 'digest'>,
): Promise<boolean> {
  if (beat.incarnation !== (await readIncarnation(store.read))) return false;
  const { spec, failed } = await computeSpec(store, kinds, host.id);
  if (failed.size > 0) return false;
  return specDigest(spec, { observe_only: host.observe_only === 1, drift: drift() }) === beat.digest;
}
