import { machine } from '../lab/commands.js';
import { labFiles } from '../lab/names.js';
import type { BenchLab } from './bench-lab.js';
import { requestsPerSecond } from './load.js';
import { atLeast, type Result } from './results.js';

const CLIENTS = 8;
const SECONDS = 5;

/** Token issue (a password is hashed for each) and validation per second. */
export async function benchTokens(bench: BenchLab, runs: number): Promise<Result[]> {
  const password = (await machine.readFile(labFiles(bench.lab).adminPassword)).trim();
  const domain = { name: 'Default' };
  const body = JSON.stringify({
    auth: {
      identity: { methods: ['password'], password: { user: { name: 'admin', password, domain } } },
      scope: { project: { name: 'admin', domain } },
    },
  });
  const url = `${bench.endpoint}/identity/v3/auth/tokens`;
  const json = { 'content-type': 'application/json' };
  const response = await fetch(url, { method: 'POST', headers: json, body });
  const token = response.headers.get('x-subject-token') ?? '';

  const issue: number[] = [];
  const validate: number[] = [];
  const rounds = Math.min(runs, 3);
  for (let round = 0; round < rounds; round++) {
    const common = { url, connections: CLIENTS, seconds: SECONDS };
    issue.push(await requestsPerSecond({ ...common, method: 'POST', headers: json, body }));
    validate.push(
      await requestsPerSecond({ ...common, headers: { 'x-auth-token': token, 'x-subject-token': token } }),
    );
  }
  return [
    atLeast('token issue, 8 clients', '/s', issue, 120, { openstack: 6 }),
    atLeast('token validation, 8 clients', '/s', validate, 7000, { openstack: 79 }),
  ];
}
