import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { NetConnectOpts } from 'node:net';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { freePort } from '../machine.js';
import { TcpProxy } from '../tcp-proxy.js';
import { PATIENCE_MS } from './patience.js';

interface Program {
  readonly args: readonly string[];
  env: Readonly<Record<string, string>>;
  child: ChildProcess | null;
}

export interface ControllerOptions {
  readonly name: string;
  /** How far its wall clock is off. */
  readonly clockShiftMs?: number;
}

/**
 * Several controllers and simulated hosts as processes of their own: one PostgreSQL, which each controller reaches through a proxy of its
 * own, one address for the APIs and one for agents, behind which connections go to the controllers in turn.
 */
export class Cluster {
  readonly directory: string;
  readonly controllers: readonly string[];
  readonly #programs = new Map<string, Program>();
  readonly #database = new Map<string, TcpProxy>();
  readonly #agents = new Map<string, TcpProxy>();
  readonly #apiPorts = new Map<string, number>();
  #api!: TcpProxy;
  #agentAddress!: TcpProxy;
  #token: string | null = null;

  private constructor(directory: string, controllers: readonly string[]) {
    this.directory = directory;
    this.controllers = controllers;
  }

  /** Needs the build in dist. All controllers start at the same moment. */
  static async start(
    directory: string,
    databaseUrl: string,
    controllers: readonly ControllerOptions[],
    hosts: readonly string[],
  ): Promise<Cluster> {
    const cluster = new Cluster(
      directory,
      controllers.map(({ name }) => name),
    );
    mkdirSync(join(directory, 'state'), { recursive: true });
    const agentPorts: NetConnectOpts[] = [];
    const apiPorts: NetConnectOpts[] = [];
    for (const { name, clockShiftMs } of controllers) {
      const [apiPort, agentPort] = [await freePort(), await freePort()];
      const database = await TcpProxy.listen([databaseSocket(databaseUrl)]);
      cluster.#database.set(name, database);
      const agents = await TcpProxy.listen([{ port: agentPort, host: '127.0.0.1' }]);
      cluster.#agents.set(name, agents);
      cluster.#apiPorts.set(name, apiPort);
      apiPorts.push({ port: apiPort, host: '127.0.0.1' });
      agentPorts.push({ port: agents.port, host: '127.0.0.1' });
      const path = new URL(databaseUrl).pathname;
      cluster.#configure(name, clockShiftMs ?? 0, {
        controller: {
          name,
          state_dir: join(directory, 'state'),
          database: `postgres://maru@127.0.0.1:${database.port}${path}`,
          listen: `127.0.0.1:${apiPort}`,
          agent_listen: `127.0.0.1:${agentPort}`,
          agent_names: ['127.0.0.1'],
        },
      });
    }
    cluster.#api = await TcpProxy.listen(apiPorts);
    cluster.#agentAddress = await TcpProxy.listen(agentPorts);
    for (const name of cluster.controllers) cluster.run(name);
    for (const name of hosts) await cluster.#addHost(name);
    await cluster.until('hosts up', async () => {
      const { hosts: found } = await cluster.call<{ hosts: { state: string }[] }>('GET', '/maru/v1/hosts');
      return found.filter(({ state }) => state === 'up').length === hosts.length;
    });
    return cluster;
  }

  /** Starts a program; its output goes to NAME.log. */
  run(name: string, env?: Readonly<Record<string, string>>): void {
    const program = this.#programs.get(name)!;
    if (env) program.env = env;
    const log = openSync(join(this.directory, `${name}.log`), 'a');
    program.child = spawn(process.execPath, program.args, {
      stdio: ['ignore', log, log],
      env: { ...process.env, ...program.env },
    });
    closeSync(log);
  }

  async kill(name: string, signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    const child = this.#programs.get(name)?.child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, 'exit');
    child.kill('SIGCONT');
    child.kill(signal);
    await exit;
  }

  isRunning(name: string): boolean {
    const child = this.#programs.get(name)?.child;
    return child?.exitCode === null && child.signalCode === null;
  }

  /** Requests to the common address go to the other controllers: what a balancer does after its health checks. */
  leaveOut(name: string, out: boolean): void {
    this.#api.leaveOut(this.#apiPorts.get(name)!, out);
  }

  /** Stops a process in the middle of whatever it does, until it is resumed. */
  pause(name: string): void {
    this.#programs.get(name)?.child?.kill('SIGSTOP');
  }

  resume(name: string): void {
    this.#programs.get(name)?.child?.kill('SIGCONT');
  }

  /** The network between a controller and the database. */
  database(name: string): TcpProxy {
    return this.#database.get(name)!;
  }

  /** The network from the agents to a controller. */
  fromAgents(name: string): TcpProxy {
    return this.#agents.get(name)!;
  }

  /** Keeps a controller from reaching any agent, or lets it again; resolves when that is so. */
  async cutFromAgents(name: string, cut: boolean): Promise<void> {
    const file = join(this.directory, `${name}.cut`);
    rmSync(`${file}.seen`, { force: true });
    writeFileSync(file, cut ? 'cut' : '');
    await this.until(`${name} is ${cut ? 'cut off' : 'connected'}`, async () => existsSync(`${file}.seen`));
  }

  async close(): Promise<void> {
    for (const name of this.#programs.keys()) await this.kill(name);
    for (const proxy of [...this.#database.values(), ...this.#agents.values()]) await proxy.close();
    await this.#api?.close();
    await this.#agentAddress?.close();
  }

  log(name: string): string {
    return readFileSync(join(this.directory, `${name}.log`), 'utf8');
  }

  /** Calls an API as administrator and gives the reply's body; again while the controllers cannot answer. */
  async call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await this.request(method, path, body);
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return (text ? JSON.parse(text) : null) as T;
  }

  /** The first reply that is not about a controller that cannot work. */
  async request(method: string, path: string, body?: unknown): Promise<Response> {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      try {
        const response = await this.ask(null, method, path, body);
        if (response.status !== 503 || Date.now() > deadline) return response;
        await response.text();
      } catch (error) {
        if (Date.now() > deadline) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** Asks once: a controller, or (null) whichever the balancer chooses. */
  async ask(controller: string | null, method: string, path: string, body?: unknown): Promise<Response> {
    this.#token ??= await this.#authenticate();
    return await this.#send(controller, method, path, body, { 'x-auth-token': this.#token });
  }

  async until(what: string, condition: () => Promise<boolean>): Promise<void> {
    const deadline = Date.now() + PATIENCE_MS;
    while (!(await condition())) {
      if (Date.now() > deadline) {
        const logs = [...this.#programs.keys()].map((name) => `--- ${name}\n${this.log(name).slice(-1500)}`);
        throw new Error(`not within ${PATIENCE_MS} ms: ${what}\n${logs.join('\n')}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }

  async #authenticate(): Promise<string> {
    await this.until('a controller answers', async () => {
      try {
        return (await this.#send(null, 'GET', '/identity/v3', undefined, {})).ok;
      } catch {
        return false;
      }
    });
    const password = readFileSync(join(this.directory, 'state', 'admin-password'), 'utf8').trim();
    const domain = { id: 'default' };
    const auth = {
      identity: { methods: ['password'], password: { user: { name: 'admin', domain, password } } },
      scope: { project: { name: 'admin', domain } },
    };
    const response = await this.#send(null, 'POST', '/identity/v3/auth/tokens', { auth }, {});
    if (!response.ok) throw new Error(`no token: ${response.status} ${await response.text()}`);
    return response.headers.get('x-subject-token') ?? '';
  }

  async #send(
    controller: string | null,
    method: string,
    path: string,
    body: unknown,
    headers: Readonly<Record<string, string>>,
  ): Promise<Response> {
    const port = controller === null ? this.#api.port : this.#apiPorts.get(controller)!;
    const binary = body instanceof Uint8Array;
    const type = binary ? 'application/octet-stream' : 'application/json';
    return await fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      // each request its own connection: so the balancer spreads them
      headers: { connection: 'close', ...headers, ...(body === undefined ? {} : { 'content-type': type }) },
      ...(body === undefined ? {} : { body: binary ? Buffer.from(body) : JSON.stringify(body) }),
      signal: AbortSignal.timeout(60_000),
    });
  }

  async #addHost(name: string): Promise<void> {
    this.#configure(name, 0, {
      agent: {
        name,
        state_dir: join(this.directory, name),
        controller: `https://127.0.0.1:${this.#agentAddress.port}`,
        listen: '127.0.0.1:0',
      },
    });
    const { token } = await this.call<{ token: string }>('POST', '/maru/v1/hosts/tokens', {
      host_name: name,
    });
    this.run(name, { MARU_JOIN_TOKEN: token });
  }

  #configure(name: string, clockShiftMs: number, sections: object): void {
    const file = join(this.directory, `${name}.yaml`);
    writeFileSync(file, stringify(sections));
    const isController = this.controllers.includes(name);
    const command = isController ? ['controller'] : ['agent', '--simulate'];
    const preload = isController ? ['--import', './test/support/hosts/controller-preload.mjs'] : [];
    this.#programs.set(name, {
      args: [...preload, 'dist/src/main.js', ...command, '--config', file],
      env: isController
        ? {
            CLOCK_SHIFT_MS: String(clockShiftMs),
            CUT_FILE: join(this.directory, `${name}.cut`),
            UNCUT_PORT: String(this.#database.get(name)?.port),
          }
        : {},
      child: null,
    });
  }
}

/** Where the server of a URL listens: `…?host=DIRECTORY` is a unix socket's. */
function databaseSocket(url: string): NetConnectOpts {
  const { searchParams } = new URL(url);
  return { path: join(searchParams.get('host')!, '.s.PGSQL.5432') };
}
