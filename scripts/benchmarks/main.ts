import { writeFile } from 'node:fs/promises';
import { cpus, release, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { type BenchLab, withBenchLab } from './bench-lab.js';
import { benchEffects } from './effects.js';
import { benchFootprint } from './footprint.js';
import { benchLists } from './lists.js';
import { printResults, type Result } from './results.js';
import { benchServerCreate } from './server-create.js';
import { benchTokens } from './tokens.js';

/** Memory first: what runs later leaves its heap behind. */
const BENCHMARKS: Readonly<Record<string, (bench: BenchLab, runs: number) => Promise<Result[]>>> = {
  footprint: benchFootprint,
  server: benchServerCreate,
  effects: benchEffects,
  tokens: benchTokens,
  lists: benchLists,
};

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    runs: { type: 'string', default: '7' },
    json: { type: 'string' },
  },
});
const names = values.only?.split(',') ?? Object.keys(BENCHMARKS);
const unknown = names.find((name) => !(name in BENCHMARKS));
const runs = Number(values.runs);
if (unknown || !Number.isInteger(runs) || runs < 1) {
  process.stderr.write(unknown ? `bench: no benchmark '${unknown}'\n` : 'bench: --runs wants a number\n');
  process.exit(2);
}

const results = await withBenchLab(async (bench) => {
  const all: Result[] = [];
  for (const name of Object.keys(BENCHMARKS).filter((n) => names.includes(n))) {
    process.stdout.write(`==> ${name}\n`);
    all.push(...(await BENCHMARKS[name]!(bench, runs)));
  }
  return all;
});
printResults(results);
if (values.json) {
  const cpu = cpus();
  const machine = {
    cpus: cpu.length,
    model: cpu[0]?.model,
    memory_mb: Math.round(totalmem() / 2 ** 20),
    kernel: release(),
  };
  await writeFile(values.json, `${JSON.stringify({ machine, results }, null, 1)}\n`);
}
if (results.some((r) => !r.met)) process.exitCode = 1;
