import type { Result } from '../results.js';
import type { ControllerProcess } from './controller-process.js';
import type { Fleet } from './fleet.js';
import type { Layout } from './layout.js';

/** What every measurement of the fleet works with. */
export interface FleetBench {
  readonly controller: ControllerProcess;
  readonly fleet: Fleet;
  readonly layout: Layout;
  /** Megabytes that controller and agents may have together. */
  readonly mostMemoryMb: number;
  /** Servers wanted altogether. */
  readonly servers: number;
  /** Milliseconds of the machine's clock (performance.now) at which measurements end, finished or not. */
  readonly deadline: number;
  /** Results so far; a measurement adds to them as it goes, so that an interrupted run shows what it has. */
  readonly results: Result[];
  /** What a reader has to know to judge the figures. */
  readonly remarks: string[];
}

/** Says what is being done. */
export function say(text: string): void {
  process.stdout.write(`${new Date().toISOString().slice(11, 19)}  ${text}\n`);
}

/** Milliseconds left, at most `most`, at least `least`. */
export function patience(bench: FleetBench, most: number, least = 1000): number {
  return Math.max(least, Math.min(most, bench.deadline - performance.now()));
}
