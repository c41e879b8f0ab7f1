import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { loadAgentConfig } from '../../agents/config.js';
import { startAgent } from '../../agents/main.js';
import { explainStartFailure } from '../../src/cli/start-failure.js';
import { loadConfig } from '../../src/config.js';
import { startController } from '../../src/controller.js';
import { createLogger } from '../../src/protocol/log.js';
import { SimulatedCloud } from '../support/hosts/processes.js';
import { serverRequest } from '../support/hosts/server-request.js';
import { until } from '../support/lab.js';

/** Controller and agents as processes: what they log, how they take a new configuration, and how they say that they cannot start. */

interface Line {
  readonly program: string;
  readonly on: string;
  readonly msg: string;
  readonly time: string;
  readonly level: string;
  readonly [field: string]: unknown;
}

const REQUEST = 'req-11111111-2222-4333-8444-555555555555';

let directory: string;
let cloud: SimulatedCloud;
let serverId: string;
const secrets: string[] = [];

beforeAll(async () => {
  // brings dist up to date
  await execa('scripts/maru', ['--version']);
  directory = mkdtempSync(join(tmpdir(), 'maru-programs-'));
  cloud = await SimulatedCloud.start(directory, ['host1', 'host2'], null, {
    // one program keeps its log in a file of its own, the others' standard output is one
    controller: { log_level: 'debug', log_file: join(directory, 'logs', 'controller.log') },
    agent: { log_level: 'debug', heartbeat_interval: 0.5 },
  });
}, 300_000);
afterAll(async () => {
  await cloud?.close();
  rmSync(directory, { recursive: true, force: true });
});

async function maru(...args: string[]) {
  const env = {
    OS_AUTH_URL: `${cloud.endpoint}/identity/v3`,
    OS_USERNAME: 'admin',
    OS_PASSWORD: readFileSync(join(directory, 'admin-password'), 'utf8').trim(),
    OS_PROJECT_NAME: 'admin',
    OS_CLOUD: undefined,
    OS_CLIENT_CONFIG_FILE: undefined,
  };
  return await execa(process.execPath, ['dist/src/main.js', ...args], { env, reject: false });
}

async function logs(...args: string[]): Promise<Line[]> {
  const { stdout } = await maru('logs', '--json', ...args);
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Line);
}

function controllerLog(): string {
  return readFileSync(join(directory, 'logs', 'controller.log'), 'utf8');
}

describe('maru logs', { timeout: 300_000 }, () => {
  it('shows a request’s way: the API, the task, the delivery, the commands that a host ran for it', async () => {
    const server = await serverRequest(cloud);
    await cloud.request('GET', '/identity/v3');
    const response = await fetch(`${cloud.endpoint}/compute/v2.1/servers`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'x-auth-token': cloud.token ?? '',
        'x-openstack-request-id': REQUEST,
      },
      body: JSON.stringify({ server: { ...server, name: 'web1', adminPass: 'sesame-of-server' } }),
    });
    expect(response.status).toBe(202);
    const own = response.headers.get('x-openstack-request-id')!;
    expect(own).not.toBe(REQUEST);
    secrets.push('sesame-of-server');
    serverId = ((await response.json()) as { server: { id: string } }).server.id;
    await until('ACTIVE', 90, async () => {
      const found = await cloud.call<{ server: { status: string } }>(
        'GET',
        `/compute/v2.1/servers/${serverId}`,
      );
      return found.server.status === 'ACTIVE';
    });

    const messages = (some: readonly Line[]) => some.map(({ time, msg }) => `${time} ${msg}`).sort();
    // some lines are written a moment after the server is up
    const [lines] = await until(
      'both ids find every line',
      90,
      async () => [await logs('--request', REQUEST), await logs('--request', own)] as const,
      ([found, same]) =>
        ['task ended', 'spec delivered', 'applied'].every((msg) => found.some((line) => line.msg === msg)) &&
        isDeepStrictEqual(messages(found), messages(same)),
    );
    const of = (program: string, msg: string) =>
      lines.filter((line) => line.program === program && line.msg === msg);
    expect(of('controller', 'request')).toEqual([
      expect.objectContaining({
        request_id: own,
        global_request_id: REQUEST,
        method: 'POST',
        path: '/compute/v2.1/servers',
        status: 202,
        project_id: expect.stringMatching(/^[0-9a-f]{32}$/),
      }),
    ]);
    expect(of('controller', 'task ended')).toEqual([
      expect.objectContaining({ kind: 'server.build', state: 'done', object: `server/${serverId}` }),
    ]);
    const [delivered] = of('controller', 'spec delivered');
    const host = delivered!.host as string;
    const commands = of('agent', 'command');
    expect(new Set(commands.map(({ on }) => on))).toEqual(new Set([host]));
    const changing = commands.filter(({ changes }) => changes).map(({ command }) => String(command));
    expect(changing.some((command) => /^qemu-img create /.test(command))).toBe(true);
    expect(changing.some((command) => /^virsh .* (define|start) /.test(command))).toBe(true);
    expect(commands.some(({ input }) => /tap/.test(String(input)))).toBe(true);
    expect(of('agent', 'applied').flatMap(({ objects }) => objects)).toContain(`server/${serverId}`);
    for (const line of lines) {
      expect([line.request_id, line.request_ids].flat()).toContain(own);
    }
    expect(lines.map(({ time }) => time)).toEqual(lines.map(({ time }) => time).sort());
  });

  it('is for people: time, host, program, message, fields, without colours when it is no terminal', async () => {
    const { stdout, stderr, exitCode } = await maru('logs', '--request', REQUEST, '--level', 'info');
    expect(exitCode).toBe(0);
    expect(stderr).toBe('');
    expect(stdout).not.toContain('\u001b[');
    expect(stdout).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z {2}host[12] agent {2}command {2}.*qemu-img create/m);
    expect(stdout).not.toContain('DEBUG');
  });

  it('by server, host, time and weight; what is missing is named', async () => {
    expect((await logs('--server', 'web1')).map(({ msg }) => msg)).toContain('task ended');
    const [onHost] = await logs('--host', 'host1', '--limit', '1');
    expect(onHost).toMatchObject({ program: 'agent', on: 'host1' });
    expect(await logs('--server', serverId, '--level', 'error')).toEqual([]);
    expect(await logs('--request', REQUEST.replaceAll('1', '9'))).toEqual([]);
    const soon = new Date(Date.now() + 3_600_000).toISOString();
    expect(await logs('--since', soon)).toEqual([]);
    await cloud.kill('host2');
    const { stderr } = await maru('logs', '--request', REQUEST);
    expect(stderr).toMatch(/^MISSING: agent host2: Host host2 does not answer/m);
    cloud.run('host2', {});
    expect((await maru('logs', '--since', 'yesterday')).stderr).toMatch(/'yesterday' is no time/);
  });

  it('is for administrators', async () => {
    const response = await fetch(`${cloud.endpoint}/maru/v1/logs?request_id=${REQUEST}`);
    expect(response.status).toBe(401);
  });
});

describe('SIGHUP', { timeout: 180_000 }, () => {
  /** Changes the file and tells the program; resolves with the line that says what came of it. */
  async function reload(name: string, change: (section: Record<string, unknown>) => void): Promise<Line> {
    const file = cloud.file(name);
    const all = parse(readFileSync(file, 'utf8')) as Record<string, Record<string, unknown>>;
    change(all[name === 'controller' ? 'controller' : 'agent']!);
    writeFileSync(file, stringify(all));
    return await tell(name);
  }

  async function tell(name: string): Promise<Line> {
    const read = () =>
      (name === 'controller' ? controllerLog() : cloud.log(name))
        .split('\n')
        .filter((line) => /"configuration (not )?reloaded/.test(line));
    const before = read().length;
    cloud.signal(name, 'SIGHUP');
    await until(`${name} has read its configuration`, 60, async () => read().length > before);
    return JSON.parse(read().at(-1)!) as Line;
  }

  async function vcpus(): Promise<unknown> {
    const { resource_providers: providers } = await cloud.call<{ resource_providers: { uuid: string }[] }>(
      'GET',
      '/placement/resource_providers',
    );
    const { inventories } = await cloud.call<{ inventories: { VCPU: { allocation_ratio: number } } }>(
      'GET',
      `/placement/resource_providers/${providers[0]!.uuid}/inventories`,
    );
    return inventories.VCPU.allocation_ratio;
  }

  it('brings into force at the controller what can be, and names what wants a restart', async () => {
    expect(await vcpus()).toBe(4);
    const policy = join(directory, 'policy.yaml');
    writeFileSync(policy, '"maru:drift:list": "!"\n');
    const line = await reload('controller', (controller) => {
      Object.assign(controller, {
        cpu_allocation_ratio: 8,
        drift: { router: 'report' },
        policy_file: policy,
        log_level: 'info',
        region: 'Elsewhere',
        host_down_after: '45s',
      });
    });
    expect(line).toMatchObject({
      msg: 'configuration reloaded',
      changed: { cpu_allocation_ratio: 8, log_level: 'info', host_down_after: 45, policy_file: policy },
    });
    expect(await vcpus()).toBe(8);
    expect((await cloud.request('GET', '/maru/v1/drift')).status).toBe(403);
    await until('the hosts know the drift policy', 60, async () => {
      const { settings } = JSON.parse(readFileSync(join(directory, 'host1', 'spec.json'), 'utf8'));
      return settings.drift.router === 'report';
    });
    const waits = () =>
      controllerLog()
        .split('\n')
        .filter((text) => text.includes('wait for a restart'));
    await expect
      .poll(() => JSON.parse(waits().at(-1) ?? '{}'))
      .toMatchObject({ level: 'warn', keys: ['region'] });
    const before = controllerLog().length;
    await cloud.call('GET', '/compute/v2.1/servers');
    expect(controllerLog().slice(before)).not.toContain('"debug"');
  });

  it('reads a policy file again that has changed under the same name', async () => {
    writeFileSync(join(directory, 'policy.yaml'), '{}\n');
    expect(await tell('controller')).toMatchObject({ msg: 'configuration reloaded', changed: {} });
    expect((await cloud.request('GET', '/maru/v1/drift')).status).toBe(200);
  });

  it.each([
    ['a wrong value', (c: Record<string, unknown>) => Object.assign(c, { cpu_allocation_ratio: -1 })],
    ['an unknown key', (c: Record<string, unknown>) => Object.assign(c, { cpu_ratio: 2 })],
    [
      'a policy file that cannot be used',
      (c: Record<string, unknown>) => {
        writeFileSync(c.policy_file as string, '"maru:drift:list": "role:("\n');
        c.cpu_allocation_ratio = 16;
      },
    ],
  ])('refuses a file with %s as a whole', async (_what, change) => {
    const file = cloud.file('controller');
    const good = readFileSync(file, 'utf8');
    const line = await reload('controller', change);
    expect(line).toMatchObject({ level: 'error', msg: 'configuration not reloaded, the old settings stay' });
    expect(line.problems).toHaveLength(1);
    expect(await vcpus()).toBe(8);
    expect((await cloud.request('GET', '/maru/v1/drift')).status).toBe(200);
    writeFileSync(file, good);
    writeFileSync(join(directory, 'policy.yaml'), '{}\n');
    expect(await tell('controller')).toMatchObject({ msg: 'configuration reloaded', changed: {} });
  });

  it('brings into force at an agent what can be', async () => {
    const line = await reload('host1', (agent) => {
      Object.assign(agent, {
        heartbeat_interval: 0.2,
        log_level: 'info',
        full_sync_interval: '2min',
        virt_type: 'qemu',
      });
    });
    expect(line).toMatchObject({
      changed: { heartbeat_interval: 0.2, log_level: 'info', full_sync_interval: 120 },
    });
    await expect.poll(() => cloud.log('host1')).toMatch(/wait for a restart.*"virt_type"/);
    const refused = await reload('host1', (agent) => Object.assign(agent, { heartbeat_interval: 'often' }));
    expect(refused.problems).toEqual([
      expect.stringMatching(/host1.yaml:\d+:\d+: error: 'heartbeat_interval' must/),
    ]);
  });
});

describe('secrets', () => {
  it('are in no log, whatever was done at level debug', async () => {
    const { user } = await cloud.call<{ user: { id: string } }>('POST', '/identity/v3/users', {
      user: { name: 'someone', password: 'sesame-of-user', default_project_id: null },
    });
    await cloud.request('POST', '/identity/v3/auth/tokens', {
      auth: {
        identity: { methods: ['password'], password: { user: { id: user.id, password: 'wrong-sesame' } } },
      },
    });
    await cloud.request('POST', '/identity/v3/users', { user: { name: '', password: 'sesame-refused' } });
    const { keypair } = await cloud.call<{ keypair: { private_key: string } }>(
      'POST',
      '/compute/v2.1/os-keypairs',
      {
        keypair: { name: 'k' },
      },
    );
    const adminPassword = readFileSync(join(directory, 'admin-password'), 'utf8').trim();
    const identity = JSON.parse(readFileSync(join(directory, 'host1', 'identity.json'), 'utf8')) as {
      key: string;
    };
    const joinSecrets = cloud.joinTokens.flatMap((token) => {
      const { secret } = JSON.parse(Buffer.from(token.slice('maru1.'.length), 'base64url').toString()) as {
        secret: string;
      };
      return [token, secret];
    });
    secrets.push(
      'sesame-of-user',
      'wrong-sesame',
      'sesame-refused',
      adminPassword,
      cloud.token!,
      ...joinSecrets,
    );
    for (const pem of [keypair.private_key, identity.key])
      secrets.push(pem.split('\n')[1]!, pem.split('\n')[2]!);
    const files = [
      ...readdirSync(join(directory, 'logs')).map((name) => join('logs', name)),
      ...readdirSync(directory).filter((name) => name.endsWith('.log')),
    ];
    expect(files.length).toBeGreaterThan(3);
    for (const file of files) {
      const text = readFileSync(join(directory, file), 'utf8');
      for (const secret of secrets) {
        expect(secret.length).toBeGreaterThan(8);
        expect(text.includes(secret), `${file} has ${secret}`).toBe(false);
      }
    }
  });
});

describe('a program that cannot start', () => {
  let taken: Server;
  let place: string;

  beforeAll(async () => {
    place = join(directory, 'failures');
    mkdirSync(place);
    taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  });
  afterAll(() => {
    taken.close();
  });

  const port = () => (taken.address() as { port: number }).port;

  /** In processes of their own: what was begun must not keep them alive. */
  const PROCESSES: [
    what: string,
    program: 'controller' | 'agent',
    section: () => object,
    code: number,
    says: RegExp,
  ][] = [
    [
      'a wrong configuration',
      'controller',
      () => ({ lisen: 'x' }),
      2,
      /maru.yaml:\d:3: error: unknown key 'lisen'.*did you mean 'listen'/,
    ],
    [
      'a port in use',
      'controller',
      () => ({ listen: `127.0.0.1:${port()}` }),
      1,
      /another program listens on 127.0.0.1:\d+ already; `ss -ltnp/,
    ],
    [
      'no token',
      'agent',
      () => ({}),
      1,
      /has not joined: make a token on the controller with `maru host token/,
    ],
  ];

  const CONTROLLER: [what: string, section: () => object, says: RegExp][] = [
    [
      'no PostgreSQL',
      () => ({ database: 'postgres://maru:sesame@127.0.0.1:1/maru' }),
      /127\.0\.0\.1:1 refuses connections; is PostgreSQL running/,
    ],
    ['a database that is none', () => ({ database: `sqlite:${notDatabase()}` }), /is no SQLite database/],
    [
      'a database in no directory',
      () => ({ database: 'sqlite:/no/such/maru.db' }),
      /Cannot open database because the directory does not exist/,
    ],
    ['a state directory in a file', () => ({ state_dir: '/etc/passwd/x' }), /\/etc\/passwd/],
    [
      'a bad policy file',
      () => ({ policy_file: badPolicy() }),
      /there is no policy named 'os_compute_api:servers:rebot'; did you mean/,
    ],
    [
      'a certificate that is none',
      () => ({ tls_cert_file: notDatabase(), tls_key_file: notDatabase() }),
      /certificate .*file.txt/,
    ],
  ];

  function notDatabase(): string {
    const file = join(place, 'file.txt');
    writeFileSync(
      file,
      'this is a text, and longer than the header of a database is, by some words at the least',
    );
    chmodSync(file, 0o600);
    return file;
  }

  function badPolicy(): string {
    const file = join(place, 'policy.yaml');
    writeFileSync(file, '"os_compute_api:servers:rebot": "!"\n');
    return file;
  }

  function write(program: 'controller' | 'agent', section: object): string {
    const file = join(place, 'maru.yaml');
    const own = {
      state_dir: join(place, program),
      listen: '127.0.0.1:0',
      ...(program === 'controller' ? { agent_listen: '127.0.0.1:0' } : { name: 'host9' }),
    };
    writeFileSync(file, stringify({ [program]: { ...own, ...section } }));
    return file;
  }

  it.each(PROCESSES)(
    'says %s in a sentence and ends (%s)',
    { timeout: 180_000 },
    async (_what, program, section, code, says) => {
      const args = ['dist/src/main.js', program, '--config', write(program, section())];
      const env = { MARU_JOIN_TOKEN: undefined };
      const { exitCode, stderr } = await execa(process.execPath, args, {
        reject: false,
        timeout: 120_000,
        env,
      });
      expect(stderr).toMatch(says);
      expect(stderr).toMatch(/^maru: [^\n]+$/);
      expect(exitCode).toBe(code);
    },
  );

  it.each(CONTROLLER)('controller, %s: a sentence', async (_what, section, says) => {
    const config = loadConfig(write('controller', section()));
    const failure = await startController(config, createLogger('error')).catch((error: unknown) => error);
    const text = explainStartFailure('controller', failure);
    expect(text).toMatch(says);
    expect(text).toMatch(/^the controller cannot start: [^\n]+$/);
    expect(text).not.toContain('sesame');
  });

  const AGENT: [what: string, section: () => object, says: RegExp][] = [
    [
      'another host’s directory',
      () => ({ state_dir: join(directory, 'host1') }),
      /belongs to host 'host1', the configuration names 'host9'/,
    ],
    ['a directory in a file', () => ({ state_dir: '/etc/passwd/x' }), /\/etc\/passwd\/x/],
  ];

  it.each(AGENT)('agent, %s: a sentence', async (_what, section, says) => {
    const config = loadAgentConfig(write('agent', section()));
    const failure = await startAgent(config, { simulate: true }, createLogger('error')).catch(
      (e: unknown) => e,
    );
    expect(explainStartFailure('agent', failure)).toMatch(says);
    expect(explainStartFailure('agent', failure)).toMatch(/^the agent cannot start: [^\n]+$/);
  });
});
