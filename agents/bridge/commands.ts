import { RealHost } from '../host/real.js';
import { disarm } from './arm.js';
import { makeChange, type Outcome } from './change.js';
import { describeChange } from './dry-run.js';
import { BridgeRefusal } from './manager.js';
import { LAST, PENDING, STATE_DIRECTORY } from './paths.js';
import {
  commit,
  lastRevert,
  type PendingChange,
  type Reverted,
  readPending,
  readRecord,
  revert,
} from './pending.js';
import { type ChangeRequest, prepare } from './prepare.js';

/** The state of bridges that this program made or is making. */
export interface BridgeStatus {
  readonly pending: PendingChange | null;
  /** Bridges whose takeover was confirmed, with their uplinks. */
  readonly confirmed: readonly { readonly bridge: string; readonly uplink: string; readonly since: string }[];
  /** The last change that was undone, with what is not as before it; null when there was none since the last boot. */
  readonly last: (Reverted & { readonly bridge: string; readonly at: string }) | null;
}

/** Makes the change, or says what it would be. Rejects with BridgeRefusal. */
export async function runChange(
  request: ChangeRequest,
  options: { readonly dryRun: boolean; readonly say: (line: string) => void; readonly signal: AbortSignal },
): Promise<Outcome | { readonly state: 'planned'; readonly text: string }> {
  const host = new RealHost();
  const prepared = await prepare(host, request);
  for (const warning of prepared.warnings) options.say(`warning: ${warning}`);
  if (options.dryRun) return { state: 'planned', text: describeChange(prepared) };
  return await makeChange(host, request, prepared, options.say, options.signal);
}

/** Confirms the change on trial. */
export async function confirmChange(): Promise<{ readonly bridge: string; readonly uplink: string }> {
  const host = new RealHost();
  const { record } = await pendingOrRefusal(host, 'confirm');
  if (!(await commit(host, record)))
    throw new BridgeRefusal('the change had been undone already', 'maru bridge status says why');
  await disarm(host, record);
  return record;
}

/** Undoes the change on trial. */
export async function revertChange(): Promise<Reverted> {
  const host = new RealHost();
  const { record } = await pendingOrRefusal(host, 'revert');
  const reverted = await revert(host, record.id, 'asked');
  await disarm(host, record);
  return reverted;
}

export async function bridgeStatus(): Promise<BridgeStatus> {
  const host = new RealHost();
  const names = (await host.listDirectory(STATE_DIRECTORY)).filter((name) => name.startsWith('bridge-'));
  const records = await Promise.all(names.map((name) => readRecord(host, `${STATE_DIRECTORY}/${name}`)));
  const last = await readRecord(host, LAST);
  const undone = last && /^reverted/.test((await host.readFileIfExists(`${LAST}/result`)) ?? '');
  return {
    pending: await readPending(host),
    confirmed: records
      .filter((record) => record !== null)
      .map(({ bridge, uplink, startedTime }) => ({ bridge, uplink, since: startedTime })),
    last: undone ? { ...(await lastRevert(host, last.id)), bridge: last.bridge, at: last.startedTime } : null,
  };
}

async function pendingOrRefusal(host: RealHost, verb: string): Promise<PendingChange> {
  const pending = await readPending(host);
  if (!pending)
    throw new BridgeRefusal(
      `there is no change on trial to ${verb}`,
      `maru bridge status shows what there is; a confirmed takeover is undone with maru bridge release BRIDGE (looked for ${PENDING})`,
    );
  return pending;
}
