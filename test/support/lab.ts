import { readFileSync } from 'node:fs';
import { machine } from './machine.js';
import { sharedResource } from './shared.js';

/** What `quickstart --json` says of the lab that all lab tests share. */
interface LabFacts {
  readonly lab: string;
  readonly endpoint: string;
  readonly clouds_file: string;
  readonly image_file: string;
  readonly ssh_user: string;
  readonly logs: string;
}

export interface ProgramFacts {
  readonly pid: number | null;
  readonly restarts: number;
}

export interface LabStatus {
  readonly running: boolean;
  readonly controller: ProgramFacts | null;
  readonly hosts: readonly {
    readonly name: string;
    readonly init_pid: number;
    readonly agent: ProgramFacts | null;
  }[];
}

// biome-ignore lint/suspicious/noExplicitAny: what the openstack command prints has many shapes
export type Printed = any;

/** The lab of the test run, driven from outside as users do: the openstack command, scripts/maru, and its namespaces. */
export class Lab {
  readonly facts: LabFacts;

  private constructor(facts: LabFacts) {
    this.facts = facts;
  }

  /** Starts the lab at the first call of a test run, which takes a minute or two. */
  static async open(): Promise<Lab> {
    return new Lab(JSON.parse(await sharedResource('lab')) as LabFacts);
  }

  /** Runs the stock openstack command as a cloud of clouds.yaml and gives its parsed output; throws what it said. */
  async openstack(cloud: 'maru' | 'demo', ...args: string[]): Promise<Printed> {
    const { stdout } = await machine.run('openstack', [...args, '-f', 'json'], this.#clientOptions(cloud));
    return JSON.parse(stdout || 'null');
  }

  /** The same for commands that print nothing that can be parsed. */
  async openstackText(cloud: 'maru' | 'demo', ...args: string[]): Promise<string> {
    return (await machine.run('openstack', args, this.#clientOptions(cloud))).stdout;
  }

  /** Runs commands, of words without spaces, in one openstack process, which starts slowly; throws when one complained. */
  async openstackBatch(cloud: 'maru' | 'demo', commands: readonly (readonly string[])[]): Promise<void> {
    const input = commands.map((words) => words.join(' ')).join('\n');
    const { stderr } = await machine.run('openstack', [], {
      ...this.#clientOptions(cloud),
      input: `${input}\n`,
    });
    if (stderr.trim()) throw new Error(`openstack, of commands\n${input}\n${stderr}`);
  }

  /** Runs the operator's command and gives its output; `codes` are the exit codes that are fine. */
  async maru(args: readonly string[], codes: readonly number[] = [0]): Promise<string> {
    const options = { ...this.#clientOptions('maru'), okCodes: codes };
    return (await machine.run(process.execPath, ['dist/src/main.js', ...args], options)).stdout;
  }

  async status(): Promise<LabStatus> {
    return JSON.parse(
      await this.maru(['lab', 'status', '--name', this.facts.lab, '--json'], [0, 1]),
    ) as LabStatus;
  }

  /** Runs a command in the outside world; any exit code is an answer. */
  async outside(command: string, args: readonly string[], timeoutMs = 30_000) {
    const okCodes = Array.from({ length: 256 }, (_, code) => code);
    return await machine.run(command, args, { netns: `${this.facts.lab}-outside`, timeoutMs, okCodes });
  }

  /** Runs a command on a host and gives its output. */
  async onHost(host: string, command: string, ...args: string[]): Promise<string> {
    const pid = (await this.status()).hosts.find(({ name }) => name === host)?.init_pid;
    const enter = ['-t', String(pid), '-m', '-n', '-u', '-p', '--', command, ...args];
    return (await machine.run('nsenter', enter)).stdout;
  }

  /** Whether an address answers the one ping that is sent, however long a busy machine takes. */
  async pings(address: string): Promise<boolean> {
    return (await this.outside('ping', ['-c', '1', '-W', '10', address])).exitCode === 0;
  }

  /** Whether an address leaves a ping without an answer for a second. */
  async pingsInVain(address: string): Promise<boolean> {
    return (await this.outside('ping', ['-c', '1', '-W', '1', address])).exitCode !== 0;
  }

  /** Runs a command in a guest; throws when ssh itself or the command fails. */
  async ssh(address: string, keyFile: string, command: string, user = this.facts.ssh_user): Promise<string> {
    const options = [
      'BatchMode=yes',
      'ConnectTimeout=30',
      'StrictHostKeyChecking=no',
      'UserKnownHostsFile=/dev/null',
    ];
    const args = [
      '-i',
      keyFile,
      ...options.flatMap((option) => ['-o', option]),
      `${user}@${address}`,
      command,
    ];
    const { exitCode, stdout, stderr } = await this.outside('ssh', args, 120_000);
    if (exitCode !== 0)
      throw new Error(`ssh ${user}@${address} ${command}: exit code ${exitCode}: ${stderr}`);
    return stdout.trim();
  }

  /** Last lines of the lab's logs, for messages of tests that failed. */
  logTail(name: string): string {
    return readFileSync(`${this.facts.logs}/${name}.log`, 'utf8').split('\n').slice(-30).join('\n');
  }

  #clientOptions(cloud: string) {
    const env = { OS_CLIENT_CONFIG_FILE: this.facts.clouds_file, OS_CLOUD: cloud, NO_PROXY: '*' };
    return { env, timeoutMs: 300_000 };
  }
}

/** Waits for something to become true; gives what `look` returned, or throws with what it said or returned last. */
export async function until<T>(
  what: string,
  seconds: number,
  look: () => Promise<T>,
  good: (value: T) => boolean = Boolean,
): Promise<T> {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    let last: unknown;
    try {
      const value = await look();
      if (good(value)) return value;
      last = value;
    } catch (error) {
      last = error instanceof Error ? error.message : error;
    }
    if (Date.now() > deadline) {
      const shown = typeof last === 'string' ? last : JSON.stringify(last);
      throw new Error(`${what}: not within ${seconds} s; last: ${shown?.slice(0, 3000)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}
