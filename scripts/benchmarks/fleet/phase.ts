import { mkdir, writeFile } from 'node:fs/promises';
import type { FleetBench } from './bench.js';
import { figure } from './percentile.js';
import type { StatementUse } from './profile.js';

/**
 * Runs one measurement and adds what it cost the controller: processor seconds, transactions, statements. With a directory, its
 * processor profile and its statements, those that took longest first, are written there as well.
 */
export async function phase<T>(
  bench: FleetBench,
  name: string,
  directory: string | undefined,
  body: () => Promise<T>,
): Promise<T> {
  const { controller, results } = bench;
  const from = await controller.totals();
  if (directory) {
    await mkdir(directory, { recursive: true });
    await controller.profile();
  }
  const value = await body();
  const to = await controller.totals();
  if (directory) {
    const file = `${directory}/${name.replace(/\W+/g, '-')}`;
    await controller.profiledTo(`${file}.cpuprofile`);
    await writeFile(`${file}.statements.txt`, listed(from.statements, to.statements));
  }
  const count = (uses: ReadonlyMap<string, StatementUse>) =>
    [...uses.values()].reduce((sum, use) => sum + use.count, 0);
  results.push(
    figure(`${name}: controller, altogether`, to.cpuSeconds - from.cpuSeconds, 'CPU s'),
    figure(`${name}: write transactions, altogether`, to.transactions - from.transactions, ''),
    figure(`${name}: statements, altogether`, count(to.statements) - count(from.statements), ''),
  );
  return value;
}

function listed(from: ReadonlyMap<string, StatementUse>, to: ReadonlyMap<string, StatementUse>): string {
  const lines = [...to].map(([text, use]) => {
    const before = from.get(text);
    return { text, count: use.count - (before?.count ?? 0), ms: use.ms - (before?.ms ?? 0) };
  });
  return lines
    .filter(({ count }) => count > 0)
    .sort((a, b) => b.ms - a.ms)
    .map(({ text, count, ms }) => `${ms.toFixed(1).padStart(10)} ms ${String(count).padStart(8)}  ${text}\n`)
    .join('');
}
