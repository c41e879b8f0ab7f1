import type { TakeoverFacts } from '../facts.js';
import type { Look } from '../look.js';

/** Where a takeover of an uplink keeps what it has begun; see agents/bridge/README.md. */
const DIRECTORY = '/var/lib/maru-bridge';

/** A takeover of the uplink that is neither confirmed nor reverted; null: there is none. */
export async function readTakeover(look: Look): Promise<TakeoverFacts | null> {
  const text = await look.file(`${DIRECTORY}/pending/change.json`);
  if (text === null) return null;
  const parsed = (() => {
    try {
      return JSON.parse(text) as Record<string, unknown>;
    } catch {
      return {};
    }
  })();
  const bridge = typeof parsed.bridge === 'string' ? parsed.bridge : 'br-ex';
  return { bridge, state: 'pending', detail: text.trim().slice(0, 200) };
}
