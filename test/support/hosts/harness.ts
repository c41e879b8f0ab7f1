import { createReadStream } from 'node:fs';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { certificateAddresses } from '../../../agents/addresses.js';
import { Agent } from '../../../agents/agent.js';
import type { AgentConfig } from '../../../agents/config.js';
import { RealHost } from '../../../agents/host/real.js';
import type { Part } from '../../../agents/part.js';
import type { Parts } from '../../../agents/reconciler.js';
import { SpecStore } from '../../../agents/spec-store.js';
import { Controller } from '../../../agents/transport/controller.js';
import { type Identity, join as joinController, loadIdentity } from '../../../agents/transport/identity.js';
import type { AnyHostKind, HostKind } from '../../../src/desired/kind.js';
import type { CertificateOptions } from '../../../src/hosts/certificates.js';
import { Hosts } from '../../../src/hosts/hosts.js';
import { createLogger, type Logger } from '../../../src/protocol/log.js';
import { NO_LOG } from '../../../src/protocol/log-source.js';
import type { HostFacts } from '../../../src/protocol/messages.js';
import type { ObjectBodies, ObjectKind } from '../../../src/protocol/objects.js';
import { deleteHost } from '../../../src/store/hosts.js';
import { recordChange, type Store, Store as StoreClass } from '../../../src/store/store.js';
import { newDatabase } from '../stores.js';

/** A controller's host side on a loopback port, with objects that the test sets. */
export class TestController {
  readonly store: Store;
  readonly directory: string;
  readonly objects: FakeObjects;
  readonly lines: string[];
  hosts: Hosts;
  port = 0;

  /** Where it listens for agents, as it stands in a URL. */
  readonly address: string;
  readonly #certificates: CertificateOptions | undefined;

  private constructor(
    store: Store,
    directory: string,
    objects: FakeObjects,
    hosts: Hosts,
    lines: string[],
    certificates: CertificateOptions | undefined,
    address: string,
  ) {
    this.address = address;
    this.store = store;
    this.#certificates = certificates;
    this.directory = directory;
    this.objects = objects;
    this.hosts = hosts;
    this.lines = lines;
  }

  static async start(
    cleanups: (() => Promise<void> | void)[],
    certificates?: CertificateOptions,
    address = '127.0.0.1',
  ): Promise<TestController> {
    const store = await StoreClass.open(await newDatabase('sqlite', cleanups));
    cleanups.push(() => store.close());
    const directory = await temporaryDirectory(cleanups);
    const lines: string[] = [];
    const objects = new FakeObjects(store);
    const hosts = await openHosts(store, directory, objects, `${address}:0`, lines, certificates);
    const controller = new TestController(store, directory, objects, hosts, lines, certificates, address);
    cleanups.push(() => controller.hosts.close());
    return controller;
  }

  async listen(): Promise<void> {
    this.port = await this.hosts.start();
  }

  /** As a new process would: same database, same state directory, same port. */
  async restart(): Promise<void> {
    await this.hosts.close();
    this.hosts = await openHosts(
      this.store,
      this.directory,
      this.objects,
      `${this.address}:${this.port}`,
      this.lines,
      this.#certificates,
    );
    await this.hosts.start();
  }

  get url(): string {
    return `https://${this.address}:${this.port}`;
  }

  async token(hostName: string | null = null, ttlSeconds = 60): Promise<string> {
    return (await this.hosts.createJoinToken({ hostName, ttlSeconds, url: this.url })).token;
  }

  /** As core removes a host on which nothing is. */
  async removeHost(hostId: string): Promise<void> {
    await this.store.tx((tx) => deleteHost(tx, hostId));
    await this.hosts.forgetHost(hostId);
  }

  imageFile(id: string): string {
    return join(this.directory, `image-${id}`);
  }
}

async function openHosts(
  store: Store,
  directory: string,
  objects: FakeObjects,
  agent_listen: string,
  lines: string[],
  certificates: CertificateOptions | undefined,
): Promise<Hosts> {
  return await Hosts.open({
    config: {
      name: 'controller',
      listen: '127.0.0.1:0',
      state_dir: directory,
      agent_listen,
      agent_names: ['localhost', '127.0.0.1', '::1'],
      host_down_after: 30,
      drift: {},
    },
    store,
    writeIdentity: (body) => store.tx(body),
    log: memoryLog(lines),
    kinds: objects.kinds(),
    ...(certificates ? { certificates } : {}),
    openImage: async (id) => {
      const file = join(directory, `image-${id}`);
      return { stream: createReadStream(file), size: (await stat(file)).size };
    },
  });
}

export function memoryLog(lines: string[]): Logger {
  return createLogger('debug', {}, (line) => lines.push(line));
}

export async function temporaryDirectory(cleanups: (() => Promise<void> | void)[]): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'maru-hosts-'));
  cleanups.push(() => rm(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 }));
  return directory;
}

/** What hosts should have, held in memory; a change is recorded as core would. */
export class FakeObjects {
  readonly #store: Store;
  readonly #bodies = new Map<string, Map<string, { hostId: string; body: unknown }>>();
  /** Kinds that fail when asked. */
  readonly broken = new Set<ObjectKind>();

  constructor(store: Store) {
    this.#store = store;
  }

  async set(
    hostId: string,
    kind: 'port' | 'server' | 'network' | 'volume',
    id: string,
    body: object,
    requestId?: string,
  ) {
    this.setSilently(hostId, kind, id, body);
    await this.#store.tx((tx) => recordChange(tx, kind, id, requestId ?? null));
  }

  setSilently(hostId: string, kind: ObjectKind, id: string, body: object): void {
    const all = this.#bodies.get(kind) ?? new Map();
    all.set(id, { hostId, body: { id, ...body } });
    this.#bodies.set(kind, all);
  }

  async remove(kind: 'port' | 'server' | 'network' | 'volume', id: string): Promise<void> {
    this.removeSilently(kind, id);
    await this.#store.tx((tx) => recordChange(tx, kind, id));
  }

  removeSilently(kind: ObjectKind, id: string): void {
    this.#bodies.get(kind)?.delete(id);
  }

  kinds(): readonly AnyHostKind[] {
    return (['network', 'port', 'server', 'volume'] as const).map((kind) => this.#kind(kind) as AnyHostKind);
  }

  #kind<K extends 'network' | 'port' | 'server' | 'volume'>(kind: K): HostKind<K> {
    return {
      kind,
      dependsOn: [kind],
      hostsOf: async (_db, change) => {
        const found = change.kind === kind ? this.#bodies.get(kind)?.get(change.id) : undefined;
        return found ? [found.hostId] : [];
      },
      objects: async (_db, hostId) => {
        if (this.broken.has(kind)) throw new Error(`${kind} objects are broken`);
        const mine = new Map<string, ObjectBodies[K]>();
        for (const [id, entry] of this.#bodies.get(kind) ?? []) {
          if (entry.hostId === hostId) mine.set(id, entry.body as ObjectBodies[K]);
        }
        return mine;
      },
    };
  }
}

/** An agent process in miniature: real identity, real sockets, real files, and the parts that the test gives. */
export class TestAgent {
  readonly config: AgentConfig;
  readonly lines: string[] = [];
  identity!: Identity;
  /** Another one stands for a boot of the host. */
  bootId = 'boot-1';
  /** What of its facts is other than a test's. */
  facts: Partial<HostFacts> = {};
  agent!: Agent;
  port = 0;

  private constructor(config: AgentConfig) {
    this.config = config;
  }

  static async create(
    name: string,
    cleanups: (() => Promise<void> | void)[],
    changes: Partial<AgentConfig> = {},
  ): Promise<TestAgent> {
    const agent = new TestAgent({
      name,
      state_dir: await temporaryDirectory(cleanups),
      controller: '',
      listen: '127.0.0.1:0',
      underlay_ip: '127.0.0.1',
      physical_networks: { extnet: 'br-ex' },
      virt_type: 'auto',
      libvirt_uri: 'qemu:///system',
      log_level: 'debug',
      log_file: null,
      log_file_size_mb: 50,
      log_files_kept: 5,
      heartbeat_interval: 0.2,
      full_sync_interval: 3600,
      max_removal_share: 0.5,
      image_cache_days: 0,
      boot_wait: 15,
      ...changes,
    });
    cleanups.push(() => agent.stop());
    return agent;
  }

  async join(token: string): Promise<Identity> {
    const { name, state_dir, controller } = this.config;
    this.identity = await joinController(new RealHost(), state_dir, token, {
      name,
      controller,
      agentUrl: 'https://127.0.0.1:1',
      addresses: certificateAddresses(this.config),
      underlayIp: this.config.underlay_ip,
    });
    return this.identity;
  }

  /** As a new process would: what is not on disk is forgotten. */
  async start(parts: Partial<Parts> = {}): Promise<void> {
    const files = new RealHost();
    const log = memoryLog(this.lines);
    const { config } = this;
    this.identity = (await loadIdentity(files, config.state_dir, config.controller))!;
    this.agent = new Agent({
      config,
      identity: this.identity,
      controller: new Controller(this.identity),
      files,
      specs: new SpecStore(files, config.state_dir, config.max_removal_share),
      parts: {
        network: idlePart('network'),
        storage: idlePart('storage'),
        compute: idlePart('compute'),
        metadata: idlePart('metadata'),
        ...parts,
      },
      bootId: this.bootId,
      facts: async () => ({ ...testFacts(config.name), ...this.facts }),
      usage: async () => ({ memory_used_mb: 1, disk_used_gb: 1, running_guests: 0 }),
      probe: async () => ({ unknown_networks: [], answers: [] }),
      trace: async ({ checks }) => ({ findings: checks.map(({ kind }) => ({ state: 'ok', detail: kind })) }),
      logs: NO_LOG.find,
      consoleOutput: async (id, lines) => `console of ${id}, ${lines} lines\n`,
      doctor: async () => {
        throw new Error('nobody asks this one');
      },
      log,
      retryMs: 20,
    });
    this.port = (await this.agent.start()).port;
  }

  async stop(): Promise<void> {
    await this.agent?.close();
  }
}

export function testFacts(hostname: string): HostFacts {
  return {
    hostname,
    agent_version: 'test',
    kernel: 'test',
    cpu_model: 'test',
    vcpus: 2,
    memory_mb: 4096,
    disk_gb: 100,
    libvirt_version: '9.0.0',
    qemu_version: '7.2.0',
    virt_type: 'qemu',
    virt_type_reason: 'test',
    physical_networks: ['extnet'],
    underlay_ip: '127.0.0.1',
    simulated: false,
    warnings: [],
  };
}

export function idlePart(name: string): Part {
  return { name, apply: async () => [], plan: async () => [] };
}

/** A part that keeps what it applied in memory, as a machine would, and reports it. */
export class MemoryPart implements Part {
  readonly name: string;
  readonly #kinds: readonly ObjectKind[];
  readonly present = new Map<string, string>();
  readonly calls: (readonly string[] | null)[] = [];
  /** Resolves when the part may go on with the key. */
  gate: (key: string) => Promise<void> = async () => {};
  /** Keys that fail, and why. */
  readonly failing = new Map<string, string>();

  constructor(name: string, kinds: readonly ObjectKind[]) {
    this.name = name;
    this.#kinds = kinds;
  }

  async apply({ spec, changed }: Parameters<Part['apply']>[0]): ReturnType<Part['apply']> {
    this.calls.push(changed && [...changed]);
    const mine = (key: string) => this.#kinds.some((kind) => key.startsWith(`${kind}/`));
    const keys = (
      changed ? [...changed] : [...new Set([...Object.keys(spec), ...this.present.keys()])]
    ).filter(mine);
    return await Promise.all(
      keys.map(async (name) => {
        const key = name as keyof typeof spec;
        await this.gate(key);
        const object = spec[key];
        const failure = this.failing.get(key);
        if (failure)
          return {
            key,
            revision: object?.revision ?? null,
            state: 'error' as const,
            error: { message: failure },
          };
        if (!object || object.tombstone) {
          this.present.delete(key);
          return { key, revision: object?.revision ?? null, state: 'gone' as const };
        }
        this.present.set(key, object.revision);
        return { key, revision: object.revision, state: 'applied' as const };
      }),
    );
  }

  async plan(spec: Parameters<Part['plan']>[0]): ReturnType<Part['plan']> {
    return (Object.keys(spec) as (keyof typeof spec)[])
      .filter((key) => this.#kinds.some((kind) => key.startsWith(`${kind}/`)))
      .filter((key) => this.present.get(key) !== spec[key]?.revision)
      .map((object) => ({ object, action: 'make', detail: this.name }));
  }
}

/** Waits until the condition holds. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 30_000,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export async function writeImage(file: string, content: string): Promise<void> {
  await writeFile(file, content);
}
