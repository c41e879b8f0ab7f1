import { userInfo } from 'node:os';
import { ConfigInvalid } from '../protocol/config/problem.js';
import { withoutPasswords } from '../protocol/config/secrets.js';
import { CliError } from './error.js';

/**
 * Runs a program that stays, and ends the process with one clear sentence when it cannot start: exit code 2 when the configuration is
 * wrong, 1 otherwise. `config`: its file, to tell whether the sandbox of its unit is to blame. What it had begun to listen on must not keep the process alive.
 */
export async function startOrExplain(
  program: 'controller' | 'agent',
  start: () => Promise<void>,
  config: string,
): Promise<void> {
  try {
    await start();
  } catch (error) {
    const { explainSandbox } = await import('./config/unit-sandbox.js');
    const lines = [
      ...explainStartFailure(program, error).split('\n'),
      ...(await explainSandbox(program, config)),
    ];
    for (const line of lines) process.stderr.write(`maru: ${line}\n`);
    process.exit(
      error instanceof ConfigInvalid || (error instanceof CliError && error.exitCode === 2) ? 2 : 1,
    );
  }
}

/** What is wrong and what to do about it; of what nobody expected, with the stack. */
export function explainStartFailure(program: 'controller' | 'agent', error: unknown): string {
  return explainFailure(`the ${program} cannot start`, error, program);
}

/** The same of something else that uses a program's configuration; `what` has failed. */
export function explainFailure(what: string, error: unknown, program: 'controller' | 'agent'): string {
  if (error instanceof ConfigInvalid || error instanceof CliError) return error.message;
  const known = explained(error);
  if (known) return withoutPasswords(`${what}: ${known.explain(known.failure, program)}`);
  const failure = firstOf(error);
  const text = isBug(failure) ? failure.stack : failure.message;
  return withoutPasswords(`${what}: ${text}`);
}

type Failure = NodeJS.ErrnoException & {
  readonly address?: string;
  readonly port?: number;
  readonly dest?: string;
};

type Explain = (failure: Failure, program: 'controller' | 'agent') => string;

const BY_CODE: Readonly<Record<string, Explain>> = {
  EADDRINUSE: ({ address, port }, program) =>
    `another program listens on ${address}:${port} already; \`ss -ltnp 'sport = :${port}'\` shows which. ` +
    `Stop it, or change ${listenKeys(program)} in the configuration`,
  EADDRNOTAVAIL: ({ address, port }, program) =>
    `this machine has no address ${address} (for ${address}:${port}); \`ip -brief address\` shows those it has. ` +
    `Change ${listenKeys(program)} in the configuration`,
  EACCES: (failure) =>
    failure.port === undefined
      ? notAllowed(failure)
      : `user ${user()} may not listen on port ${failure.port}; ports below 1024 need CAP_NET_BIND_SERVICE`,
  EPERM: (failure) => notAllowed(failure),
  ENOENT: ({ path, syscall }) =>
    `there is no ${path ?? 'such file'} (${syscall ?? 'open'}): make it, or mend the path in the configuration`,
  ENOTDIR: ({ path }) => `${path ?? 'a path of the configuration'} leads through a file that is no directory`,
  EROFS: ({ path }) =>
    `${path ?? 'a directory of the configuration'} is on a file system that is mounted read-only`,
  ENOSPC: ({ path }) => `no space is left for ${path ?? 'its files'}; \`df -h\` shows how full disks are`,
  SQLITE_CANTOPEN: () =>
    `the database file cannot be opened by user ${user()}; it and its directory, named by controller.database, must be writable by this user`,
  SQLITE_READONLY: () =>
    `user ${user()} may not write to the database file; chown it to the user of the controller`,
  SQLITE_NOTADB: () => 'the file that controller.database names is no SQLite database',
  SQLITE_CORRUPT: () => 'the database file is damaged; bring back a backup of it',
  SQLITE_FULL: () => 'no space is left for the database; `df -h` shows how full disks are',
  ECONNREFUSED: (failure) =>
    `${server(failure)} refuses connections; is PostgreSQL running there? (controller.database)`,
  ENOTFOUND: (failure) =>
    `the name of the database's server is not known: ${failure.message} (controller.database)`,
  EAI_AGAIN: (failure) =>
    `the name of the database's server cannot be looked up: ${failure.message} (controller.database)`,
  ETIMEDOUT: (failure) => `${server(failure)} does not answer (controller.database)`,
  EHOSTUNREACH: (failure) => `${server(failure)} cannot be reached (controller.database)`,
  '28P01': ({ message }) =>
    `PostgreSQL refuses the user or the password: ${message}; put the right one into the file that controller.database_password_file names`,
  '28000': ({ message }) => `PostgreSQL lets this user in nowhere: ${message}; see pg_hba.conf on its server`,
  '3D000': ({ message }) =>
    `${message}; make it with \`createdb\`, as the user that controller.database names`,
  '42501': ({ message }) => `${message}; the user that controller.database names must own its database`,
  '53300': ({ message }) => `PostgreSQL takes no more connections: ${message}; raise its max_connections`,
};

function listenKeys(program: 'controller' | 'agent'): string {
  return program === 'controller' ? 'controller.listen or controller.agent_listen' : 'agent.listen';
}

function notAllowed({ path, syscall, message }: Failure): string {
  if (path === undefined) return `user ${user()} may not do that: ${message}`;
  return `user ${user()} may not ${syscall ?? 'open'} ${path}; \`namei -l ${path}\` shows who may`;
}

function server({ address, port, message }: Failure): string {
  return address === undefined ? message : `${address}${port === undefined ? '' : `:${port}`}`;
}

function user(): string {
  const { uid, username } = userInfo();
  return uid === 0 ? 'root' : username;
}

/** Of several addresses that were tried in vain, the first. */
function firstOf(error: unknown): Failure {
  if (error instanceof AggregateError && error.errors.length > 0) return firstOf(error.errors[0]);
  return error instanceof Error ? error : new Error(String(error));
}

/** The error, or what caused it, that there is an explanation for. */
function explained(error: unknown): { readonly failure: Failure; readonly explain: Explain } | null {
  const failure = firstOf(error);
  const explain = BY_CODE[failure.code ?? ''];
  if (explain) return { failure, explain };
  return failure.cause === undefined ? null : explained(failure.cause);
}

/** Errors that the language throws, not we: where it was is what there is to know. */
function isBug(failure: Failure): boolean {
  // better-sqlite3 says so of a directory that is not there
  if (/^Cannot open database/.test(failure.message)) return false;
  return [TypeError, RangeError, ReferenceError, SyntaxError].some((kind) => failure instanceof kind);
}
