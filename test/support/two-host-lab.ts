import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parse } from 'yaml';
import { Cloud } from '../../scripts/lab/cloud.js';
import { switchOff } from '../../scripts/lab/host.js';
import { labNames } from '../../scripts/lab/names.js';
import { create, findOrCreate, list, type Named, show } from '../../scripts/lab/resources.js';
import { until } from './lab.js';
import { freePort, machine } from './machine.js';

/** Another name lets two test runs be on one machine at once; a lab of this name is used as it is, and kept. */
const KEPT = process.env.MARU_TWO_HOSTS_LAB;
const ANY = Array.from({ length: 256 }, (_, code) => code);

/** A server with its port, its floating IP and where it is. */
export interface Guest {
  readonly id: string;
  readonly host: string;
  readonly portId: string;
  readonly mac: string;
  readonly fixedIp: string;
  readonly floatingIp: string;
}

interface Port extends Named {
  readonly mac_address: string;
  readonly fixed_ips: readonly { readonly ip_address: string }[];
}

/** A lab of two hosts of its own, used as an administrator over the public APIs, and its guests by ssh. */
export class TwoHostLab {
  readonly name: string;
  readonly admin: Cloud;
  readonly keyFile: string;
  readonly #sshUser: string;
  readonly #directory: string;
  readonly #inits = new Map<string, number>();

  private constructor(name: string, admin: Cloud, sshUser: string) {
    this.name = name;
    this.admin = admin;
    this.#sshUser = sshUser;
    this.#directory = mkdtempSync(join(tmpdir(), 'maru-two-hosts-'));
    this.keyFile = join(this.#directory, 'key');
  }

  /** Starts the lab, or what is missing of it; some minutes. */
  static async up(): Promise<TwoHostLab> {
    const name = KEPT ?? 'maru-lab-test-two';
    if (!KEPT) await machine.run('scripts/quickstart', ['--down', '--name', name], { timeoutMs: 300_000 });
    const port = KEPT ? [] : ['--api-port', String(await freePort())];
    const args = ['--name', name, '--hosts', '2', '--no-demo', '--json', ...port];
    const { stdout } = await machine.run('scripts/quickstart', args, { timeoutMs: 1_200_000 });
    const facts = JSON.parse(stdout.trimEnd().split('\n').at(-1)!) as Record<string, string>;
    const { maru } = (parse(readFileSync(facts.clouds_file!, 'utf8')) as CloudsFile).clouds;
    const { username, password, project_name: project } = maru.auth;
    return new TwoHostLab(name, new Cloud(facts.endpoint!, { username, password, project }), facts.ssh_user!);
  }

  /** Cuts a host's power; `repair` switches it on again. */
  async switchOff(host: string): Promise<void> {
    this.#inits.delete(host);
    await switchOff(labNames(this.name), host);
  }

  /** Has a host's agent stand still, which neither answers nor ends; what this gives lets it go on. */
  async pauseAgent(host: string): Promise<() => void> {
    const status = JSON.parse(await this.maru('lab', 'status', '--name', this.name, '--json')) as LabStatus;
    const pid = status.hosts.find(({ name }) => name === host)!.agent!.pid!;
    const parent = Number((await machine.read('ps', ['-o', 'ppid=', '-p', String(pid)])).stdout);
    machine.kill(pid, 'SIGSTOP');
    return () => {
      // nsenter stops together with what it runs
      for (const each of [pid, parent]) machine.kill(each, 'SIGCONT');
    };
  }

  /** Starts hosts and programs of the lab that do not run. */
  async repair(): Promise<void> {
    this.#inits.clear();
    await this.maru('lab', 'up', '--name', this.name);
  }

  async down(): Promise<void> {
    rmSync(this.#directory, { recursive: true, force: true });
    if (!KEPT)
      await machine.run('scripts/quickstart', ['--down', '--name', this.name], { timeoutMs: 300_000 });
  }

  /** Runs the operator's command and gives its output. */
  async maru(...args: string[]): Promise<string> {
    const env = {
      OS_CLIENT_CONFIG_FILE: join(labNames(this.name).directory, 'clouds.yaml'),
      OS_CLOUD: 'maru',
      NO_PROXY: '*',
    };
    const options = { env, timeoutMs: 300_000 };
    return (await machine.run(process.execPath, ['dist/src/main.js', ...args], options)).stdout;
  }

  /** The init process of a host. */
  async init(host: string): Promise<number> {
    const known = this.#inits.get(host);
    if (known) return known;
    const status = JSON.parse(await this.maru('lab', 'status', '--name', this.name, '--json')) as LabStatus;
    for (const one of status.hosts) if (one.init_pid) this.#inits.set(one.name, one.init_pid);
    return this.#inits.get(host)!;
  }

  /** Runs a command on a host and gives its output; any exit code is an answer. */
  async on(host: string, command: string, ...args: string[]): Promise<string> {
    const enter = ['-t', String(await this.init(host)), '-m', '-n', '-u', '-p', '--', command, ...args];
    return (await machine.run('nsenter', enter, { okCodes: ANY })).stdout;
  }

  /** The same; throws when the command fails. */
  async must(host: string, command: string, ...args: string[]): Promise<string> {
    const enter = ['-t', String(await this.init(host)), '-m', '-n', '-u', '-p', '--', command, ...args];
    return (await machine.run('nsenter', enter)).stdout;
  }

  /** Runs a command in the outside world; any exit code is an answer. */
  async outside(command: string, args: readonly string[], timeoutMs = 60_000) {
    return await machine.run(command, args, {
      netns: labNames(this.name).outsideNs,
      timeoutMs,
      okCodes: ANY,
    });
  }

  /** Whether an address answers the one ping that is sent, however long a busy machine takes. */
  async pings(address: string): Promise<boolean> {
    return (await this.outside('ping', ['-c', '1', '-W', '10', address])).exitCode === 0;
  }

  /** Whether an address leaves a ping without an answer for a second. */
  async pingsInVain(address: string): Promise<boolean> {
    return (await this.outside('ping', ['-c', '1', '-W', '1', address])).exitCode !== 0;
  }

  /** Pings an address 20 times a second until it is stopped; `answers` grows by the time (s) of each answer. */
  pinging(address: string): { readonly answers: readonly number[]; stop(): Promise<void> } {
    const answers: number[] = [];
    // not ping's own deadline: with that it ends at the first error from the network
    const ping = spawn(
      'ip',
      ['netns', 'exec', labNames(this.name).outsideNs, 'ping', '-n', '-D', '-i', '0.05', address],
      { stdio: ['ignore', 'pipe', 'ignore'] },
    );
    createInterface({ input: ping.stdout }).on('line', (line) => {
      const time = /^\[([\d.]+)\] \d+ bytes from /.exec(line)?.[1];
      if (time !== undefined) answers.push(Number(time));
    });
    const ended = once(ping, 'close');
    return {
      answers,
      async stop() {
        ping.kill('SIGINT');
        await ended;
      },
    };
  }

  /** Runs a command in a guest as root; throws when ssh itself or the command fails. */
  async ssh(guest: Guest, command: string): Promise<string> {
    const options = [
      'BatchMode=yes',
      'ConnectTimeout=30',
      'StrictHostKeyChecking=no',
      'UserKnownHostsFile=/dev/null',
      'LogLevel=ERROR',
    ];
    const args = [
      '-i',
      this.keyFile,
      ...options.flatMap((option) => ['-o', option]),
      `${this.#sshUser}@${guest.floatingIp}`,
      `sudo sh -c '${command.replaceAll("'", "'\\''")}'`,
    ];
    const { exitCode, stdout, stderr } = await this.outside('ssh', args, 150_000);
    if (exitCode !== 0)
      throw new Error(`${guest.host}: ${command}: exit code ${exitCode}: ${stdout}${stderr}`);
    return stdout.trim();
  }

  /** Whether a command in a guest succeeds. */
  async succeeds(guest: Guest, command: string): Promise<boolean> {
    return (await this.ssh(guest, `${command} >/dev/null 2>&1 && echo yes || echo no`)) === 'yes';
  }

  async keyPair(name: string): Promise<void> {
    await this.admin.call('compute', 'DELETE', `/os-keypairs/${name}`).catch(() => {});
    const { keypair } = await this.admin.call<{ keypair: { private_key: string } }>(
      'compute',
      'POST',
      '/os-keypairs',
      {
        keypair: { name },
      },
    );
    writeFileSync(this.keyFile, keypair.private_key, { mode: 0o600 });
    chmodSync(this.keyFile, 0o600);
  }

  /** A server on a given host, with a floating IP; resolves when ssh works. */
  async guest(
    name: string,
    host: string,
    parts: {
      readonly network: string;
      readonly group: string;
      readonly key: string;
      readonly external: string;
    },
  ): Promise<Guest> {
    const [image] = (await this.admin.call<{ images: Named[] }>('image', 'GET', '/v2/images?name=tiny'))
      .images;
    const flavors = await list(this.admin, 'flavor');
    const server = await findOrCreate(this.admin, 'server', name, {
      imageRef: image!.id,
      flavorRef: flavors.find((flavor) => flavor.name === 'm1.tiny')!.id,
      networks: [{ uuid: parts.network }],
      security_groups: [{ name: parts.group }],
      key_name: parts.key,
      availability_zone: `nova:${host}`,
    });
    await until(
      `server ${name} ACTIVE`,
      400,
      () => show<Named & { status: string }>(this.admin, 'server', server.id),
      ({ status }) => {
        if (status === 'ERROR') throw new Error(`server ${name} is in ERROR`);
        return status === 'ACTIVE';
      },
    );
    const [port] = await list<Port>(this.admin, 'port', { device_id: server.id });
    const floating = await create<{ floating_ip_address: string }>(this.admin, 'floatingIp', {
      floating_network_id: parts.external,
      port_id: port!.id,
    });
    const guest = {
      id: server.id,
      host,
      portId: port!.id,
      mac: port!.mac_address,
      fixedIp: port!.fixed_ips.find((ip) => !ip.ip_address.includes(':'))!.ip_address,
      floatingIp: floating.floating_ip_address,
    };
    await until(`ssh to ${name}`, 600, () => this.ssh(guest, 'echo yes'));
    return guest;
  }
}

interface CloudsFile {
  readonly clouds: {
    readonly maru: { readonly auth: Record<'username' | 'password' | 'project_name', string> };
  };
}

interface LabStatus {
  readonly hosts: readonly {
    readonly name: string;
    readonly init_pid: number | null;
    readonly agent: { readonly pid: number | null } | null;
  }[];
}
