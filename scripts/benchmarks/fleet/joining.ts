import type { Cloud } from '../../lab/cloud.js';
import { type FleetBench, say } from './bench.js';
import type { LightHost } from './light-agent.js';
import { openFileLimit } from './limits.js';
import { outOfMemory } from './memory.js';
import { figure, percentile } from './percentile.js';

const PER_ROUND = 200;
/** Each host takes two connections of the controller; the rest is for everything else that it has open. */
const FILES_PER_HOST = 2;
const OTHER_FILES = 500;
/** A controller whose timers are this late, or that so many heartbeats do not reach, has as many hosts as it can bear. */
const MOST_LAG_MS = 3000;
const MOST_FAILED = 0.1;

export interface Joining extends Omit<FleetBench, 'layout' | 'servers'> {
  readonly admin: Cloud;
  readonly hosts: number;
  /** The first two numbers of the hosts' addresses. */
  readonly network: string;
}

/**
 * Joins hosts until there are as many as wanted, the deadline has come, or something is used up: then it says what, and the
 * measurements go on with those that there are.
 */
export async function joinHosts(joining: Joining): Promise<void> {
  const { fleet, results, remarks } = joining;
  const files = await openFileLimit();
  const most = Math.floor((files - OTHER_FILES) / FILES_PER_HOST);
  const count = Math.min(joining.hosts, most);
  const began = performance.now();
  const failed: string[] = [];
  let limit: string | null = null;
  for (let from = 0; from < count && limit === null; from += PER_ROUND) {
    failed.push(...(await joinSome(joining, from, Math.min(count, from + PER_ROUND))));
    say(`${fleet.size} of ${joining.hosts} hosts joined`);
    if (fleet.size < joining.hosts) limit = await usedUp(joining, began);
  }
  if (limit === null && count < joining.hosts)
    limit = `open files: a process may have ${files} here, and each host takes ${FILES_PER_HOST} of the controller's`;
  const seconds = (performance.now() - began) / 1000;
  say(`${fleet.size} hosts joined in ${seconds.toFixed(1)} s`);
  results.push(figure('hosts joined', fleet.size, ''), figure('joining', fleet.size / seconds, '/s'));
  if (limit !== null) remarks.push(`limit of hosts: ${fleet.size} of ${joining.hosts}; ${limit}`);
  if (failed.length) remarks.push(`${failed.length} hosts could not join, the first: ${failed[0]}`);
  if (fleet.size === 0) throw new Error(`no host could join: ${failed[0]}`);
}

/** Gives what could not. */
async function joinSome({ admin, controller, fleet, network }: Joining, from: number, to: number) {
  const hosts: LightHost[] = [];
  for (let i = from; i < to; i++) {
    const name = `fleet-${String(i + 1).padStart(5, '0')}`;
    const { token } = await admin.call<{ token: string }>('maru', 'POST', '/hosts/tokens', {
      host_name: name,
    });
    hosts.push({ name, token, address: `${network}.${1 + Math.floor(i / 250)}.${1 + (i % 250)}` });
  }
  return await fleet.start(hosts, controller.agentEndpoint);
}

/** What more hosts would be too much for; null: nothing yet. */
async function usedUp(joining: Joining, began: number): Promise<string | null> {
  const { controller, fleet, deadline } = joining;
  const memory = await outOfMemory(joining);
  if (memory) return memory;
  const lag = percentile((await controller.figures()).loopLagMs, 0.99);
  if (lag > MOST_LAG_MS) return `the controller's event loop: timers late by ${Math.round(lag)} ms (p99)`;
  const agents = await fleet.figures();
  const failures = agents.reduce((sum, one) => sum + one.heartbeatFailures, 0);
  const answered = agents.reduce((sum, one) => sum + one.heartbeatMs.length, 0);
  if (failures > MOST_FAILED * (answered + failures))
    return `heartbeats: ${failures} of ${answered + failures} were not answered, timers of the controller late by ${Math.round(lag)} ms (p99)`;
  if (performance.now() < deadline) return null;
  const rate = (fleet.size / (performance.now() - began)) * 1000;
  return `the time for joining was over, at ${rate.toFixed(1)} hosts/s`;
}
