import { randomUUID } from 'node:crypto';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { createApi } from '../../src/api/api.js';
import { identityService } from '../../src/api/identity/service.js';
import type { Service } from '../../src/api/shared/service.js';
import { type Config, loadConfig } from '../../src/config.js';
import type { App } from '../../src/core/app.js';
import { Audit } from '../../src/core/audit/audit.js';
import { MaruError } from '../../src/core/errors.js';
import type { HostGateway } from '../../src/core/gateway.js';
import { bootstrapIdentity } from '../../src/core/identity/bootstrap.js';
import { createIdentity } from '../../src/core/identity/identity.js';
import { ImageFiles } from '../../src/core/image/files.js';
import { RulePolicy } from '../../src/core/policy/engine.js';
import { followStoredPolicies } from '../../src/core/policy/stored.js';
import { registerTasks } from '../../src/core/tasks.js';
import { createLogger } from '../../src/protocol/log.js';
import { NO_LOG } from '../../src/protocol/log-source.js';
import { findProject, projects } from '../../src/store/identity/projects.js';
import { addAssignment, findRole } from '../../src/store/identity/roles.js';
import { findUser, users } from '../../src/store/identity/users.js';
import { Store } from '../../src/store/store.js';
import { Tasks } from '../../src/tasks/tasks.js';
import { NO_AUTHORITY } from './fake-hosts.js';
import { type Dialect, newDatabase } from './stores.js';

export interface TestAppOptions {
  /** Services besides identity, which is always there. */
  readonly services?: readonly ((app: App) => Service)[];
  readonly dialect?: Dialect;
  readonly config?: Partial<Config>;
  /** Another controller of the same cloud, whose PostgreSQL database and key this one shares. */
  readonly beside?: TestApp;
  /** Replaces parts of the app, such as `hosts`. */
  readonly parts?: Partial<App>;
  /** The clock by which audit records of the same minute are counted together. */
  readonly auditClock?: () => number;
}

/** A reply: `json` is the parsed body, null when there is none or it is not JSON. */
export interface TestReply {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into replies of every shape
  readonly json: any;
  readonly text: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface RequestOptions {
  readonly token?: string;
  /** Sent as JSON; text and bytes as they are. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Somebody with a role on a project. */
export interface TestUser {
  readonly token: string;
  readonly projectId: string;
  readonly userId: string;
}

/** The administrator's password in tests. */
export const ADMIN_PASSWORD = 'a password for tests';

/** The whole API in this process, on a database of its own; nothing listens. Close it after the tests. */
export class TestApp {
  readonly app: App;
  readonly fastify: FastifyInstance;
  /** URL of the database. */
  readonly database: string;
  readonly #cleanups: (() => Promise<void> | void)[];

  private constructor(
    app: App,
    fastify: FastifyInstance,
    database: string,
    cleanups: (() => Promise<void> | void)[],
  ) {
    this.app = app;
    this.fastify = fastify;
    this.database = database;
    this.#cleanups = cleanups;
  }

  static async open(options: TestAppOptions = {}): Promise<TestApp> {
    const cleanups: (() => Promise<void> | void)[] = [];
    const directory = mkdtempSync(join(tmpdir(), 'maru-app-'));
    cleanups.push(() => rmSync(directory, { recursive: true, force: true }));
    const { beside } = options;
    if (beside) {
      copyFileSync(join(beside.app.config.state_dir, 'credential-key'), join(directory, 'credential-key'));
    }
    const database = beside?.database ?? (await newDatabase(options.dialect ?? 'sqlite', cleanups));
    const config = testConfig(directory, options.config);
    const store = await Store.open(database);
    cleanups.push(() => store.close());
    const images = new ImageFiles(config.image_dir);
    await images.prepare();
    const identity = createIdentity(config, store);
    const policy = new RulePolicy(config.policy_file);
    const log = options.parts?.log ?? createLogger('error');
    const app: App = {
      config,
      store,
      log,
      audit: new Audit({ store, log, ...(options.auditClock && { now: options.auditClock }) }),
      ownLog: NO_LOG,
      auth: identity.tokens,
      identity,
      policy,
      hosts: NO_HOSTS,
      images,
      tasks: new Tasks({
        store,
        log: createLogger('error'),
        leaseSeconds: 10,
        pollSeconds: 0.1,
        retrySeconds: 0.01,
      }),
      ...options.parts,
    };
    registerTasks(app);
    cleanups.push(() => app.audit.close());
    cleanups.push(() => app.identity.activeDays.close());
    cleanups.push(() => app.tasks.close());
    const services = [identityService(app), ...(options.services ?? []).map((service) => service(app))];
    const fastify = await createApi(app, services);
    policy.verify();
    await followStoredPolicies(app);
    await bootstrapIdentity(
      app,
      services.map((service) => service.name),
    );
    cleanups.push(() => fastify.close());
    return new TestApp(app, fastify, database, cleanups);
  }

  async close(): Promise<void> {
    for (const cleanup of [...this.#cleanups].reverse()) await cleanup();
  }

  async request(method: string, url: string, options: RequestOptions = {}): Promise<TestReply> {
    const { token, body } = options;
    const raw = typeof body === 'string' || body instanceof Uint8Array;
    const reply = await this.fastify.inject({
      method: method as 'GET',
      url,
      headers: {
        ...(token !== undefined && { 'x-auth-token': token }),
        ...(body !== undefined && !raw && { 'content-type': 'application/json' }),
        ...options.headers,
      },
      ...(body !== undefined && { payload: raw ? Buffer.from(body) : JSON.stringify(body) }),
    });
    return {
      status: reply.statusCode,
      json: parse(reply.body),
      text: reply.body,
      headers: reply.headers as Record<string, string>,
    };
  }

  /**
   * Asks again as long as the answer is that the database cannot be had, as clients do that are told so: when many ask at once on a slow
   * machine, more of them wait for a connection than get one in time.
   */
  async insist(method: string, url: string, options: RequestOptions = {}): Promise<TestReply> {
    for (;;) {
      const reply = await this.request(method, url, options);
      if (reply.status !== 503) return reply;
    }
  }

  /** A token of the administrator for project `admin`. */
  async adminToken(): Promise<string> {
    return (await this.admin()).token;
  }

  async admin(): Promise<TestUser> {
    const db = this.app.store.read;
    const user = await findUser(db, 'default', 'admin');
    const project = await findProject(db, 'default', 'admin');
    return await this.#issue(user!.id, project!.id);
  }

  /** A token of a member of the project, which is made with its user when there is none yet. */
  async projectToken(name: string, role = 'member'): Promise<string> {
    return (await this.projectUser(name, role)).token;
  }

  async projectUser(name: string, role = 'member'): Promise<TestUser> {
    const userName = `${name}-${role}`;
    await this.app.identity.write(async (tx) => {
      const projectId = (await findProject(tx, 'default', name))?.id ?? newId();
      if (!(await projects.get(tx, projectId))) {
        await projects.insert(tx, {
          id: projectId,
          name,
          domain_id: 'default',
          parent_id: 'default',
          is_domain: 0,
          enabled: 1,
          description: '',
          options: '{}',
          extra: '{}',
        });
      }
      const userId = (await findUser(tx, 'default', userName))?.id ?? newId();
      if (!(await users.get(tx, userId))) {
        await users.insert(tx, {
          id: userId,
          name: userName,
          domain_id: 'default',
          enabled: 1,
          default_project_id: null,
          options: '{}',
          extra: '{}',
          password_hash: null,
          password_changed_at: null,
          password_expires_at: null,
        });
      }
      await addAssignment(tx, {
        actor_type: 'user',
        actor_id: userId,
        target_type: 'project',
        target_id: projectId,
        role_id: (await findRole(tx, role))!.id,
        inherited: 0,
      });
    });
    const db = this.app.store.read;
    const user = await findUser(db, 'default', userName);
    const project = await findProject(db, 'default', name);
    return await this.#issue(user!.id, project!.id);
  }

  async #issue(userId: string, projectId: string): Promise<TestUser> {
    const scope = { kind: 'project', id: projectId } as const;
    const token = await this.app.identity.tokens.issue({ userId, methods: ['password'], scope });
    if (!token) throw new Error(`no token for user ${userId} on project ${projectId}`);
    return { token: token.text, projectId, userId };
  }
}

/** A configuration whose files are all below the directory. */
export function testConfig(directory: string, changes: Partial<Config> = {}): Config {
  const password = join(directory, 'admin-password');
  writeFileSync(password, `${ADMIN_PASSWORD}\n`, { mode: 0o600 });
  return {
    ...defaultConfig(directory),
    state_dir: directory,
    admin_password_file: password,
    image_dir: join(directory, 'images'),
    public_url: 'http://127.0.0.1:5000',
    ...changes,
  };
}

function defaultConfig(directory: string): Config {
  const file = join(directory, 'maru.yaml');
  writeFileSync(file, `controller: { state_dir: ${directory} }\n`);
  return loadConfig(file);
}

/** A cloud that no host has joined. */
const NO_HOSTS: HostGateway = {
  consoleOutput: noHost,
  plan: noHost,
  doctor: noHost,
  healDrift: noHost,
  logs: noHost,
  probe: noHost,
  trace: noHost,
  isUp: () => false,
  isDown: () => false,
  silence: () => null,
  deliveryFault: () => null,
  deliveryFailing: () => null,
  confirmRemoval: async () => {},
  createJoinToken: noHost,
  forgetHost: async () => {},
  isNamed: async () => false,
  removeOrphan: noHost,
  authority: { status: async () => NO_AUTHORITY, rotate: noHost, abort: noHost, finish: noHost },
};

async function noHost(): Promise<never> {
  throw new MaruError('unavailable', 'no host is connected in this test');
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function newId(): string {
  return randomUUID().replaceAll('-', '');
}
