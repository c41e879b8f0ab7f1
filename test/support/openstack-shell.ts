import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { TestApp, type TestAppOptions } from './app.js';
import { freePort } from './machine.js';

/** Longest time for one command; each is a few requests. */
const COMMAND_MS = 120_000;

// biome-ignore lint/suspicious/noExplicitAny: what the openstack command prints has many shapes
export type Printed = any;

/** Variables of the environment that say who asks and where, such as OS_USERNAME. */
export type ClientSettings = Readonly<Record<string, string>>;

/**
 * The stock openstack command, kept open: it starts slowly and answers quickly. Commands are lines as typed at its own prompt,
 * which parses twice: a value with spaces is written as `"'two words'"`.
 */
export class OpenStackShell {
  readonly #child: ChildProcess;
  #output = '';
  #heard: () => void = () => {};

  private constructor(child: ChildProcess) {
    this.#child = child;
    const more = (chunk: string) => {
      this.#output += chunk;
      this.#heard();
    };
    // standard error is the same pipe, so that what it says belongs to the command that was asked
    child.stdout?.setEncoding('utf8').on('data', more);
    child.on('close', () => this.#heard());
  }

  static start(settings: ClientSettings): OpenStackShell {
    const args = ['-c', 'exec openstack 2>&1'];
    return new OpenStackShell(
      spawn('sh', args, { stdio: ['pipe', 'pipe', 'ignore'], env: clientEnv(settings) }),
    );
  }

  /** Runs a command and gives all that it says. */
  async say(line: string): Promise<string> {
    const end = `end-${randomBytes(8).toString('hex')}`;
    this.#output = '';
    this.#child.stdin?.write(`${line}\n!echo ${end}\n`);
    const deadline = Date.now() + COMMAND_MS;
    while (!this.#output.includes(end)) {
      if (this.#child.exitCode !== null || Date.now() > deadline)
        throw new Error(`openstack ${line}: no end (exit code ${this.#child.exitCode}): ${this.#output}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, deadline - Date.now());
        this.#heard = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    return this.#output.slice(0, this.#output.indexOf(end)).trim();
  }

  /** Runs a command that prints something and gives it parsed; throws when it complains or warns. */
  async get(line: string): Promise<Printed> {
    const said = await this.say(`${line} -f json`);
    try {
      return JSON.parse(said);
    } catch {
      throw new Error(`openstack ${line}: ${said}`);
    }
  }

  /** Runs commands that say nothing when all is well; throws what one says. */
  async run(...lines: string[]): Promise<void> {
    for (const line of lines) {
      const said = await this.say(line);
      if (said !== '') throw new Error(`openstack ${line}: ${said}`);
    }
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('close', resolve));
    if (this.#child.exitCode !== null) return;
    this.#child.stdin?.end('quit\n');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 5000);
    await ended;
    clearTimeout(timer);
  }
}

/** Runs one program of OpenStack's clients, such as openstack or a Python script; any exit code is an answer. */
export async function runClient(
  command: string,
  args: readonly string[],
  settings: ClientSettings,
): Promise<{ exitCode: number | null; stdout: string; stderr: string }> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: clientEnv(settings) });
  const said = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    said.stdout += chunk;
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    said.stderr += chunk;
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), COMMAND_MS);
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject).on('close', resolve);
  });
  clearTimeout(timer);
  return { exitCode, ...said };
}

/** An API that listens on a loopback port, since clients are processes of their own; `settings` are the administrator's, but the password. */
export async function openListening(
  options: TestAppOptions = {},
): Promise<{ cloud: TestApp; endpoint: string }> {
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const cloud = await TestApp.open({ ...options, config: { public_url: endpoint, ...options.config } });
  await cloud.fastify.listen({ host: '127.0.0.1', port });
  return { cloud, endpoint };
}

/** What lets somebody of the default domain in by password, on a project of it. */
export function passwordSettings(
  endpoint: string,
  { username, password, project }: { username: string; password: string; project: string },
): ClientSettings {
  return {
    OS_AUTH_URL: `${endpoint}/identity/v3`,
    OS_IDENTITY_API_VERSION: '3',
    OS_USERNAME: username,
    OS_PASSWORD: password,
    OS_PROJECT_NAME: project,
    OS_USER_DOMAIN_NAME: 'Default',
    OS_PROJECT_DOMAIN_NAME: 'Default',
  };
}

/** Nothing of the machine's own settings for clients. */
function clientEnv(settings: ClientSettings): Record<string, string> {
  const { PATH = '/usr/bin:/bin' } = process.env;
  const quiet = { PYTHONWARNINGS: 'ignore', PYTHONUNBUFFERED: '1', NO_PROXY: '*', LC_ALL: 'C.UTF-8' };
  return { PATH, HOME: '/nonexistent', OS_CLIENT_CONFIG_FILE: '/nonexistent', ...quiet, ...settings };
}
