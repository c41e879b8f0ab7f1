import type { Host } from '../host/host.js';
import { armWatchdog, forget, writePending } from './arm.js';
import { baseline, type Check, checksFor, runChecks } from './checks.js';
import { lost, stillOn } from './compare.js';
import { type ChangeRecord, PENDING, STEP } from './paths.js';
import { commit, type Reverted, readRecord, revert, wasConfirmed } from './pending.js';
import { carriedBy, type PlannedCommand } from './plan.js';
import type { ChangeRequest, PreparedChange } from './prepare.js';
import { NO_LONGER_PENDING } from './script-parts.js';
import { takeSnapshot, uptime } from './snapshot.js';

/** How a change ended. */
export type Outcome =
  | { readonly state: 'confirmed' }
  | {
      readonly state: 'awaiting';
      readonly id: string;
      readonly secondsLeft: number;
      /** Why it was not confirmed by itself; null when nobody asked for that. */
      readonly why: string | null;
    }
  | { readonly state: 'reverted'; readonly why: string; readonly revert: Reverted };

/**
 * Makes a prepared change: on trial first, undone at once when anything fails or `signal` is aborted, and confirmed when
 * everything answers. `say` gets what an operator should see as it happens. Rejects with BridgeRefusal before anything was
 * touched; whatever happens later ends in an Outcome, or in this process's death, which the watchdog notices.
 */
export async function makeChange(
  host: Host,
  request: ChangeRequest,
  prepared: PreparedChange,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<Outcome> {
  const { change } = prepared;
  const checks = await checksBefore(host, request, prepared, say);
  signal.throwIfAborted();
  const record = await writePending(host, change, prepared.managerName, request.confirmWithin);
  faultPoint(host, 'pending');
  try {
    for (const warning of await armWatchdog(host, record)) say(`warning: ${warning}`);
  } catch (error) {
    await forget(host);
    throw error;
  }
  faultPoint(host, 'armed');
  try {
    await apply(host, prepared, record, signal);
    // from here on it may be confirmed
    await host.writeFile(`${PENDING}/applied`, '', 0o600);
    say(`${change.kind} is on trial; it is undone in ${request.confirmWithin} s unless it is confirmed`);
    await checkUntilGood(host, prepared, request, record, checks, say, signal);
    faultPoint(host, 'checked');
    if (waits(prepared, request)) {
      await host.writeFile(`${PENDING}/awaiting`, '', 0o600);
      return {
        state: 'awaiting',
        id: record.id,
        secondsLeft: Math.floor(record.deadline - (await uptime(host))),
        why: request.waitConfirm ? null : prepared.confirmByHand,
      };
    }
    if (!(await commit(host, record)))
      throw new Error('it was undone by somebody else, or its time was over');
    return { state: 'confirmed' };
  } catch (error) {
    if (await wasConfirmed(host, record)) return { state: 'confirmed' };
    const why = error instanceof Error ? error.message : String(error);
    const reverted = await revert(host, record.id, signal.aborted ? 'interrupted' : 'failed');
    return { state: 'reverted', why, revert: reverted };
  }
}

async function checksBefore(
  host: Host,
  request: ChangeRequest,
  { change, from }: PreparedChange,
  say: (line: string) => void,
): Promise<readonly Check[]> {
  const results = await runChecks(host, from, checksFor(change.snapshot, request));
  // an uplink without addresses of its own carries nothing that could be lost
  const carries = carriedBy(change.snapshot).addresses.some(({ scope }) => scope === 0);
  const { checks, warnings } = baseline(from, results, carries && !request.waitConfirm);
  for (const warning of warnings) say(`warning: ${warning}`);
  return checks;
}

/** Trial files, the DHCP client's end, the batches, the manager, the DHCP client's new start. */
async function apply(
  host: Host,
  { change, steps }: PreparedChange,
  record: ChangeRecord,
  signal: AbortSignal,
): Promise<void> {
  const { manager } = change;
  const run = (command: PlannedCommand) => runStep(host, record, command, signal);
  const each = async (name: string, commands: readonly (readonly string[])[]) => {
    for (const argv of commands) await run({ argv });
    if (commands.length) faultPoint(host, name);
  };
  for (const { path, content, mode } of manager.trialFiles) {
    await host.makeDirectory(path.slice(0, path.lastIndexOf('/')), 0o755);
    await host.writeFile(path, content, mode);
    // whatever the umask of whoever runs this: a manager may read it as another user
    await host.chmod(path, mode);
  }
  if (manager.trialFiles.length) faultPoint(host, 'trial-files');
  await each('dhcp-before', manager.dhcp?.before ?? []);
  for (const { name, commands } of steps) {
    for (const command of commands) {
      const [file, ...args] = command.argv;
      if (command.aside) await host.spawnDetached(file!, args).catch(() => {});
      else await run(command);
    }
    faultPoint(host, name);
  }
  await each('hand-over', manager.handOver);
  await each('dhcp-after', manager.dhcp?.after ?? []);
}

/** Under the lock that a revert takes too, and not at all when one has begun; never longer than the trial itself. */
async function runStep(
  host: Host,
  record: ChangeRecord,
  command: PlannedCommand,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  const seconds = Math.max(1, Math.min(30, Math.ceil(record.deadline - (await uptime(host)))));
  const args = [`${PENDING}/step.sh`, record.id, `${seconds}`, ...command.argv];
  const okCodes = Array.from({ length: 256 }, (_, code) => code);
  const options = { okCodes, timeoutMs: (seconds + 30) * 1000 };
  const stop = () => void stopStep(host);
  signal.addEventListener('abort', stop, { once: true });
  const result = await host
    .run('/bin/sh', args, { ...options, ...(command.input && { input: command.input }) })
    .finally(() => signal.removeEventListener('abort', stop));
  signal.throwIfAborted();
  if (result.exitCode === NO_LONGER_PENDING) throw new Error('it was undone meanwhile');
  if (result.exitCode === 0 || command.optional) return;
  throw new Error(
    `${command.argv.join(' ')}${failedLine(command, result.stderr)}: exit code ${result.exitCode}: ${result.stderr.trim()}`,
  );
}

/** The command that runs now would keep the revert waiting, which comes at once. */
async function stopStep(host: Host): Promise<void> {
  const pid = Number(await host.readFileIfExists(STEP).catch(() => null));
  if (pid > 1) host.kill(pid, 'SIGTERM');
}

async function checkUntilGood(
  host: Host,
  prepared: PreparedChange,
  request: ChangeRequest,
  record: ChangeRecord,
  checks: readonly Check[],
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const { change, from, to } = prepared;
  const { snapshot } = change;
  const steady = steadySeconds(prepared, request);
  let until = Math.min((await uptime(host)) + request.settle, record.deadline);
  let goodUntil: number | null = null;
  const interrupted = aborted(signal);
  // it is only ever raced; that it rejects at another time is nobody's business
  interrupted.catch(() => {});
  for (;;) {
    const began = await uptime(host);
    const [gone, stayed] = [
      lost(snapshot, await takeSnapshot(host, to), to),
      stillOn(snapshot, await takeSnapshot(host, from), from),
    ];
    const results = await Promise.race([runChecks(host, to, checks), interrupted]);
    const bad = [
      ...gone.map((what) => `${to} does not have what ${from} had: ${what}`),
      ...stayed.map((what) => `${from} has still what ${to} took over: ${what}`),
      ...results
        .filter(({ ok }) => !ok)
        .map(({ kind, target, detail }) => `${kind} ${target} through ${to}: ${detail}`),
    ];
    if ((await readRecord(host, PENDING))?.id !== record.id)
      throw new Error('it was undone or confirmed meanwhile');
    if (!bad.length) {
      if (goodUntil === null)
        for (const { kind, target, detail } of results) say(`${kind} ${target} ${detail}`);
      goodUntil ??= began + Math.min(steady, (record.deadline - began) / 2);
      if (began >= goodUntil) return;
    } else {
      // what has been good has as much time to come right again as it had at first
      if (goodUntil !== null) until = Math.min((await uptime(host)) + request.settle, record.deadline);
      goodUntil = null;
      if ((await uptime(host)) > until) throw new Error(bad.join('\n  '));
    }
    const pause = goodUntil === null ? 0.3 : Math.min(1, Math.max(0, goodUntil - (await uptime(host))));
    await Promise.race([new Promise((resolve) => setTimeout(resolve, pause * 1000)), interrupted]);
  }
}

/**
 * Seconds for which everything must be good before a change is confirmed by itself. What a manager or a DHCP client does wrong it
 * does some time after it was told of the change; and it is never more than half of the time that is left.
 */
function steadySeconds(prepared: PreparedChange, request: ChangeRequest): number {
  const { change, managerName } = prepared;
  const leased = change.snapshot.addresses.some(({ family, dynamic }) => family === 4 && dynamic);
  const usual = change.manager.dhcp || (leased && managerName !== 'none') ? 10 : 3;
  // whoever confirms it by hand looks for themselves
  return waits(prepared, request) ? 0 : (request.steady ?? usual);
}

function waits({ confirmByHand }: PreparedChange, { waitConfirm }: ChangeRequest): boolean {
  return waitConfirm || confirmByHand !== null;
}

/** Rejects when the signal is aborted: what only waits or looks need not be waited for. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const fail = () => reject(signal.reason);
    if (signal.aborted) fail();
    else signal.addEventListener('abort', fail, { once: true });
  });
}

/** `ip -batch` names the line by its number only. */
function failedLine(command: PlannedCommand, stderr: string): string {
  const number = /^Command failed -:(\d+)/m.exec(stderr)?.[1];
  const line = number === undefined ? undefined : command.input?.split('\n')[Number(number) - 1];
  return line === undefined ? '' : ` (${line})`;
}

/**
 * Where tests end or stop this process: MARU_BRIDGE_KILL_AT and MARU_BRIDGE_STOP_AT name a step, after which it gets SIGKILL
 * or SIGSTOP.
 */
function faultPoint(host: Host, step: string): void {
  if (process.env.MARU_BRIDGE_KILL_AT === step) host.kill(process.pid, 'SIGKILL');
  if (process.env.MARU_BRIDGE_STOP_AT === step) host.kill(process.pid, 'SIGSTOP');
}
