import { chownSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { RealHost } from '../../agents/host/real.js';

const PREFIX = 'maru-postgres-';
const SERVERS = '/usr/lib/postgresql';
const START_DEADLINE_MS = 60_000;

/** A PostgreSQL server of the test run's own. */
export interface Postgres {
  /** Connection URL of a database of this server. */
  url(database: string): string;
  /** Makes an empty database and returns its URL. */
  createDatabase(): Promise<string>;
  stop(): Promise<void>;
}

/**
 * Starts a PostgreSQL server (the distribution's binaries) in a temporary directory, reachable only on a unix socket. It runs as an
 * unprivileged user, since it refuses root, and dies with this process even when that is killed.
 */
export async function startPostgres(): Promise<Postgres> {
  const host = new RealHost();
  const bin = join(SERVERS, newestVersion(), 'bin');
  removeLeftovers();
  const directory = mkdtempSync(join(tmpdir(), PREFIX));
  const data = join(directory, 'data');
  const user = await serverUser(host);
  let drop: string[] = [];
  if (user) {
    chownSync(directory, user.uid, user.gid);
    drop = [`--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups'];
  }
  const initdb = [join(bin, 'initdb'), '--pgdata', data, '--username=maru', '--auth=trust'];
  initdb.push('--encoding=UTF8', '--locale=C.UTF-8', '--no-sync');
  await host.run('setpriv', [...drop, '--', ...initdb], { timeoutMs: 120_000 });

  // fsync off: the data live as long as the test run. SIGQUIT on our death is PostgreSQL's immediate shutdown.
  const settings = [
    'listen_addresses=',
    `unix_socket_directories=${directory}`,
    'fsync=off',
    'max_connections=300',
  ];
  const server = host.openPipe('setpriv', [
    ...drop,
    '--pdeathsig=QUIT',
    '--',
    join(bin, 'postgres'),
    ...['-D', data],
    ...settings.flatMap((setting) => ['-c', setting]),
  ]);
  let said = '';
  let ended = false;
  server.onStderr((line) => {
    said = `${said}${line}\n`.slice(-4000);
  });
  const exit = new Promise<void>((resolve) => {
    server.onExit(() => {
      ended = true;
      resolve();
    });
  });

  const url = (database: string) =>
    `postgres://maru@localhost/${database}?host=${encodeURIComponent(directory)}`;
  const deadline = Date.now() + START_DEADLINE_MS;
  while (!(await answers(url('postgres')))) {
    if (ended) throw new Error(`PostgreSQL in ${directory} did not start: ${said}`);
    if (Date.now() > deadline) throw new Error(`PostgreSQL in ${directory} does not answer: ${said}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }

  let databases = 0;
  return {
    url,
    createDatabase: async () => {
      const name = `test_${++databases}`;
      await query(url('postgres'), `create database ${name}`);
      return url(name);
    },
    stop: async () => {
      // SIGINT is a fast shutdown: clients that a failed test left connected do not hold it up
      if (server.pid !== undefined) host.kill(server.pid, 'SIGINT');
      await exit;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function newestVersion(): string {
  const versions = (() => {
    try {
      return readdirSync(SERVERS).filter((name) => /^\d+$/.test(name));
    } catch {
      return [];
    }
  })();
  const newest = versions.sort((a, b) => Number(b) - Number(a))[0];
  if (!newest)
    throw new Error(
      `no PostgreSQL server below ${SERVERS}: install the package postgresql (scripts/test does)`,
    );
  return newest;
}

/** Whom the server runs as: the package's user when we are root, otherwise ourselves (null). */
async function serverUser(host: RealHost): Promise<{ uid: number; gid: number } | null> {
  if (userInfo().uid !== 0) return null;
  const { stdout } = await host.read('getent', ['passwd', 'postgres', 'nobody'], { okCodes: [0, 2] });
  const fields = stdout.split('\n')[0]?.split(':') ?? [];
  if (fields.length < 4)
    throw new Error('neither user postgres nor nobody exists: cannot run PostgreSQL unprivileged');
  return { uid: Number(fields[2]), gid: Number(fields[3]) };
}

/** Directories of runs that were killed before they could remove them. */
function removeLeftovers(): void {
  for (const name of readdirSync(tmpdir()).filter((entry) => entry.startsWith(PREFIX))) {
    const directory = join(tmpdir(), name);
    try {
      const pid = readFileSync(join(directory, 'data/postmaster.pid'), 'utf8').split('\n')[0];
      // no server's, but of a program that another run's initdb has started
      if (pid?.startsWith('-')) continue;
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      if (command.includes(directory)) continue;
    } catch (error) {
      // no pid file: another run may be at initdb just now
      if (!String((error as NodeJS.ErrnoException).path).startsWith('/proc/')) continue;
    }
    rmSync(directory, { recursive: true, force: true });
  }
}

async function answers(url: string): Promise<boolean> {
  try {
    await query(url, 'select 1');
    return true;
  } catch {
    return false;
  }
}

async function query(url: string, text: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  try {
    await client.query(text);
  } finally {
    await client.end();
  }
}
