import { randomBytes } from 'node:crypto';
import type { Host } from '../host/host.js';
import { chooseManager } from './choose-manager.js';
import { readFacts } from './facts.js';
import { firewallWarnings } from './firewall.js';
import type { OriginalFile, TakeoverPlan } from './manager.js';
import { confirmedDirectory } from './paths.js';
import { type PlannedStep, planChange } from './plan.js';
import { refuseOtherPorts, refuseRelease, refuseTakeover, takeoverWarnings, uplinkOf } from './refusals.js';
import type { ScriptedChange } from './script-parts.js';
import { readSysctls, takeSnapshot } from './snapshot.js';

/** What an operator asks for. */
export interface ChangeRequest {
  readonly kind: 'takeover' | 'release';
  readonly bridge: string;
  /** Release: found out when not given. */
  readonly uplink?: string;
  /** URL whose server has to accept connections after the change. */
  readonly controller?: string;
  /** Addresses that have to answer pings after the change. */
  readonly peers: readonly string[];
  /** Seconds after which the change is undone unless it was confirmed. */
  readonly confirmWithin: number;
  /** Seconds that the checks have for coming right; less than confirmWithin. */
  readonly settle: number;
  /** Seconds for which everything must be good before it is confirmed; by itself: see steadySeconds. */
  readonly steady?: number;
  /** Leaves the confirmation to `maru bridge confirm`. */
  readonly waitConfirm: boolean;
}

/** A change that has been thought through; nothing has been touched. */
export interface PreparedChange {
  readonly change: ScriptedChange;
  readonly managerName: string;
  readonly steps: readonly PlannedStep[];
  /** The device that the host's addresses are on now, and the one that they will be on. */
  readonly from: string;
  readonly to: string;
  readonly warnings: readonly string[];
  /** Why only somebody who comes in by a new connection can tell whether it works; null when the checks can. */
  readonly confirmByHand: string | null;
}

/** Reads the host and plans. Throws a BridgeRefusal when the change cannot work. */
export async function prepare(host: Host, request: ChangeRequest): Promise<PreparedChange> {
  const { kind, bridge } = request;
  return kind === 'takeover'
    ? await takeover(host, bridge, request.uplink ?? '')
    : await release(host, request);
}

async function takeover(host: Host, bridge: string, uplink: string): Promise<PreparedChange> {
  const snapshot = await takeSnapshot(host, uplink);
  const facts = await readFacts(host, uplink);
  refuseTakeover(snapshot, bridge, uplink, facts);
  const manager = await chooseManager(host, snapshot, uplink);
  const plan: TakeoverPlan = { bridge, uplink, snapshot, originals: [] };
  const warnings = takeoverWarnings(uplink, facts);
  return await prepared(host, 'takeover', plan, manager.name, await manager.plan(plan), warnings);
}

async function release(host: Host, request: ChangeRequest): Promise<PreparedChange> {
  const { bridge } = request;
  const found = await takeSnapshot(host, bridge);
  refuseRelease(found, bridge);
  const uplink = request.uplink ?? uplinkOf(found, bridge);
  const snapshot = { ...found, portSysctls: await readSysctls(host, uplink) };
  refuseOtherPorts(snapshot, bridge, uplink);
  const kept = await host.readFileIfExists(`${confirmedDirectory(bridge)}/originals.json`);
  const originals = kept === null ? [] : (JSON.parse(kept) as OriginalFile[]);
  const manager = await chooseManager(host, snapshot, bridge);
  const plan: TakeoverPlan = { bridge, uplink, snapshot, originals };
  return await prepared(host, 'release', plan, manager.name, await manager.planRelease(plan), []);
}

async function prepared(
  host: Host,
  kind: ChangeRequest['kind'],
  plan: TakeoverPlan,
  managerName: string,
  manager: ScriptedChange['manager'],
  warnings: readonly string[],
): Promise<PreparedChange> {
  const { bridge, uplink, snapshot } = plan;
  const originals = await Promise.all(manager.permanent.map(({ path }) => readOriginal(host, path)));
  const id = randomBytes(4).toString('hex');
  const firewall = await firewallWarnings(host, snapshot.device);
  return {
    change: { kind, bridge, uplink, snapshot, manager, originals, id },
    managerName,
    steps: planChange({ kind, bridge, uplink, snapshot }),
    ...(kind === 'takeover' ? { from: uplink, to: bridge } : { from: bridge, to: uplink }),
    warnings: [...warnings, ...firewall, ...manager.warnings],
    // the checks go out, and what answers them is let in; a new connection from outside may not be
    confirmByHand: firewall.length ? `firewall rules name ${snapshot.device}` : null,
  };
}

async function readOriginal(host: Host, path: string): Promise<OriginalFile> {
  const [content, stat] = [await host.readFileIfExists(path), await host.stat(path)];
  return { path, content, mode: stat?.mode ?? 0o644 };
}
