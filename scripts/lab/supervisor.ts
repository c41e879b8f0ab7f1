import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import * as net from 'node:net';
import { labFiles, labNames } from './names.js';
import { checkPortFree } from './port.js';
import { type ApiSocket, Program, type ProgramSpec, type ProgramState } from './program.js';

/**
 * The lab's supervisor: `node supervisor.js LAB PORT`. Keeps controller and agents running as systemd would on real hosts, and
 * owns the API's listening socket, so that clients only wait while the controller starts again. Controlled over a unix socket:
 * GET / (states), PUT /NAME (run this program), DELETE /NAME, POST /NAME/restart, POST /stop.
 */
async function main(name: string, port: number): Promise<void> {
  const lab = labNames(name);
  const files = labFiles(lab);
  const programs = new Map<string, Program>();
  const log = (text: string) => process.stdout.write(`${new Date().toISOString()} ${text}\n`);
  const api = await boundSocket(port);

  const stop = async () => {
    log('stopping');
    await Promise.all([...programs.values()].map((program) => program.stop(children)));
    rmSync(files.supervisorSocket, { force: true });
    rmSync(files.supervisorPid, { force: true });
    process.exit(0);
  };
  process.on('SIGTERM', () => void stop());
  process.on('SIGINT', () => {});
  process.on('SIGHUP', () => {});

  const routes: Record<string, (target: string, request: IncomingMessage) => Promise<unknown>> = {
    'GET ': async () => states(programs),
    'PUT /': async (target, request) => {
      const spec = (await body(request)) as ProgramSpec;
      const running = programs.get(target);
      if (running && JSON.stringify(running.spec) === JSON.stringify(spec)) return running.state();
      await running?.stop(children);
      const program = new Program(spec, api, log);
      programs.set(target, program);
      program.start();
      return program.state();
    },
    'DELETE /': async (target) => {
      await programs.get(target)?.stop(children);
      programs.delete(target);
      return {};
    },
    'POST /restart': async (target) => {
      const old = programs.get(target);
      if (!old) throw new Error(`no program ${target}; there are: ${[...programs.keys()].join(', ')}`);
      await old.stop(children);
      const program = new Program(old.spec, api, log);
      programs.set(target, program);
      program.start();
      return program.state();
    },
  };

  const control = createServer((request, response) => {
    const [target = '', action] = (request.url ?? '/').slice(1).split('/');
    if (request.method === 'POST' && target === 'stop') {
      response.end('{}');
      void stop();
      return;
    }
    const route = routes[`${request.method} ${target ? '/' : ''}${action ?? ''}`];
    if (!route) {
      response.writeHead(404).end('{}');
      return;
    }
    route(target, request).then(
      (value) => response.end(JSON.stringify(value)),
      (error: unknown) =>
        response
          .writeHead(500)
          .end(JSON.stringify({ error: error instanceof Error ? error.message : String(error) })),
    );
  });
  rmSync(files.supervisorSocket, { force: true });
  control.listen(files.supervisorSocket, () => {
    writeFileSync(files.supervisorPid, `${process.pid}\n`);
    log(`supervising ${lab.name}, API socket 127.0.0.1:${port}`);
  });
}

/** States with the ids of the processes that do the work, not of those that entered a namespace for them. */
function states(programs: ReadonlyMap<string, Program>): ProgramState[] {
  return [...programs.values()].map((program) => {
    const state = program.state();
    if (state.pid === null || program.spec.takesSocket) return state;
    return { ...state, pid: children(state.pid)[0] ?? null };
  });
}

/**
 * A socket that is bound and does not listen: the first process that gets it listens, its successors inherit the queue of waiting
 * clients, and this process accepts nobody itself. Node's cluster module makes its sockets by the same function.
 */
async function boundSocket(port: number): Promise<ApiSocket> {
  await checkPortFree(port);
  const create = (
    net as unknown as {
      _createServerHandle?: (address: string, port: number, family: number) => ApiSocket | number;
    }
  )._createServerHandle;
  if (!create)
    throw new Error(`Node ${process.version} has no net._createServerHandle; use Node 20, 22 or 24`);
  const handle = create('127.0.0.1', port, 4);
  if (typeof handle === 'number') throw new Error(`127.0.0.1:${port} cannot be bound (errno ${-handle})`);
  return handle;
}

/** Children of a process. */
function children(pid: number): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .filter((entry) => parentOf(entry) === pid)
    .map(Number);
}

function parentOf(pid: string): number | null {
  try {
    // the command's name may contain anything, so fields count from its closing parenthesis
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return null;
  }
}

async function body(request: IncomingMessage): Promise<unknown> {
  let text = '';
  request.setEncoding('utf8');
  for await (const chunk of request) text += chunk;
  return JSON.parse(text);
}

const [name, port] = process.argv.slice(2);
if (!name || !port) throw new Error('usage: supervisor.js LAB PORT');
await main(name, Number(port)).catch((error: Error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
