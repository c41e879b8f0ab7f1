import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { Agent } from '../../../agents/agent.js';
import { loadAgentConfig } from '../../../agents/config.js';
import { FakeMachine, type MachineOptions } from '../../../agents/host/fake/machine.js';
import { FakeHost } from '../../../agents/host/fake.js';
import { RealHost } from '../../../agents/host/real.js';
import { startAgent } from '../../../agents/main.js';
import { type Config, loadConfig } from '../../../src/config.js';
import { type Controller, startController } from '../../../src/controller.js';
import { createLogger } from '../../../src/protocol/log.js';
import { Store } from '../../../src/store/store.js';
import { freePort } from '../machine.js';
import { type Dialect, newDatabase } from '../stores.js';
import { Fate, type Moment } from './fate.js';
import { PATIENCE_MS } from './patience.js';
import { giveFate, latestStore, StoreFate, watchStores } from './store-fate.js';

/** A reply of the API; `known` is false when the controller died meanwhile, or was away: nobody heard the answer. */
export interface FaultReply<T = unknown> {
  readonly known: boolean;
  readonly status: number;
  readonly body: T;
}

export interface FaultCloudOptions {
  readonly hosts: readonly string[];
  readonly dialect?: Dialect;
  /** More of the controller's configuration. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly machine?: Partial<MachineOptions>;
}

interface RunningAgent {
  readonly agent: Agent;
  readonly fate: Fate;
}

const LOG_LINES = 400;

/**
 * A controller and agents on simulated hosts in this process, over the real API, TLS and database, that can be killed at any of their
 * changes or transactions and started again. Machines outlive their agents, the database its controller.
 */
export class FaultCloud {
  readonly directory: string;
  readonly hosts: readonly string[];
  readonly machines = new Map<string, FakeMachine>();
  readonly agents = new Map<string, RunningAgent>();
  readonly lines: string[] = [];
  readonly endpoint: string;
  readonly #configFile: string;
  readonly #cleanups: (() => Promise<void> | void)[];
  #controller: Controller | null = null;
  #config: Config | null = null;
  #fate: StoreFate | null = null;
  #store: Store | null = null;
  /** Rises with every death of a controller. */
  #deaths = 0;
  #token: string | null = null;

  private constructor(
    directory: string,
    hosts: readonly string[],
    apiPort: number,
    cleanups: (() => Promise<void> | void)[],
  ) {
    this.directory = directory;
    this.hosts = hosts;
    this.endpoint = `http://127.0.0.1:${apiPort}`;
    this.#configFile = join(directory, 'controller.yaml');
    this.#cleanups = cleanups;
  }

  /** Starts the controller, lets the hosts join, and resolves when all are up. */
  static async start(options: FaultCloudOptions): Promise<FaultCloud> {
    const cleanups: (() => Promise<void> | void)[] = [];
    const directory = mkdtempSync(join(tmpdir(), 'maru-fault-'));
    cleanups.push(() => rmSync(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 }));
    cleanups.push(watchStores());
    const [apiPort, agentPort] = [await freePort(), await freePort()];
    const cloud = new FaultCloud(directory, options.hosts, apiPort, cleanups);
    const controller = {
      state_dir: join(directory, 'controller'),
      listen: `127.0.0.1:${apiPort}`,
      agent_listen: `127.0.0.1:${agentPort}`,
      agent_names: ['127.0.0.1'],
      ...(options.dialect === 'postgres' && { database: await newDatabase('postgres', cleanups) }),
      ...options.config,
    };
    writeFileSync(cloud.#configFile, stringify({ controller }));
    await cloud.startController();
    for (const [n, name] of options.hosts.entries()) {
      cloud.machines.set(name, new FakeMachine({ hostname: name, shutdownMs: 5, ...options.machine }));
      const agent = {
        name,
        state_dir: join(directory, name),
        controller: `https://127.0.0.1:${agentPort}`,
        listen: '127.0.0.1:0',
        // tunnels lead to addresses of documentation: nothing is ever sent there
        underlay_ip: `192.0.2.${n + 1}`,
        heartbeat_interval: 0.2,
        boot_wait: 2,
        log_level: 'warn',
      };
      writeFileSync(join(directory, `${name}.yaml`), stringify({ agent }));
      const { token } = await cloud.call<{ token: string }>('POST', '/maru/v1/hosts/tokens', {
        host_name: name,
      });
      await cloud.startAgent(name, new Fate(), token);
    }
    await cloud.waitFor('hosts up', async () => {
      const { hosts } = await cloud.call<{ hosts: { state: string }[] }>('GET', '/maru/v1/hosts');
      const down = options.hosts.length - hosts.filter(({ state }) => state === 'up').length;
      return down === 0 ? [] : [`${down} hosts are not up`];
    });
    return cloud;
  }

  /** The database of the controller that runs, or ran last. */
  get store(): Store {
    if (!this.#store) throw new Error('no controller was started');
    return this.#store;
  }

  async startController(): Promise<void> {
    this.#config = loadConfig(this.#configFile);
    this.#controller = await startController(this.#config, this.#log('controller'));
    this.#store = latestStore();
  }

  /** Ends it as SIGTERM would. */
  async stopController(): Promise<void> {
    this.#deaths++;
    await this.#controller?.close();
    this.#controller = null;
  }

  /** As a reload of the configuration with another `host_down_after`, in seconds. */
  async countDownAfter(seconds: number): Promise<void> {
    if (this.#config) Object.assign(this.#config, { host_down_after: seconds });
    await this.#controller?.reloaded(new Set(['host_down_after']));
  }

  /** From now on the controller dies at its nth transaction. */
  killControllerAt(transaction: number, moment: Moment): StoreFate {
    this.#fate = new StoreFate(transaction, moment, () => this.#deaths++);
    giveFate(this.store, this.#fate);
    return this.#fate;
  }

  /** Takes the dead controller's sockets away and starts the next one on the same database. */
  async replaceController(): Promise<void> {
    this.#fate?.die();
    // what it still wants to write is refused: it is dead
    await this.#controller?.close().catch(() => {});
    this.#fate = null;
    await this.#endLeases();
    await this.startController();
  }

  /** On PostgreSQL the next controller waits until the leases of the dead one have run out: that time passes at once. */
  async #endLeases(): Promise<void> {
    if (this.#config?.database.startsWith('postgres') !== true) return;
    const store = await Store.open(this.#config.database);
    try {
      await store.tx(async (tx) => {
        await tx.updateTable('controller').set({ lease_until: 1 }).where('lease_until', '>', 1).execute();
        await tx
          .updateTable('task')
          .set({ lease_until: '2000-01-01T00:00:00.000Z' })
          .where('lease_until', 'is not', null)
          .execute();
      });
    } finally {
      await store.close();
    }
  }

  async startAgent(name: string, fate = new Fate(), token?: string): Promise<void> {
    const machine = this.machines.get(name);
    if (!machine) throw new Error(`no host ${name}`);
    const config = loadAgentConfig(join(this.directory, `${name}.yaml`));
    const agent = await startAgent(
      config,
      {
        host: fate.bind(new FakeHost(machine)),
        files: fate.bind(new RealHost()),
        ...(token === undefined ? {} : { join: token }),
      },
      this.#log(name),
    );
    this.agents.set(name, { agent, fate });
  }

  /** The host's agent dies at its nth change from now. */
  killAgentAt(name: string, change: number, moment: Moment): Fate {
    const running = this.agents.get(name);
    if (!running) throw new Error(`no agent of ${name} runs`);
    running.fate.arm(change, moment, () => void running.agent.close());
    return running.fate;
  }

  /** The host's disk refuses changes that match, in words as `writeFile PATH`; gives what it refuses. */
  fillDisk(name: string, changes: RegExp): readonly string[] {
    return this.agents.get(name)?.fate.fill(changes) ?? [];
  }

  freeDisk(name: string): void {
    this.agents.get(name)?.fate.fill(null);
  }

  /** kill -9 of the agent; its machine goes on. */
  async stopAgent(name: string): Promise<void> {
    const running = this.agents.get(name);
    this.agents.delete(name);
    running?.fate.die();
    // what a dead agent still waits for never comes
    await Promise.race([running?.agent.close(), new Promise((resolve) => setTimeout(resolve, 20))]);
  }

  /** Power off: the agent and all guests end, and with them what is only in memory. */
  async powerOff(name: string): Promise<void> {
    await this.stopAgent(name);
    const machine = this.machines.get(name);
    if (machine) this.machines.set(name, rebooted(machine));
  }

  async close(): Promise<void> {
    for (const name of this.hosts) await this.stopAgent(name);
    this.#fate?.die();
    await this.#controller?.close().catch(() => {});
    for (const cleanup of [...this.#cleanups].reverse()) await cleanup();
  }

  /** Calls the API as administrator; waits while the controller is away, throws unless it answers with success. */
  async call<T>(method: string, path: string, body?: unknown): Promise<T> {
    for (const deadline = Date.now() + PATIENCE_MS; ; ) {
      const reply = await this.request<T>(method, path, body);
      if (reply.known && reply.status < 300) return reply.body;
      if (reply.known || Date.now() > deadline)
        throw new Error(`${method} ${path}: ${reply.status} ${JSON.stringify(reply.body)}\n${this.log()}`);
      await pause(20);
    }
  }

  /** Asks once. */
  async request<T>(method: string, path: string, body?: unknown): Promise<FaultReply<T>> {
    const deaths = this.#deaths;
    try {
      this.#token ??= await this.#authenticate();
      const { status, json } = await this.#send(method, path, body, { 'x-auth-token': this.#token });
      return { known: deaths === this.#deaths, status, body: json as T };
    } catch (error) {
      return { known: false, status: 0, body: { error: String(error) } as T };
    }
  }

  /** Waits until there is nothing left to wait for; throws with what that is. */
  async waitFor(
    what: string,
    missing: () => Promise<readonly string[]>,
    timeoutMs = PATIENCE_MS,
  ): Promise<void> {
    let left: readonly string[] = [];
    for (const deadline = performance.now() + timeoutMs; performance.now() < deadline; ) {
      left = await missing();
      if (left.length === 0) return;
      await pause(10);
    }
    throw new Error(`not within ${timeoutMs} ms: ${what}\n${left.join('\n')}\n${this.log()}`);
  }

  /** The last words of all programs. */
  log(): string {
    return this.lines.slice(-12).join('');
  }

  async #authenticate(): Promise<string> {
    const password = readFileSync(join(this.directory, 'controller', 'admin-password'), 'utf8').trim();
    const domain = { id: 'default' };
    const identity = { methods: ['password'], password: { user: { name: 'admin', domain, password } } };
    const scope = { project: { name: 'admin', domain } };
    const { status, headers } = await this.#send(
      'POST',
      '/identity/v3/auth/tokens',
      { auth: { identity, scope } },
      {},
    );
    const token = headers.get('x-subject-token');
    if (status !== 201 || !token) throw new Error(`no token: status ${status}`);
    return token;
  }

  async #send(method: string, path: string, body: unknown, headers: Readonly<Record<string, string>>) {
    const binary = body instanceof Uint8Array;
    const type = binary ? 'application/octet-stream' : 'application/json';
    const response = await fetch(`${this.endpoint}${path}`, {
      method,
      headers: body === undefined ? headers : { ...headers, 'content-type': type },
      ...(body === undefined ? {} : { body: binary ? Buffer.from(body) : JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, json: text ? parse(text) : null };
  }

  #log(name: string) {
    return createLogger('warn', { program: name }, (line) => {
      if (line.includes('nothing on this host is real')) return;
      this.lines.push(line);
      if (this.lines.length > LOG_LINES) this.lines.shift();
    });
  }
}

/** The machine after its power was off: files on its disks and definitions of guests are there, nothing else. */
function rebooted(machine: FakeMachine): FakeMachine {
  const next = new FakeMachine(machine.options);
  for (const path of machine.files.paths()) {
    const file = machine.files.get(path);
    if (!file || /^\/(proc|run|sys)\//.test(path)) continue;
    const { size, disk, mtimeMs, ino } = file;
    Object.assign(next.files.write(path, file.content, file.mode), { size, disk, mtimeMs, ino });
  }
  for (const [uuid, domain] of machine.domains) {
    next.domains.set(uuid, { ...domain, running: null, state: 'shut off', reason: 'unknown' });
  }
  return next;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
