import { readFile } from 'node:fs/promises';
import { labStatus } from '../lab/status.js';
import type { BenchLab } from './bench-lab.js';
import { cpuSeconds } from './proc.js';
import { atMost, type Result, told } from './results.js';

const SETTLE_MS = 10_000;
const WATCH_MS = 20_000;

/** Memory and CPU of controller and agent when nobody asks anything. */
export async function benchFootprint(bench: BenchLab): Promise<Result[]> {
  const status = await labStatus(bench.lab);
  const controller = status?.controller?.pid;
  const agent = status?.hosts[0]?.agent?.pid;
  if (!controller || !agent) throw new Error('controller or agent does not run');
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  const before = [await cpuSeconds(controller), await cpuSeconds(agent)];
  const memory: [number[], number[]] = [[], []];
  const until = performance.now() + WATCH_MS;
  while (performance.now() < until) {
    memory[0].push(await residentMb(controller));
    memory[1].push(await residentMb(agent));
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  const percent = async (pid: number, at: number) =>
    (((await cpuSeconds(pid)) - at) / (WATCH_MS / 1000)) * 100;
  return [
    atMost('idle memory of the controller', 'MB', memory[0], 150),
    atMost('idle memory of the agent', 'MB', memory[1], 100),
    told('idle CPU of the controller', '%', [await percent(controller, before[0]!)]),
    told('idle CPU of the agent', '%', [await percent(agent, before[1]!)]),
  ];
}

async function residentMb(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1024;
}
