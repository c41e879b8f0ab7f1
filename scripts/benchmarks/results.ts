/** One measured figure. */
export interface Result {
  readonly name: string;
  /** Median of the runs, in `unit`. */
  readonly value: number;
  readonly unit: string;
  /** The raw tool's median in the same run, where there is one. */
  readonly baseline?: number;
  /** What an OpenStack on two such cores gives, where it was measured. */
  readonly openstack?: number;
  readonly goal: string;
  readonly met: boolean;
  readonly runs: readonly number[];
}

/** The middle of the values. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** A result whose goal is a largest value of its median. */
export function atMost(
  name: string,
  unit: string,
  runs: readonly number[],
  most: number,
  more: { readonly openstack?: number } = {},
): Result {
  const value = median(runs);
  return { name, value, unit, runs, goal: `≤ ${most} ${unit}`, met: value <= most, ...more };
}

/** A result whose goal is a smallest value of its median. */
export function atLeast(
  name: string,
  unit: string,
  runs: readonly number[],
  least: number,
  more: { readonly openstack?: number } = {},
): Result {
  const value = median(runs);
  return { name, value, unit, runs, goal: `≥ ${least} ${unit}`, met: value >= least, ...more };
}

/** A figure that is only told. */
export function told(name: string, unit: string, runs: readonly number[]): Result {
  return { name, value: median(runs), unit, runs, goal: '-', met: true };
}

export function printResults(results: readonly Result[]): void {
  const rows = results.map((r) => [
    r.name,
    `${round(r.value)} ${r.unit}`,
    r.baseline === undefined ? '-' : `${round(r.baseline)} ${r.unit}`,
    r.openstack === undefined ? '-' : `${r.openstack} ${r.unit}`,
    r.goal,
    r.met ? 'yes' : 'NO',
  ]);
  const header = ['measured', 'Maru', 'raw tool', 'OpenStack', 'goal', 'met'];
  const widths = header.map((h, i) => Math.max(h.length, ...rows.map((row) => row[i]!.length)));
  for (const row of [header, ...rows]) {
    process.stdout.write(
      `${row
        .map((cell, i) => cell.padEnd(widths[i]!))
        .join('  ')
        .trimEnd()}\n`,
    );
  }
}

function round(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 1 ? value.toFixed(2) : value.toFixed(3);
}
