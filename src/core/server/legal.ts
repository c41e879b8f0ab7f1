import type { ServerRow } from '../../store/compute/server.js';
import type { Context } from '../context.js';
import { conflict } from '../errors.js';
import type { VmState } from './status.js';

/** What can be asked of a server once it exists. */
export type ServerActionName =
  | 'start'
  | 'stop'
  | 'soft-reboot'
  | 'hard-reboot'
  | 'console'
  | 'lock'
  | 'delete'
  | 'metadata'
  | 'security-group';

interface Legal {
  /** How Nova names the action in messages. */
  readonly word: string;
  /** States in which it is legal; 'any' but deleted. */
  readonly states: readonly VmState[] | 'any';
  /** Tasks during which it is legal besides none at all. */
  readonly during: readonly string[] | 'any';
  /** A lock keeps everybody but administrators from it. */
  readonly heedsLock: boolean;
}

/** Which actions are legal in which state: the one table behind every 409. */
export const LEGAL = {
  start: { word: 'start', states: ['stopped'], during: [], heedsLock: true },
  stop: { word: 'stop', states: ['active', 'error'], during: [], heedsLock: true },
  'soft-reboot': { word: 'reboot', states: ['active'], during: [], heedsLock: true },
  'hard-reboot': {
    word: 'reboot',
    states: ['active', 'stopped', 'paused', 'suspended', 'error'],
    during: ['rebooting', 'rebooting_hard'],
    heedsLock: true,
  },
  console: { word: 'get_console_output', states: 'any', during: 'any', heedsLock: false },
  lock: { word: 'lock', states: 'any', during: 'any', heedsLock: false },
  delete: { word: 'delete', states: 'any', during: 'any', heedsLock: true },
  metadata: {
    word: 'update metadata',
    states: ['active', 'paused', 'suspended', 'stopped'],
    during: 'any',
    heedsLock: true,
  },
  'security-group': { word: 'addSecurityGroup', states: 'any', during: 'any', heedsLock: false },
} satisfies Record<ServerActionName, Legal>;

/** Throws a 409 in Nova's words when the action is not legal in the server's present state. */
export function checkLegal(ctx: Context, server: ServerRow, action: ServerActionName): void {
  const legal: Legal = LEGAL[action];
  if (legal.heedsLock && server.locked && !ctx.isAdmin) throw conflict(`Instance ${server.id} is locked`);
  const name = `Cannot '${legal.word}' instance ${server.id} while it is in`;
  if (legal.states !== 'any' && !legal.states.includes(server.vm_state as VmState)) {
    throw conflict(`${name} vm_state ${server.vm_state}`);
  }
  if (legal.during !== 'any' && server.task_state !== null && !legal.during.includes(server.task_state)) {
    throw conflict(`${name} task_state ${server.task_state}`);
  }
}
