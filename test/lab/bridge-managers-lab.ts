import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { execa, type ResultPromise } from 'execa';
import { SystemdMachine } from '../support/systemd-machine.js';
import type { Ends } from './bridge-probes.js';

const MARU = fileURLToPath(new URL('../../dist/src/main.js', import.meta.url));
const MAC = '52:54:00:00:00:10';

/** What a manager has in its files, and which of its units run. */
export interface Managed {
  /** The first is the manager. */
  readonly units: readonly string[];
  readonly files: Readonly<Record<string, { readonly content: string; readonly mode?: number }>>;
}

const REVERT_UNIT = fileURLToPath(
  new URL('../../templates/systemd/maru-bridge-revert.service', import.meta.url),
);

/** The machine's kernel is that of the test, which is never booted: what says so must change with each start of systemd. */
const ANOTHER_BOOT_ID = `[Unit]
DefaultDependencies=no
Before=maru-bridge-revert.service network-pre.target sysinit.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'cat /proc/sys/kernel/random/uuid >/run/boot-id && mount --bind /run/boot-id /proc/sys/kernel/random/boot_id'

[Install]
WantedBy=sysinit.target
`;

/** Every unit of a manager; those of the others are disabled and stopped by the next boot. */
const UNITS = ['systemd-networkd.service', 'NetworkManager.service', 'networking.service'];

/** Where managers have their files. */
const OF_MANAGERS = [
  '/etc/systemd/network',
  '/etc/netplan',
  '/etc/network/interfaces.d',
  '/etc/NetworkManager/system-connections',
];

/** A machine with one cable to an outside world with a router and a DHCP server, whose leases are renewed every few seconds. */
export class ManagedHost {
  readonly machine: SystemdMachine;
  /** Name of the namespace at the cable's other end. */
  readonly #outside: string;
  readonly #server: ResultPromise;
  #router: ResultPromise | null = null;
  #log = '';

  private constructor(machine: SystemdMachine, outside: string, server: ResultPromise) {
    this.machine = machine;
    this.#outside = outside;
    this.#server = server;
    server.stderr?.on('data', (chunk: Buffer) => {
      this.#log += chunk.toString();
    });
  }

  /** `name`: of the machine; one of a name at a time. */
  static async up(units: readonly string[], name = 'brm'): Promise<ManagedHost> {
    const machine = await SystemdMachine.start({
      name,
      enable: [...UNITS, ...units],
      files: {
        '/etc/resolv.conf': '',
        '/etc/systemd/system/another-boot-id.service': ANOTHER_BOOT_ID,
        '/etc/systemd/system/maru-bridge-revert.service': await readFile(REVERT_UNIT, 'utf8'),
      },
    });
    const netns = `maru-sd-${name}-outside`;
    const outside = (...command: string[]) => execa('ip', ['netns', 'exec', netns, ...command]);
    await execa('ip', ['netns', 'del', netns], { reject: false });
    await execa('ip', ['netns', 'add', netns]);
    await outside('ip', 'link', 'set', 'lo', 'up');
    await outside('ip', 'link', 'add', 'wire', 'type', 'bridge', 'forward_delay', '0', 'mcast_snooping', '0');
    await outside('sysctl', '-qw', 'net.ipv6.conf.wire.accept_dad=0');
    await outside('ip', 'link', 'set', 'wire', 'up');
    for (const address of ['192.0.2.1/24', '2001:db8:1::1/64', '203.0.113.1/24'])
      await outside('ip', 'addr', 'add', address, 'dev', 'wire');
    const range = ['--dhcp-range=192.0.2.100,192.0.2.200,255.255.255.0,120'];
    const options = ['3,192.0.2.1', '6,192.0.2.53', '58,4', '59,60'].map((o) => `--dhcp-option-force=${o}`);
    const server = execa(
      'ip',
      [
        'netns',
        'exec',
        netns,
        'dnsmasq',
        '--keep-in-foreground',
        '--log-facility=-',
        '--conf-file=/dev/null',
        '--port=0',
        // it would wait for an answer from whoever has the address that it is about to give
        '--no-ping',
      ].concat(
        ['--interface=wire', '--bind-interfaces', '--dhcp-authoritative', '--leasefile-ro', '--pid-file='],
        range,
        options,
      ),
      { reject: false, buffer: false },
    );
    return new ManagedHost(machine, netns, server);
  }

  /** Writes a manager's files in place of all others', lets only its units run, and boots: so everything comes from the files. */
  async managedBy({ units, files }: Managed): Promise<void> {
    const { machine } = this;
    await machine.must('sh', ['-ec', `for d in ${OF_MANAGERS.join(' ')}; do rm -rf $d; mkdir -p $d; done`]);
    await machine.must('rm', ['-rf', '/etc/network/interfaces', '/var/lib/maru-bridge']);
    await this.machine.run('systemctl', ['disable', ...UNITS]);
    const always = ['another-boot-id.service', 'maru-bridge-revert.service'];
    await this.machine.must('systemctl', ['enable', ...units, ...always]);
    for (const [path, { content, mode }] of Object.entries(files))
      await this.machine.write(path, content, mode);
    await this.reboot();
  }

  async reboot(): Promise<void> {
    await this.machine.reboot(async () => {
      await execa('ip', ['-n', this.#outside, 'link', 'del', 'cable'], { reject: false });
      const peer = ['peer', 'name', 'eth0', 'address', MAC, 'netns', this.machine.netns];
      await execa('ip', ['-n', this.#outside, 'link', 'add', 'cable', 'type', 'veth', ...peer]);
      await this.outside('ip', 'link', 'set', 'cable', 'master', 'wire', 'up');
    });
  }

  maru(...args: string[]) {
    return this.machine.run('node', [MARU, 'bridge', ...args]);
  }

  /** Both ends of the cable, where programs can be started. */
  get ends(): Ends {
    const end = (netns: string) => ({
      start: (command: string, args: readonly string[]): ChildProcess =>
        spawn('ip', ['netns', 'exec', netns, command, ...args], { stdio: ['pipe', 'pipe', 'ignore'] }),
    });
    return { host: end(this.machine.netns), outside: end(this.#outside) };
  }

  /** Runs a command at the cable's other end; rejects when it fails. */
  async outside(...command: string[]): Promise<void> {
    await execa('ip', ['netns', 'exec', this.#outside, ...command]);
  }

  /** Whether the manager says that it has done with a device all that its files say: before, half of it may be there. */
  async configured(device: string, { units }: Managed): Promise<boolean> {
    const said = async (command: string, ...args: string[]) => (await this.machine.run(command, args)).stdout;
    switch (units[0]) {
      case 'systemd-networkd.service':
        return / \(configured\)/.test(await said('networkctl', 'status', '--no-pager', '--lines=0', device));
      case 'NetworkManager.service':
        return /^100 /m.test(await said('nmcli', '-g', 'GENERAL.STATE', 'device', 'show', device));
      default:
        return (await said('systemctl', 'is-active', units[0]!)) === 'active\n';
    }
  }

  /** From outside, in both families. */
  async reachable(...addresses: string[]): Promise<boolean> {
    const pings = addresses.map((address) =>
      execa('ip', ['netns', 'exec', this.#outside, 'ping', '-n', '-c', '1', '-W', '1', address], {
        reject: false,
      }),
    );
    return (await Promise.all(pings)).every(({ exitCode }) => exitCode === 0);
  }

  /** Addresses of a device, without lifetimes: `192.0.2.10/24`. Link-local ones are left out, so is what is not yet usable. */
  async addresses(device: string): Promise<readonly string[]> {
    const { stdout } = await this.machine.run('ip', ['-j', 'addr', 'show', 'dev', device, 'scope', 'global']);
    const [link] = JSON.parse(stdout || '[{}]') as { addr_info?: AddressInfo[] }[];
    return (link?.addr_info ?? [])
      .filter((a) => a.local && !a.tentative)
      .map(
        (a) =>
          `${a.local}/${a.prefixlen}${a.label === device || !a.label ? '' : ` ${a.label.replace(device, 'DEV')}`}`,
      )
      .sort();
  }

  /** Routes and rules that hang on a device, with DEV for its name; without what comes and goes by itself. */
  async routes(device: string): Promise<readonly string[]> {
    const shown = await Promise.all(
      ['-4', '-6'].map((family) => this.machine.must('ip', [family, 'route', 'show', 'table', 'all'])),
    );
    const rules = await this.machine.must('ip', ['rule']);
    return [...shown.join('\n').split('\n'), ...rules.split('\n')]
      .map((line) => line.replaceAll(/ (linkdown|expires \d+sec|pref medium|error -?\d+)/g, '').trim())
      .filter((line) => `${line} `.includes(` dev ${device} `) || line.includes('lookup 100'))
      .filter((line) => !/table local|^fe80|^ff00|^multicast/.test(line))
      .map((line) => line.replaceAll(device, 'DEV').replaceAll(/\s+/g, ' '))
      .sort();
  }

  /** What of files a takeover might touch, by path. */
  async files(): Promise<string> {
    const places = ['netplan', 'network', 'systemd/network', 'NetworkManager/system-connections', 'cloud'];
    return await this.machine.must('sh', [
      '-c',
      `for d in ${places.join(' ')}; do find /etc/$d /run/$d -path '*/ifstate*' -prune -o -type f -name '*maru*' -print; find /etc/$d -type f -exec stat -c '%a %n' {} + -exec cat {} +; done 2>/dev/null; ls /run/netplan 2>/dev/null; exit 0`,
    ]);
  }

  /**
   * The world outside has a router from now on that advertises the prefix 2001:db8:5::/64 every few seconds, and gives addresses in it
   * by DHCPv6, which end in 1000 to 1fff.
   */
  async advertise(): Promise<void> {
    if (this.#router) return;
    await this.outside('ip', 'addr', 'replace', '2001:db8:5::1/64', 'dev', 'wire');
    const server = [
      'dnsmasq',
      '--keep-in-foreground',
      '--log-facility=-',
      '--conf-file=/dev/null',
      '--port=0',
    ];
    const wire = ['--interface=wire', '--bind-interfaces', '--leasefile-ro', '--pid-file=', '--enable-ra'];
    const range = ['--dhcp-range=2001:db8:5::1000,2001:db8:5::1fff,slaac,64,120', '--ra-param=wire,4,60'];
    const netns = ['ip', 'netns', 'exec', this.#outside];
    const command = [...netns, ...server, ...wire, ...range];
    this.#router = execa(command[0]!, command.slice(1), { reject: false, buffer: false });
  }

  /** How often the server has confirmed a lease so far. */
  acknowledged(): number {
    return this.#log.match(/DHCPACK/g)?.length ?? 0;
  }

  /** The DHCP server answers what it is asked meanwhile only when `mute` is over. */
  muteServer(mute: boolean): void {
    this.#server.kill(mute ? 'SIGSTOP' : 'SIGCONT');
  }

  async down(): Promise<void> {
    await this.machine.stop();
    this.#server.kill('SIGKILL');
    this.#router?.kill('SIGKILL');
    await execa('ip', ['netns', 'del', this.#outside], { reject: false });
  }
}

interface AddressInfo {
  readonly local?: string;
  readonly prefixlen: number;
  readonly label?: string;
  readonly tentative?: boolean;
}

/** Waits until it holds, and says what it was waiting for when it does not. */
export async function until(what: string, holds: () => Promise<boolean>, limitMs = 90_000): Promise<void> {
  for (const deadline = Date.now() + limitMs; !(await holds()); ) {
    if (Date.now() > deadline) throw new Error(`not within ${limitMs} ms: ${what}`);
    await sleep(100);
  }
}
