import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import type { DoctorReport } from '../../../src/protocol/doctor.js';
import { machine as here } from '../machine.js';
import { SystemdMachine } from '../systemd-machine.js';

const CHECKOUT = fileURLToPath(new URL('../../..', import.meta.url)).replace(/\/$/, '');
export const MARU = [process.execPath, `${CHECKOUT}/dist/src/main.js`] as const;

/** Addresses for documentation, in namespaces only. */
export const EXTERNAL = '192.0.2.5';
export const UNDERLAY = '198.51.100.1';

const CONFIG = `
controller:
  name: ctl
  listen: 127.0.0.1:5000
  agent_listen: ${UNDERLAY}:5443
  agent_names: [cloud.test]
agent:
  name: h1
  controller: https://cloud.test:5443
  underlay_ip: ${UNDERLAY}
  physical_networks: { extnet: br-ex }
  virt_type: qemu
  full_sync_interval: 3600
`;

function unit(command: string, more = ''): string {
  return `[Service]\nType=exec\nExecStart=${MARU.join(' ')} ${command}\nKillMode=process\n${more}\n`;
}

/** A machine with controller, agent, libvirt and br-ex, as an installation leaves it: doctor finds nothing wrong there. */
export class DoctorMachine {
  readonly machine: SystemdMachine;
  /** Namespace at the other ends of its cables. */
  readonly outside: string;

  private constructor(machine: SystemdMachine, outside: string) {
    this.machine = machine;
    this.outside = outside;
  }

  static async start(): Promise<DoctorMachine> {
    await here.run(`${CHECKOUT}/scripts/maru`, ['--version'], { timeoutMs: 600_000 });
    const machine = await SystemdMachine.start({
      name: 'doctor',
      hostname: 'h1',
      enable: ['libvirtd.service', 'virtlogd.service', 'virtlockd.service'],
      files: {
        '/etc/maru/maru.yaml': { content: CONFIG, mode: 0o640 },
        '/etc/hosts': `127.0.0.1 localhost\n127.0.1.1 h1\n${UNDERLAY} cloud.test\n`,
        '/etc/resolv.conf': 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n',
        '/etc/default/libvirt-guests': 'ON_BOOT=ignore\n',
        '/etc/nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files\n',
        '/etc/systemd/system/maru-controller.service': unit('controller'),
        '/etc/systemd/system/maru-agent.service': unit('agent', 'EnvironmentFile=-/run/maru-join'),
        '/etc/systemd/system/backup.service':
          '[Service]\nType=oneshot\nExecStart=/usr/bin/test -e /run/backup-fine\n',
        '/etc/systemd/system/firewalld.service':
          '[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=nft add table inet firewalld\nExecStop=nft delete table inet firewalld\n',
        '/etc/systemd/system/dnsmasq.service': `[Service]\nExecStart=dnsmasq -k -C /dev/null -u root --dhcp-leasefile=/run/leases --dhcp-range=192.0.2.50,192.0.2.60\n`,
        // what keeps the time, by its name: a clock is the machine's, and is not to be set here
        '/etc/systemd/system/time.service': '[Service]\nExecStart=/usr/local/sbin/chronyd 100000\n',
      },
    });
    const outside = `doctor-${randomBytes(2).toString('hex')}`;
    const doctor = new DoctorMachine(machine, outside);
    try {
      await doctor.#plug();
      await doctor.sh('cp /bin/sleep /usr/local/sbin/chronyd');
      await doctor.sh('systemctl start time libvirtd.socket libvirtd maru-controller');
      await doctor.#join();
      return doctor;
    } catch (error) {
      await doctor.stop();
      throw error;
    }
  }

  /** Runs a script in the machine; throws when a command of it fails. */
  async sh(script: string): Promise<string> {
    return await this.machine.must('bash', ['-euc', script]);
  }

  /** Runs one in the namespace that its cables lead to. */
  async out(...args: string[]): Promise<void> {
    await here.run('ip', ['-n', this.outside, ...args]);
  }

  /** What `maru doctor` says; `args` follow it. */
  async doctor(...args: string[]): Promise<{ report: DoctorReport; exitCode: number; seconds: number }> {
    const begun = Date.now();
    const { exitCode, stdout, stderr } = await this.machine.run(MARU[0], [
      MARU[1],
      'doctor',
      '--json',
      ...args,
    ]);
    if (stdout === '') throw new Error(`maru doctor ${args.join(' ')}: exit code ${exitCode}\n${stderr}`);
    const seconds = (Date.now() - begun) / 1000;
    return { report: JSON.parse(stdout) as DoctorReport, exitCode, seconds };
  }

  /** Any `maru` command, as the administrator. */
  async maru(...args: string[]): Promise<string> {
    const password = (await this.machine.must('cat', ['/var/lib/maru/admin-password'])).trim();
    const env = {
      OS_AUTH_URL: 'http://127.0.0.1:5000/identity/v3',
      OS_USERNAME: 'admin',
      OS_PASSWORD: password,
      OS_PROJECT_NAME: 'admin',
    };
    const { stdout, stderr, exitCode } = await this.machine.run(MARU[0], [MARU[1], ...args], { env });
    if (exitCode > 1 || (exitCode === 1 && stdout === ''))
      throw new Error(`maru ${args.join(' ')}: exit code ${exitCode}\n${stderr}`);
    return stdout;
  }

  /** Resolves when a script in the machine succeeds. */
  async until(script: string, ms = 120_000): Promise<void> {
    const deadline = Date.now() + ms;
    for (;;) {
      const { exitCode, stdout, stderr } = await this.machine.run('bash', ['-euc', script]);
      if (exitCode === 0) return;
      if (Date.now() > deadline) throw new Error(`not within ${ms} ms: ${script}\n${stdout}${stderr}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  async stop(): Promise<void> {
    await this.machine.stop();
    await here.run('ip', ['netns', 'del', this.outside], { okCodes: [0, 1] });
  }

  async #plug(): Promise<void> {
    await here.run('ip', ['netns', 'add', this.outside]);
    for (const name of ['eth0', 'underlay']) {
      const peer = ['peer', 'name', name, 'netns', this.machine.netns];
      await this.out('link', 'add', `out-${name}`, 'type', 'veth', ...peer);
      await this.out('link', 'set', `out-${name}`, 'up');
    }
    await this.sh(`
      ip link add br-ex type bridge stp_state 0 forward_delay 0
      ip link set eth0 master br-ex
      for device in eth0 br-ex underlay; do ip link set $device up; done
      ip addr add ${EXTERNAL}/24 dev br-ex
      ip addr add ${UNDERLAY}/24 dev underlay
      ip route add default via 192.0.2.254 dev br-ex`);
  }

  async #join(): Promise<void> {
    await this.until('test -s /var/lib/maru/admin-password && ss -Hltn | grep -q 127.0.0.1:5000');
    const token = (await this.maru('host', 'token', '--name', 'h1')).trim();
    await this.machine.write('/run/maru-join', `MARU_JOIN_TOKEN=${token}\n`, 0o600);
    await this.sh('systemctl start maru-agent');
    await this.until('ss -Hltn | grep -q :5444 && nft list table bridge maru >/dev/null');
    for (const end = Date.now() + 120_000; !/ up /.test(await this.maru('host', 'list')); )
      if (Date.now() > end) throw new Error('the host is not up within 120 s');
  }
}
