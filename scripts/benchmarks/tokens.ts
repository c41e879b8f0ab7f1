import { loadavg } from 'node:os';
import { verify } from '@node-rs/argon2';
import { hashPassword } from '../../src/core/identity/passwords.js';
import { machine } from '../lab/commands.js';
import { labFiles } from '../lab/names.js';
import { create, list } from '../lab/resources.js';
import { labStatus } from '../lab/status.js';
import type { BenchLab } from './bench-lab.js';
import { post, requestsPerSecond } from './load.js';
import { cpuSeconds } from './proc.js';
import { atLeast, type Result, told } from './results.js';

const CLIENTS = 8;
const SECONDS = 5;
/** Each is hashed for once a round: two seconds' worth. */
const USERS = 240;
const PASSWORD = 'a password that is measured';
const DOMAIN = { name: 'Default' };
const JSON_BODY = { 'content-type': 'application/json' };

/** Argon2id at least as OWASP recommends: memory in KiB, passes; each line is as strong as the others. */
const OWASP = [
  { m: 47_104, t: 1 },
  { m: 19_456, t: 2 },
  { m: 12_288, t: 3 },
  { m: 9_216, t: 4 },
  { m: 7_168, t: 5 },
];

/**
 * Tokens per second with 8 clients: issued to one user over and over (as to a tool that authenticates for each call), issued to
 * users each for the first time (a hash each, against the bare hash function in turn), and validated.
 */
export async function benchTokens(bench: BenchLab, runs: number): Promise<Result[]> {
  const parameters = await hashParameters();
  process.stdout.write(`    passwords: ${parameters.text}; load average ${loadavg()[0]!.toFixed(1)}\n`);
  const password = (await machine.readFile(labFiles(bench.lab).adminPassword)).trim();
  const url = `${bench.endpoint}/identity/v3/auth/tokens`;
  const body = passwordAuth('admin', password);
  const response = await fetch(url, { method: 'POST', headers: JSON_BODY, body });
  const token = response.headers.get('x-subject-token') ?? '';
  const controller = (await labStatus(bench.lab))?.controller?.pid;
  if (!controller) throw new Error('the controller does not run');

  const [bare, first, same, valid]: number[][] = [[], [], [], []];
  const cost: { first: number[]; same: number[]; valid: number[] } = { first: [], same: [], valid: [] };
  const measured = async (into: number[], rate: () => Promise<{ perSecond: number; count: number }>) => {
    const before = await cpuSeconds(controller);
    const { perSecond, count } = await rate();
    into.push((((await cpuSeconds(controller)) - before) * 1000) / count);
    return perSecond;
  };
  const load = async (more: { method?: 'POST'; headers: Record<string, string>; body?: string }) => {
    const perSecond = await requestsPerSecond({ url, connections: CLIENTS, seconds: SECONDS, ...more });
    return { perSecond, count: perSecond * SECONDS };
  };
  for (let round = 0; round < Math.min(runs, 3); round++) {
    const names = await makeUsers(bench, round);
    bare!.push((await inTurn(names, async () => void (await verify(parameters.hash, PASSWORD)))).perSecond);
    first!.push(await measured(cost.first, () => inTurn(names, (name) => issue(url, name))));
    same!.push(await measured(cost.same, () => load({ method: 'POST', headers: JSON_BODY, body })));
    valid!.push(
      await measured(cost.valid, () =>
        load({ headers: { 'x-auth-token': token, 'x-subject-token': token } }),
      ),
    );
  }
  const hashes = told('argon2id alone, 8 at a time', '/s', bare!);
  return [
    hashes,
    {
      ...atLeast('token issue, users for the first time', '/s', first!, 120, { openstack: 6 }),
      baseline: hashes.value,
    },
    atLeast('token issue, one user again', '/s', same!, 120, { openstack: 6 }),
    atLeast('token validation', '/s', valid!, 7000, { openstack: 79 }),
    told('processor time of one issue with its hash', 'ms', cost.first),
    told('processor time of one issue, user again', 'ms', cost.same),
    told('processor time of one validation', 'ms', cost.valid),
  ];
}

/** Parameters of the hash that passwords get, in words; throws when they are weaker than OWASP's recommendation. */
async function hashParameters(): Promise<{ hash: string; text: string }> {
  const hash = await hashPassword(PASSWORD);
  const [, name, m, t, p] = /^\$(argon2id)\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$/.exec(hash) ?? [];
  if (!OWASP.some((least) => Number(m) >= least.m && Number(t) >= least.t))
    throw new Error(`passwords are hashed with less than OWASP recommends: ${hash.slice(0, 40)}`);
  const times: number[] = [];
  for (let i = 0; i < 10; i++) {
    const started = performance.now();
    await verify(hash, PASSWORD);
    times.push(performance.now() - started);
  }
  const milliseconds = Math.min(...times).toFixed(1);
  const text = `${name}, ${Number(m) / 1024} MiB, ${t} passes, ${p} lane: ${milliseconds} ms alone (OWASP: 19 MiB, 2 passes, 1 lane or as strong)`;
  return { hash, text };
}

/** Members of the demo project that nobody has authenticated as yet. */
async function makeUsers({ admin, demo }: BenchLab, round: number): Promise<string[]> {
  const [role] = await list(admin, 'role', { name: 'member' });
  const names = Array.from({ length: USERS }, (_, i) => `bench-${round}-${i}`);
  await inTurn(names, async (name) => {
    const user = await create(admin, 'user', { name, password: PASSWORD });
    await admin.call('identity', 'PUT', `/projects/${demo.projectId}/users/${user.id}/roles/${role!.id}`);
  });
  return names;
}

async function issue(url: string, name: string): Promise<void> {
  await post(url, passwordAuth(name, PASSWORD, 'demo'), 201);
}

/** Does something with each name, 8 at a time. */
async function inTurn(names: readonly string[], work: (name: string) => Promise<void>) {
  const waiting = [...names];
  const started = performance.now();
  const client = async () => {
    for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) await work(name);
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  return { perSecond: names.length / ((performance.now() - started) / 1000), count: names.length };
}

function passwordAuth(name: string, password: string, project = 'admin'): string {
  return JSON.stringify({
    auth: {
      identity: { methods: ['password'], password: { user: { name, password, domain: DOMAIN } } },
      scope: { project: { name: project, domain: DOMAIN } },
    },
  });
}
