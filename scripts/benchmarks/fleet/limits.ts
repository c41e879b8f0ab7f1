import { readFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { type FleetBench, say } from './bench.js';
import { figure, percentile } from './percentile.js';

/** From which share on something counts as the limit. */
const FULL = 0.85;
const SCARCE_MEMORY = 0.1;
const LATE_MS = 1000;

interface Reading {
  readonly at: number;
  readonly controller: number;
  readonly agents: number;
  readonly machine: number;
}

/** Watches what is used up while work is done, and names what was at its limit. */
export class Load {
  readonly #bench: FleetBench;
  readonly #from: Reading;

  private constructor(bench: FleetBench, from: Reading) {
    this.#bench = bench;
    this.#from = from;
  }

  static async begin(bench: FleetBench): Promise<Load> {
    return new Load(bench, (await read(bench)).reading);
  }

  /** Adds the shares to the results and, from them, the limit to the remarks; gives it, or null of less than a second. */
  async end(what: string): Promise<string | null> {
    const { reading, lag, agentLag, wait, memory } = await read(this.#bench);
    const seconds = (reading.at - this.#from.at) / 1000;
    if (seconds < 1) return null;
    const share = (key: 'controller' | 'agents' | 'machine') => (reading[key] - this.#from[key]) / seconds;
    const [controller, agents, machine] = [share('controller'), share('agents'), share('machine')];
    const cores = cpus().length;
    const percent = (value: number) => `${Math.round(value * 100)} %`;
    const found: string[] = [];
    if (controller >= FULL) found.push(`the controller's CPU: ${percent(controller)} of one core`);
    if (machine >= FULL * cores) {
      const others = Math.max(0, machine - controller - agents);
      found.push(
        `the machine's CPU: ${percent(machine / cores)} of ${cores} cores (controller ${percent(controller)}, agents ${percent(agents)}, others ${percent(others)} of a core)`,
      );
    }
    if (lag >= LATE_MS) found.push(`the controller's event loop: timers late by ${Math.round(lag)} ms (p99)`);
    if (memory < SCARCE_MEMORY) found.push(`memory: only ${percent(memory)} of the machine's is available`);
    if (found.length === 0 && wait >= 50)
      found.push(`the database's write lock: half the transactions waited ${Math.round(wait)} ms or more`);
    const limit = found.length
      ? found.join('; ')
      : `nothing was used up (controller ${percent(controller)} of a core, machine ${percent(machine / cores)})`;
    this.#bench.remarks.push(`limit while ${what}: ${limit}`);
    say(`limit while ${what}: ${limit}`);
    this.#bench.results.push(
      figure(`${what}: controller CPU`, controller * 100, '%'),
      figure(`${what}: agents CPU`, agents * 100, '%'),
      figure(`${what}: controller event loop lag p99`, lag, 'ms'),
      figure(`${what}: agents' event loop lag p99`, agentLag, 'ms'),
    );
    return limit;
  }
}

async function read(bench: FleetBench) {
  const controller = await bench.controller.figures();
  const agents = await bench.fleet.figures();
  const reading: Reading = {
    at: performance.now(),
    controller: controller.cpuSeconds,
    agents: agents.reduce((sum, one) => sum + one.cpuSeconds, 0),
    machine: await machineCpuSeconds(),
  };
  return {
    reading,
    lag: percentile(controller.loopLagMs, 0.99),
    agentLag: percentile(
      agents.flatMap((one) => one.loopLagMs),
      0.99,
    ),
    wait: percentile(controller.waitMs, 0.5),
    memory: await availableMemory(),
  };
}

/** Seconds that all processors together were busy (proc(5); ticks of 10 ms). */
async function machineCpuSeconds(): Promise<number> {
  const [line = ''] = (await readFile('/proc/stat', 'utf8')).split('\n');
  const [user, nice, system, , , irq, softirq] = line.split(/\s+/).slice(1).map(Number);
  return (user! + nice! + system! + irq! + softirq!) / 100;
}

/** Share of the machine's memory that is available. */
export async function availableMemory(): Promise<number> {
  const text = await readFile('/proc/meminfo', 'utf8');
  const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1]);
  return field('MemAvailable') / field('MemTotal');
}

/** Files that a process may have open: each host takes two connections of the controller. */
export async function openFileLimit(): Promise<number> {
  const limits = await readFile('/proc/self/limits', 'utf8');
  return Number(/^Max open files\s+\S+\s+(\d+)/m.exec(limits)?.[1] ?? 1024);
}
