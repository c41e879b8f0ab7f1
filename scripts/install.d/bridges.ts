import { STATE_DIRECTORY } from '../../agents/bridge/paths.js';
import { type Action, ensureGone, machine } from './actions.js';

/**
 * What is kept of bridges that have a host's addresses: their configuration as it was before. It goes only when it is of no use any
 * more; a bridge itself is never removed here, since this machine may be reached over it.
 */
export async function bridgeState(purge: boolean): Promise<Action[]> {
  const found = (await machine.stat(STATE_DIRECTORY)) ? await machine.listDirectory(STATE_DIRECTORY) : [];
  const bridges = found
    .filter((name) => name.startsWith('bridge-'))
    .map((name) => name.slice('bridge-'.length));
  const inUse = bridges.length > 0 || found.includes('pending');
  if (!inUse) return purge ? await ensureGone(STATE_DIRECTORY) : [];
  const text = `this machine's addresses stay on ${bridges.join(', ') || 'a bridge on trial'}, and what was before in ${STATE_DIRECTORY}: to give them back to the network card, install again and say maru bridge release`;
  return [{ do: 'warn', text }];
}
