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
import { type Layout, layOut } from './layout.js';
import type { LightHost } from './light-agent.js';
import { openFileLimit } from './limits.js';
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
  },
});

const HONESTY = [
  'simulated: each host is an agent with the real transport, spec store, queues and reports, in a few processes of this machine;',
  'its parts find every object applied at once, and its spec is not written to disk. Nothing is built, no packet is sent but to loopback.',
];

/** Of the time that is left once the hosts have joined. */
const FILL_SHARE = 0.6;

const wanted = { hosts: number('hosts'), servers: number('servers'), minutes: number('minutes') };
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
  const hosts = Math.min(wanted.hosts, Math.floor(((await openFileLimit()) - 500) / 2));
  if (hosts < wanted.hosts) {
    remarks.push(
      `limit of hosts: a process may open ${await openFileLimit()} files here and each host takes two connections, so ${hosts} of ${wanted.hosts} hosts`,
    );
  }
  say(
    `${hosts} hosts, ${wanted.servers} servers, at most ${wanted.minutes} minutes; loopback ${network}.0.0/16`,
  );
  const deadline = performance.now() + wanted.minutes * 60_000;
  await controller.start();
  const admin = new Cloud(controller.endpoint, {
    username: 'admin',
    password: await controller.adminPassword(),
    project: 'admin',
  });
  await joinHosts(admin, hosts, deadline);
  const tenants = Math.max(1, Math.min(300, Math.ceil(wanted.servers / 40)));
  say(`${tenants + 1} projects with a network and a group each`);
  const layout: Layout = await layOut(admin, tenants);
  const bench: FleetBench = {
    controller,
    fleet,
    layout,
    servers: wanted.servers,
    deadline,
    results,
    remarks,
  };
  const watch = Math.max(2, Math.min(30, wanted.minutes));
  const during = <T>(name: string, body: () => Promise<T>) => phase(bench, name, values.profile, body);
  await during('idle without servers', () => measureIdle(bench, watch, 'idle without servers'));
  // what comes after it gets its share of the time, however slowly the cloud fills
  const now = performance.now();
  const until = now + (deadline - now) * FILL_SHARE;
  const known = await during('filling', () => measureFill({ ...bench, deadline: until }));
  await during('single changes', () => measureOneChange(bench, known));
  await measureGroupChange(bench, (body) => during('group changes', body));
  await during('pages', () => measurePages(bench));
  await during('idle with servers', () => measureIdle(bench, watch, 'idle with servers'));
  const size = await controller.databaseMb();
  if (size !== null) results.push(figure('database', size, 'MB'));
  await measureRestart(bench);
}

async function joinHosts(admin: Cloud, count: number, deadline: number): Promise<void> {
  const began = performance.now();
  const PER_ROUND = 200;
  const failed: string[] = [];
  for (let from = 0; from < count && performance.now() < deadline; from += PER_ROUND) {
    const hosts: LightHost[] = [];
    for (let i = from; i < Math.min(count, from + PER_ROUND); i++) {
      const name = `fleet-${String(i + 1).padStart(5, '0')}`;
      const { token } = await admin.call<{ token: string }>('maru', 'POST', '/hosts/tokens', {
        host_name: name,
      });
      hosts.push({ name, token, address: `${network}.${1 + Math.floor(i / 250)}.${1 + (i % 250)}` });
    }
    failed.push(...(await fleet.start(hosts, controller.agentEndpoint)));
    say(`${fleet.size} of ${count} hosts joined`);
  }
  const seconds = (performance.now() - began) / 1000;
  say(`${fleet.size} hosts joined in ${seconds.toFixed(1)} s`);
  results.push(figure('hosts joined', fleet.size, ''), figure('joining', fleet.size / seconds, '/s'));
  if (failed.length) remarks.push(`${failed.length} hosts could not join, the first: ${failed[0]}`);
  if (fleet.size === 0) throw new Error(`no host could join: ${failed[0]}`);
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

function number(name: 'hosts' | 'servers' | 'minutes'): number {
  const value = Number(values[name]);
  if (Number.isInteger(value) && value > 0) return value;
  process.stderr.write(`bench fleet: --${name} wants a positive number\n`);
  process.exit(2);
}
