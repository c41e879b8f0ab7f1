import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { freePort } from '../machine.js';
import { PATIENCE_MS } from './patience.js';

interface Program {
  /** What starts the program instead of node, with node's own command line behind it. */
  readonly wrapper: readonly string[];
  readonly args: readonly string[];
  env: Readonly<Record<string, string>>;
  child: ChildProcess | null;
}

/** A controller and simulated hosts as processes of their own, on loopback ports, that can be killed and started again. */
export class SimulatedCloud {
  readonly directory: string;
  readonly endpoint: string;
  /** Times that restartIfDead had to start something. */
  restarts = 0;
  /** Tokens that hosts have joined with. */
  readonly joinTokens: string[] = [];
  readonly #programs = new Map<string, Program>();
  #token: string | null = null;

  private constructor(directory: string, port: number) {
    this.directory = directory;
    this.endpoint = `http://127.0.0.1:${port}`;
  }

  /**
   * Needs the build in dist. With `stateMb` the controller's state directory is a file system of that size (MiB), which only its own
   * mount namespace has (root only).
   */
  static async start(
    directory: string,
    hosts: readonly string[],
    stateMb: number | null = null,
    more: { readonly controller?: object; readonly agent?: object } = {},
  ): Promise<SimulatedCloud> {
    const [apiPort, agentPort] = [await freePort(), await freePort()];
    const cloud = new SimulatedCloud(directory, apiPort);
    cloud.#configure('controller', {
      controller: {
        state_dir: join(directory, 'controller'),
        listen: `127.0.0.1:${apiPort}`,
        agent_listen: `127.0.0.1:${agentPort}`,
        agent_names: ['127.0.0.1'],
        // also read by the test, which does not see the controller's mounts
        admin_password_file: join(directory, 'admin-password'),
        ...more.controller,
      },
    });
    if (stateMb !== null) cloud.#enclose('controller', join(directory, 'controller'), stateMb);
    cloud.run('controller');
    for (const name of hosts) {
      cloud.#configure(name, {
        agent: {
          name,
          state_dir: join(directory, name),
          controller: `https://127.0.0.1:${agentPort}`,
          listen: '127.0.0.1:0',
          ...more.agent,
        },
      });
      const { token } = await cloud.call<{ token: string }>('POST', '/maru/v1/hosts/tokens', {
        host_name: name,
      });
      cloud.joinTokens.push(token);
      cloud.run(name, { MARU_JOIN_TOKEN: token });
    }
    const up = async () => {
      const { hosts: found } = await cloud.call<{ hosts: { state: string }[] }>('GET', '/maru/v1/hosts');
      return found.filter(({ state }) => state === 'up').length === hosts.length;
    };
    for (const deadline = Date.now() + PATIENCE_MS; !(await up()); ) {
      if (Date.now() > deadline)
        throw new Error(`hosts not up: ${hosts.map((name) => cloud.log(name)).join('\n')}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return cloud;
  }

  /** Starts a program, with the environment that it was started with before; its output goes to NAME.log. */
  run(name: string, env?: Readonly<Record<string, string>>): void {
    const program = this.#programs.get(name);
    if (!program) throw new Error(`no program ${name}`);
    if (env) program.env = env;
    const log = openSync(join(this.directory, `${name}.log`), 'a');
    const [command = '', ...args] = [
      ...program.wrapper,
      process.execPath,
      'dist/src/main.js',
      ...program.args,
    ];
    program.child = spawn(command, args, {
      stdio: ['ignore', log, log],
      env: { ...process.env, ...program.env },
    });
    closeSync(log);
  }

  /** Where a program's configuration is. */
  file(name: string): string {
    return join(this.directory, `${name}.yaml`);
  }

  signal(name: string, signal: NodeJS.Signals): void {
    this.#programs.get(name)?.child?.kill(signal);
  }

  /** The administrator's token. */
  get token(): string | null {
    return this.#token;
  }

  /** A path as the program sees it, whatever it has mounted. */
  inside(name: string, path: string): string {
    return `/proc/${this.#programs.get(name)?.child?.pid}/root${path}`;
  }

  /** kill -9. */
  async kill(name: string): Promise<void> {
    const child = this.#programs.get(name)?.child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  /** Starts a program again that has ended by itself, without the environment that it was started with. */
  restartIfDead(name: string): void {
    const child = this.#programs.get(name)?.child;
    if (!child || (child.exitCode === null && child.signalCode === null)) return;
    this.restarts++;
    this.run(name, {});
  }

  /** Calls an API once as administrator; null when there is no answer, or only the beginning of one. */
  async tryOnce(method: string, path: string, body?: unknown): Promise<Response | null> {
    this.#token ??= await this.#authenticate();
    try {
      const response = await this.#fetch(method, path, body, { 'x-auth-token': this.#token });
      const text = await response.text();
      return new Response(text || null, { status: response.status, headers: response.headers });
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
      return null;
    }
  }

  /** What a host would still do; an answer that is none, of one that has only just been started, is a step too. */
  async stepsOf(host: string): Promise<unknown[]> {
    const response = await this.request('GET', `/maru/v1/hosts/${host}/plan`);
    const text = await response.text();
    return response.ok ? (JSON.parse(text) as { plan: { steps: unknown[] } }).plan.steps : [text];
  }

  /** Names of the files in the controller's image store. */
  imageFiles(): string[] {
    return readdirSync(join(this.directory, 'controller', 'images'));
  }

  async close(): Promise<void> {
    for (const name of this.#programs.keys()) await this.kill(name);
  }

  log(name: string): string {
    return readFileSync(join(this.directory, `${name}.log`), 'utf8');
  }

  /** Calls an API as administrator and gives the reply's body; waits while the controller is away. */
  async call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await this.request(method, path, body);
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return (text ? JSON.parse(text) : null) as T;
  }

  async request(method: string, path: string, body?: unknown): Promise<Response> {
    this.#token ??= await this.#authenticate();
    const response = await this.#send(method, path, body, { 'x-auth-token': this.#token });
    if (response.status !== 401) return response;
    // every token ends when a new incarnation begins
    this.#token = await this.#authenticate();
    return await this.#send(method, path, body, { 'x-auth-token': this.#token });
  }

  async #authenticate(): Promise<string> {
    const file = join(this.directory, 'admin-password');
    // the controller writes it before it listens
    await this.#send('GET', '/identity/v3', undefined, {});
    const password = readFileSync(file, 'utf8').trim();
    const domain = { id: 'default' };
    const response = await this.#send(
      'POST',
      '/identity/v3/auth/tokens',
      {
        auth: {
          identity: { methods: ['password'], password: { user: { name: 'admin', domain, password } } },
          scope: { project: { name: 'admin', domain } },
        },
      },
      {},
    );
    return response.headers.get('x-subject-token') ?? '';
  }

  async #send(
    method: string,
    path: string,
    body: unknown,
    headers: Readonly<Record<string, string>>,
  ): Promise<Response> {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      try {
        return await this.#fetch(method, path, body, headers);
      } catch (error) {
        if (Date.now() > deadline)
          throw new Error(`${method} ${path}: ${this.log('controller').slice(-2000)}`, { cause: error });
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  }

  async #fetch(
    method: string,
    path: string,
    body: unknown,
    headers: Readonly<Record<string, string>>,
  ): Promise<Response> {
    const binary = body instanceof Uint8Array;
    const type = binary ? 'application/octet-stream' : 'application/json';
    return await fetch(`${this.endpoint}${path}`, {
      method,
      headers: body === undefined ? headers : { ...headers, 'content-type': type },
      ...(body === undefined ? {} : { body: binary ? Buffer.from(body) : JSON.stringify(body) }),
    });
  }

  #configure(name: string, sections: object): void {
    const file = join(this.directory, `${name}.yaml`);
    writeFileSync(file, stringify(sections));
    const command = name === 'controller' ? ['controller'] : ['agent', '--simulate'];
    this.#programs.set(name, {
      wrapper: [],
      args: [...command, '--config', file],
      env: {},
      child: null,
    });
  }

  /** A file system that goes with the program's mount namespace: exec keeps the process id that is killed. */
  #enclose(name: string, directory: string, megabytes: number): void {
    const program = this.#programs.get(name);
    if (!program) return;
    const script = 'mkdir -p "$0" && mount -t tmpfs -o size="$1"m tmpfs "$0" && shift && exec "$@"';
    const wrapper = ['unshare', '--mount', 'sh', '-c', script, directory, String(megabytes)];
    this.#programs.set(name, { ...program, wrapper });
  }
}
