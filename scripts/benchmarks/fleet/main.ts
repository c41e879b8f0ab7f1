import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, release, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Cloud } from '../../lab/cloud.js';
import { printResults, type Result } from '../results.js';
import { type FleetBench, say } from './bench.js';
import { ControllerProcess } from './controller-process.js';
import { measureGroupChange, measureOneChange } from './delivery.js';
import { measureFill } from './fill.js';
import { Fleet } from './fleet.js';
import { measureIdle } from './heartbeats.js';
import { joinHosts } from './joining.js';
import { type Layout, layOut } from './layout.js';
import { measurePages } from './pages.js';
import { figure } from './percentile.js';
import { phase } from './phase.js';
import { measureRestart } from './restart.js';

const { values } = parseArgs({
  options: {
    hosts: { type: 'string', default: '1000' },
    servers: { type: 'string', default: '10000' },
    minutes: { type: 'string', default: '20' },
    database: { type: 'string', default: 'sqlite' },
    json: { type: 'string' },
    profile: { type: 'string' },
    memory: { type: 'string', default: String(Math.floor(totalmem() / 2 ** 21)) },
  },
});

const HONESTY = [
  'simulated: each host is an agent with the real transport, spec store, queues and reports, in a few processes of this machine;',
  'its parts find every object applied at once, and its spec is not written to disk. Nothing is built, no packet is sent but to loopback.',
];

/** Of the whole time. */
const JOIN_SHARE = 0.4;
/** Of the time that is left once the hosts have joined. */
const FILL_SHARE = 0.6;

const wanted = {
  hosts: number('hosts'),
  servers: number('servers'),
  minutes: number('minutes'),
  memory: number('memory'),
};
const results: Result[] = [];
const remarks: string[] = [];
const directory = await mkdtemp(join(tmpdir(), 'maru-fleet-'));
// a /16 of loopback of our own: two fleets on one machine do not meet
const network = `127.${64 + (process.pid % 60)}`;
const address = `${network}.0.1`;
const controller = new ControllerProcess({
  directory: join(directory, 'controller'),
  address,
  database: values.database,
});
const fleet = new Fleet(Math.min(cpus().length, Math.ceil(wanted.hosts / 50)));

const interrupted = new Promise<never>((_, reject) => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => reject(new Error(`stopped by ${signal}`)));
  }
});
try {
  await Promise.race([run(), interrupted]);
} catch (error) {
  process.stderr.write(`bench fleet: ${(error as Error).message}\n`);
  process.exitCode = 1;
} finally {
  fleet.kill();
  controller.kill();
  await rm(directory, { recursive: true, force: true, maxRetries: 5 });
}
await report();
process.exit();

async function run(): Promise<void> {
  say(
    `${wanted.hosts} hosts, ${wanted.servers} servers, at most ${wanted.minutes} minutes; loopback ${network}.0.0/16`,
  );
  const deadline = performance.now() + wanted.minutes * 60_000;
  await controller.start();
  const admin = new Cloud(controller.endpoint, {
    username: 'admin',
    password: await controller.adminPassword(),
    project: 'admin',
  });
  const common = { controller, fleet, deadline, results, remarks, mostMemoryMb: wanted.memory };
  const joined = performance.now() + wanted.minutes * 60_000 * JOIN_SHARE;
  await joinHosts({ ...common, deadline: joined, admin, hosts: wanted.hosts, network });
  const tenants = Math.max(1, Math.min(300, Math.ceil(wanted.servers / 40)));
  say(`${tenants + 1} projects with a network and a group each`);
  const layout: Layout = await layOut(admin, tenants);
  const bench: FleetBench = { ...common, layout, servers: wanted.servers };
  const watch = Math.max(2, Math.min(30, wanted.minutes));
  const during = <T>(name: string, body: () => Promise<T>) =>
    attempt(name, () => phase(bench, name, values.profile, body));
  await during('idle without servers', () => measureIdle(bench, watch, 'idle without servers'));
  // what comes after it gets its share of the time, however slowly the cloud fills
  const now = performance.now();
  const until = now + (deadline - now) * FILL_SHARE;
  const known = await during('filling', () => measureFill({ ...bench, deadline: until }));
  await during('single changes', () => measureOneChange(bench, known ?? []));
  await attempt('group changes', () =>
    measureGroupChange(bench, (body) => phase(bench, 'group changes', values.profile, body)),
  );
  await during('pages', () => measurePages(bench));
  await during('idle with servers', () => measureIdle(bench, watch, 'idle with servers'));
  const size = await controller.databaseMb();
  if (size !== null) results.push(figure('database', size, 'MB'));
  await attempt('a restart', () => measureRestart(bench));
}

/** Runs a measurement; one that cannot be done is told, and the others go on with what there is. */
async function attempt<T>(what: string, body: () => Promise<T>): Promise<T | null> {
  try {
    return await body();
  } catch (error) {
    remarks.push(`${what} could not be measured: ${(error as Error).message}`);
    process.exitCode = 1;
    return null;
  }
}

async function report(): Promise<void> {
  printResults(results);
  for (const line of [...HONESTY, ...remarks]) process.stdout.write(`${line}\n`);
  if (results.some((result) => !result.met)) process.exitCode ||= 1;
  if (!values.json) return;
  const machine = {
    cpus: cpus().length,
    model: cpus()[0]?.model,
    memory_mb: Math.round(totalmem() / 2 ** 20),
    kernel: release(),
  };
  await writeFile(
    values.json,
    `${JSON.stringify({ machine, wanted, database: values.database.split(':')[0], results, remarks }, null, 1)}\n`,
  );
}

function number(name: 'hosts' | 'servers' | 'minutes' | 'memory'): number {
  const value = Number(values[name]);
  if (Number.isInteger(value) && value > 0) return value;
  process.stderr.write(`bench fleet: --${name} wants a positive number\n`);
  process.exit(2);
}
