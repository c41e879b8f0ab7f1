import { RealHost } from '../host/real.js';
import { makeChange, type Outcome } from './change.js';
import { describeChange } from './dry-run.js';
import { BridgeRefusal } from './manager.js';
import { LAST, PENDING, STATE_DIRECTORY } from './paths.js';
import {
  clearTheWay,
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
  /** The last change that was undone, with what is not as before it; null when there was none, or another change since. */
  readonly last: (Reverted & { readonly bridge: string; readonly at: string }) | null;
}

/** Makes the change, or says what it would be. Rejects with BridgeRefusal. */
export async function runChange(
  request: ChangeRequest,
  options: { readonly dryRun: boolean; readonly say: (line: string) => void; readonly signal: AbortSignal },
): Promise<Outcome | { readonly state: 'planned'; readonly text: string }> {
  const host = new RealHost();
  // first: else what is left of an abandoned change would be taken for the host's own network
  if (!options.dryRun) await clearTheWay(host);
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
  return record;
}

/** Undoes the change on trial. */
export async function revertChange(): Promise<Reverted> {
  const host = new RealHost();
  const { record } = await pendingOrRefusal(host, 'revert');
  const reverted = await revert(host, record.id, 'asked');
  return reverted;
}

export async function bridgeStatus(): Promise<BridgeStatus> {
  const host = new RealHost();
  const names = (await host.listDirectory(STATE_DIRECTORY)).filter((name) => name.startsWith('bridge-'));
  const records = await Promise.all(names.map((name) => readRecord(host, `${STATE_DIRECTORY}/${name}`)));
  const confirmed = records.filter((record) => record !== null);
  const pending = await readPending(host);
  const last = await readRecord(host, LAST);
  const undone = last && /^reverted/.test((await host.readFileIfExists(`${LAST}/result`)) ?? '');
  // what is different since then is meant to be
  const later = [...confirmed, ...(pending ? [pending.record] : [])].some(
    (record) => last && record.startedTime > last.startedTime,
  );
  return {
    pending,
    confirmed: confirmed.map(({ bridge, uplink, startedTime }) => ({ bridge, uplink, since: startedTime })),
    last:
      undone && !later
        ? { ...(await lastRevert(host, last.id)), bridge: last.bridge, at: last.startedTime }
        : null,
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
