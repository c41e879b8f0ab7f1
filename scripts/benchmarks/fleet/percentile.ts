import type { Result } from '../results.js';

/** The value that a share `p` (0…1) of the samples does not exceed; NaN without samples. */
export function percentile(samples: readonly number[], p: number): number {
  if (samples.length === 0) return Number.NaN;
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(p * sorted.length) - 1)]!;
}

export interface Goal {
  /** Largest p99 in the unit. */
  readonly most: number;
}

/** p50 and p99 of samples as two results; the goal, if any, is for p99. What was not measured misses its goal. */
export function spread(name: string, unit: string, samples: readonly number[], goal?: Goal): Result[] {
  const wanted = goal ? `≤ ${goal.most} ${unit}` : '-';
  if (samples.length === 0) {
    return [{ name: `${name}: not measured`, value: Number.NaN, unit, goal: wanted, met: !goal, runs: [] }];
  }
  const summary = [0.5, 0.9, 0.99, 1].map((p) => percentile(samples, p));
  const count = `${name} (${samples.length})`;
  const p99 = percentile(samples, 0.99);
  return [
    { name: `${count} p50`, value: percentile(samples, 0.5), unit, goal: '-', met: true, runs: summary },
    {
      name: `${count} p99`,
      value: p99,
      unit,
      goal: wanted,
      met: goal ? p99 <= goal.most : true,
      runs: summary,
    },
  ];
}

/** One figure without a goal. */
export function figure(name: string, value: number, unit: string): Result {
  return { name, value, unit, goal: '-', met: true, runs: [value] };
}
