import { pause } from '../../lab/commands.js';
import { list, type Named } from '../../lab/resources.js';
import { type FleetBench, patience, say } from './bench.js';
import { monotonicMs } from './clock.js';
import { type KnownServer, settle } from './fill.js';
import { createServers } from './layout.js';
import { figure, spread } from './percentile.js';

const CHANGES = 100;
const GROUP_HOSTS = 100;
const GROUP_ROUNDS = 10;
const GIVE_UP_MS = 30_000;
/** So that one round's reports are not in the way of the next. */
const BETWEEN_ROUNDS_MS = 500;

/** How long after the API's answer a stopped or started server's host has been told. */
export async function measureOneChange(bench: FleetBench, servers: readonly KnownServer[]): Promise<void> {
  const chosen = servers.slice(-CHANGES);
  say(`${chosen.length} single changes`);
  const delays: number[] = [];
  const refused: string[] = [];
  let lost = 0;
  for (const { id, tenant } of chosen) {
    if (performance.now() > bench.deadline) break;
    const sent = monotonicMs();
    try {
      await tenant.cloud.call('compute', 'POST', `/servers/${id}/action`, { 'os-stop': null });
    } catch (error) {
      // one that is still being built cannot be stopped
      refused.push((error as Error).message);
      continue;
    }
    const answered = monotonicMs();
    const at = await lastTaken(bench, `server/${id}`, sent, 1);
    if (at === null) lost++;
    else delays.push(Math.max(0, at - answered));
  }
  bench.results.push(...spread('one change: API answer → agent has it', 'ms', delays));
  if (refused.length)
    bench.remarks.push(`${refused.length} single changes were refused, the first: ${refused[0]}`);
  if (lost) bench.remarks.push(`${lost} single changes had not arrived after ${GIVE_UP_MS / 1000} s`);
}

/** How long until all hosts of a security group's members know of a member that leaves or joins; `measured` runs the changes themselves. */
export async function measureGroupChange(
  bench: FleetBench,
  measured: (body: () => Promise<void>) => Promise<void>,
): Promise<void> {
  const { layout, fleet, results } = bench;
  const { wide } = layout;
  const members = Math.min(GROUP_HOSTS, fleet.size);
  say(`a group with members on ${members} hosts`);
  const hints = { 'os:scheduler_hints': { group: wide.serverGroup.id } };
  for (let made = 0; made < members; made += 20) {
    await createServers(layout, wide, `wide-${made}`, Math.min(20, members - made), hints);
  }
  await settle(bench);
  const key = `group-members/${wide.group.id}:${wide.network.id}`;
  const holders = new Set((await fleet.holders([key])).map(({ host }) => host));
  const [port] = await list<Named & { device_owner: string }>(wide.cloud, 'port', {
    network_id: wide.network.id,
    device_owner: 'compute:nova',
    limit: '1',
  });
  const delays: number[] = [];
  let lost = 0;
  await measured(async () => {
    for (let round = 0; round < GROUP_ROUNDS && performance.now() < bench.deadline; round++) {
      const security_groups = round % 2 ? [wide.group.id] : [];
      const sent = monotonicMs();
      await wide.cloud.call('network', 'PUT', `/v2.0/ports/${port!.id}`, { port: { security_groups } });
      const answered = monotonicMs();
      const at = await lastTaken(bench, key, sent, holders.size);
      if (at === null) lost++;
      else delays.push(Math.max(0, at - answered));
      await pause(BETWEEN_ROUNDS_MS);
    }
  });
  results.push(
    figure('hosts with the group', holders.size, ''),
    ...spread(`a member of a group on ${holders.size} hosts changes → all have it`, 'ms', delays, {
      most: 1000,
    }),
  );
  if (lost)
    bench.remarks.push(`${lost} group changes had not reached all hosts after ${GIVE_UP_MS / 1000} s`);
}

/** When the last of `count` hosts took the key after `since`; null when that did not come. */
async function lastTaken(
  bench: FleetBench,
  key: string,
  since: number,
  count: number,
): Promise<number | null> {
  const until = performance.now() + patience(bench, GIVE_UP_MS, 5000);
  while (performance.now() < until) {
    const times = (await bench.fleet.holders([key])).filter(({ at }) => at > since).map(({ at }) => at);
    if (times.length >= count) return Math.max(...times);
    await pause(5);
  }
  return null;
}
