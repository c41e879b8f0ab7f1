/*
 * Where a change keeps what it needs, below STATE_DIRECTORY (0700, root):
 *   pending/   the change under way: revert.sh, commit.sh, watchdog.sh, id, boot-id, change.json, originals/, permanent/
 *   last/      the same of the change that was reverted last, with `result` and `log`
 *   bridge-<bridge>/  the same of the confirmed takeover, for its release
 *   lock       held by whichever script is at work
 */

export const STATE_DIRECTORY = '/var/lib/maru-bridge';
export const PENDING = `${STATE_DIRECTORY}/pending`;
/** Process id of the command of a change that runs now. */
export const STEP = `${PENDING}/step`;
export const LAST = `${STATE_DIRECTORY}/last`;
export const LOCK = `${STATE_DIRECTORY}/lock`;

/** Where a confirmed takeover of a bridge is kept. */
export function confirmedDirectory(bridge: string): string {
  return `${STATE_DIRECTORY}/bridge-${bridge}`;
}

/** What a change needs written down besides the snapshot: what its scripts have inside is said here for people and programs. */
export interface ChangeRecord {
  readonly id: string;
  readonly kind: 'takeover' | 'release';
  readonly bridge: string;
  readonly uplink: string;
  readonly manager: string;
  readonly bootId: string;
  /** The process that makes the change, and when it was started (clock ticks, of /proc/PID/stat). */
  readonly pid: number;
  readonly pidStarted: string;
  /** Seconds of /proc/uptime. */
  readonly startedAt: number;
  readonly deadline: number;
  readonly startedTime: string;
}
