import { pause } from '../../lab/commands.js';
import { type FleetBench, patience, say } from './bench.js';
import { monotonicMs } from './clock.js';
import { figure, percentile } from './percentile.js';

const MOST_MS = 300_000;
/** Longer than the agents' interval between heartbeats: after this long without a push there will be none. */
const QUIET_MS = 8_000;

/** Restarts the controller under its hosts: how long until it has heard them all and told each what it lacks. */
export async function measureRestart(bench: FleetBench): Promise<void> {
  const { controller, fleet, results } = bench;
  say('restarting the controller');
  await controller.stop();
  await fleet.figures();
  const stopped = monotonicMs();
  await controller.start();
  const ready = monotonicMs();
  const heard = new Map<string, number>();
  const lag: number[] = [];
  let pushes = 0;
  let keys = 0;
  let failures = 0;
  let lastPush = 0;
  let memory = 0;
  const until = performance.now() + patience(bench, MOST_MS, 60_000);
  while (performance.now() < until) {
    for (const one of await fleet.figures()) {
      pushes += one.pushes;
      keys += one.pushedKeys;
      failures += one.heartbeatFailures;
      for (const [host, { firstBeat, push }] of Object.entries(one.hosts)) {
        if (firstBeat > stopped && !heard.has(host)) heard.set(host, firstBeat);
        if (push > stopped) lastPush = Math.max(lastPush, push);
      }
    }
    const figures = await controller.figures();
    lag.push(...figures.loopLagMs);
    memory = Math.max(memory, figures.residentMb);
    const quietSince = Math.max(lastPush, ready, ...heard.values());
    if (heard.size >= fleet.size && monotonicMs() - quietSince > QUIET_MS) break;
    await pause(250);
  }
  const since = (at: number) => (at - stopped) / 1000;
  const times = [...heard.values()].map(since);
  results.push(
    figure('restart: until the API answers', since(ready), 's'),
    figure('restart: half the hosts heard', percentile(times, 0.5), 's'),
    figure('restart: all hosts heard', percentile(times, 1), 's'),
    figure('restart: last push taken', lastPush ? since(lastPush) : 0, 's'),
    figure('restart: pushes', pushes, ''),
    figure('restart: objects in them', keys, ''),
    figure('restart: heartbeats that failed', failures, ''),
    figure('restart: event loop lag p99', percentile(lag, 0.99), 'ms'),
    figure('restart: largest memory', memory, 'MB'),
  );
  if (heard.size < fleet.size) {
    bench.remarks.push(
      `after the restart ${fleet.size - heard.size} of ${fleet.size} hosts were not heard in time`,
    );
  }
}
