import type { Known } from './agent.js';
import type { ComputePart } from './compute/part.js';
import type { NetworkContext } from './network/config.js';
import { objectOf } from './network/model.js';
import type { TraceSources } from './network/trace/answer.js';

/** What a trace may look at: the network, the agent's own knowledge, and guests. */
export function traceSources(
  context: NetworkContext,
  { compute }: { readonly compute: ComputePart },
  { spec, latest }: Known,
): TraceSources {
  return {
    context,
    held: (key) => spec[key]?.revision ?? null,
    network: (id) => objectOf(spec, 'network', id) ?? null,
    latest: (key) => latest.get(key),
    guest: async (serverId) => (await compute.observeServer?.(spec, `server/${serverId}`)) ?? null,
  };
}
