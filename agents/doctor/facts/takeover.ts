import { type ChangeRecord, PENDING } from '../../bridge/paths.js';
import type { TakeoverFacts } from '../facts.js';
import type { Look } from '../look.js';

/** A change of an uplink that is neither confirmed nor reverted; null: there is none. */
export async function readTakeover(look: Look): Promise<TakeoverFacts | null> {
  if (!(await look.exists(PENDING))) return null;
  const text = await look.file(`${PENDING}/change.json`);
  try {
    const { bridge, uplink, kind, startedTime } = JSON.parse(text ?? '') as ChangeRecord;
    return { bridge, uplink, kind, since: startedTime };
  } catch {
    // begun, and ended before it was written down
    return { bridge: 'a bridge', uplink: 'its uplink', kind: 'takeover', since: null };
  }
}
