import { pause } from '../../lab/commands.js';
import { type FleetBench, say } from './bench.js';
import { figure, percentile, spread } from './percentile.js';

/** What the fleet costs while nothing changes: heartbeats alone. */
export async function measureIdle(bench: FleetBench, seconds: number, label: string): Promise<void> {
  const { controller, fleet, results } = bench;
  say(`watching ${fleet.size} idle hosts for ${seconds} s (${label})`);
  const before = await controller.figures();
  const agentsBefore = await fleet.figures();
  const began = performance.now();
  await pause(seconds * 1000);
  const after = await controller.figures();
  const agents = await fleet.figures();
  const elapsed = (performance.now() - began) / 1000;
  const beats = agents.flatMap((one) => one.heartbeatMs);
  const agentCpu = agents.reduce((sum, one, i) => sum + one.cpuSeconds - agentsBefore[i]!.cpuSeconds, 0);
  const of = (name: string) => `${label}: ${name}`;
  results.push(
    figure(of('heartbeats'), beats.length / elapsed, '/s'),
    ...spread(of('heartbeat answered'), 'ms', beats),
    figure(of('controller CPU'), ((after.cpuSeconds - before.cpuSeconds) / elapsed) * 100, '%'),
    figure(of('agents CPU, all processes'), (agentCpu / elapsed) * 100, '%'),
    figure(of('write transactions'), after.transactions / elapsed, '/s'),
    figure(of('pushes'), agents.reduce((sum, one) => sum + one.pushes, 0) / elapsed, '/s'),
    figure(of('event loop lag p99'), percentile(after.loopLagMs, 0.99), 'ms'),
    figure(of('controller memory (resident)'), after.residentMb, 'MB'),
    figure(of('controller heap'), after.heapMb, 'MB'),
  );
  const failures = agents.reduce((sum, one) => sum + one.heartbeatFailures, 0);
  if (failures) bench.remarks.push(`${failures} heartbeats failed while idle (${label})`);
}
