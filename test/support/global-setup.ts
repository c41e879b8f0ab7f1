import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { freePort, machine } from './machine.js';
import { type Postgres, startPostgres } from './postgres.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** Unix socket of the run's resources; see shared.ts. */
    resources: string;
  }
}

/** Another name lets two test runs be on one machine at once. */
const LAB = process.env.MARU_TEST_LAB ?? 'maru-lab-test';
const QUICKSTART_MS = 1_200_000;

/**
 * Keeps what is expensive and shared by test files, one PostgreSQL server and one lab per run, and starts it when a test first
 * asks: test files run in processes of their own, so they ask over a unix socket.
 */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const directory = mkdtempSync(join(tmpdir(), 'maru-test-'));
  const socket = join(directory, 'resources');
  let postgres: Promise<Postgres> | undefined;
  let lab: Promise<string> | undefined;
  const resources: Readonly<Record<string, () => Promise<string>>> = {
    '/postgres-database': async () => {
      postgres ??= startPostgres();
      return await (await postgres).createDatabase();
    },
    '/lab': async () => {
      lab ??= startLab();
      return await lab;
    },
  };

  const server = createServer((request, response) => {
    const get = resources[request.url ?? ''];
    if (!get) {
      response.writeHead(404).end(`no resource ${request.url}`);
      return;
    }
    get().then(
      (value) => response.writeHead(200).end(value),
      (error) => response.writeHead(500).end(String(error)),
    );
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  project.provide('resources', socket);

  return async () => {
    server.close();
    server.closeAllConnections();
    if (lab) await quickstart('--down');
    if (postgres) await (await postgres).stop();
    rmSync(directory, { recursive: true, force: true });
  };
}

/** A cloud of one host, as a user gets it; what a run that was killed has left is removed first. */
async function startLab(): Promise<string> {
  await quickstart('--down');
  const output = await quickstart('--no-demo', '--json', '--api-port', String(await freePort()));
  return output.trimEnd().split('\n').at(-1) ?? '';
}

async function quickstart(...args: string[]): Promise<string> {
  const result = await machine.run('scripts/quickstart', ['--name', LAB, ...args], {
    timeoutMs: QUICKSTART_MS,
  });
  return result.stdout;
}
