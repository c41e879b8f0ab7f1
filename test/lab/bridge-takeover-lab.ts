import type { ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Machine } from './network-lab.js';

const MARU = fileURLToPath(new URL('../../dist/src/main.js', import.meta.url));

/** The switch and gateway side of the cable: its addresses here are what the host finds. */
const OUTSIDE = `
  ip link set lo up
  # its IPv6 addresses stay when the cable is pulled out
  sysctl -qw net.ipv6.conf.all.forwarding=1 net.ipv6.conf.all.keep_addr_on_down=1 net.ipv6.conf.default.keep_addr_on_down=1
`;

const HOST = `
  mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var/lib && mount -t sysfs sysfs /sys
  for d in /etc/network /etc/netplan /etc/systemd/network; do [ ! -d $d ] || mount -t tmpfs tmpfs $d; done
  mkdir -p /run/netns && ip link set lo up
`;

/**
 * A host whose only cable goes to an outside world that is gateway and peer at once. The host has what makes a takeover
 * hard: several addresses and metrics in both families, a label, lifetimes, policy routing, multipath, an MTU and a MAC.
 */
export class TakeoverLab {
  readonly host: Machine;
  readonly outside: Machine;

  private constructor(host: Machine, outside: Machine) {
    this.host = host;
    this.outside = outside;
  }

  static async up(): Promise<TakeoverLab> {
    const host = await Machine.start(['-n', '-m', '--propagation', 'private'], HOST.trim());
    const outside = await Machine.start(['-n'], OUTSIDE.trim());
    const lab = new TakeoverLab(host, outside);
    await lab.plug();
    return lab;
  }

  /** Makes the cable and the host's addresses (again: after a power cut there is nothing left of them). */
  async plug(): Promise<void> {
    const { host, outside } = this;
    await host.succeeds('ip', ['link', 'del', 'br-ex']);
    await host.succeeds('ip', ['link', 'del', 'eth0']);
    // rules outlive the devices that they name
    await sh(
      host,
      `for pref in 999 1000; do while ip rule del pref $pref 2>/dev/null; do :; done; done
       while ip -6 rule del pref 32765 2>/dev/null; do :; done`,
    );
    await sh(host, `ip link add eth0 mtu 1400 type veth peer name cable netns ${outside.pid}`);
    await sh(
      outside,
      `ip link set cable up
       ip addr add 192.0.2.1/24 dev cable; ip addr add 198.51.100.1/24 dev cable
       ip addr add 2001:db8::1/64 dev cable nodad; ip addr add fe80::1/64 dev cable nodad
       ip addr replace 203.0.113.1/32 dev lo; ip addr replace 2001:db8:ffff::1/128 dev lo nodad
       ip route add 2001:db8:2::/64 dev cable`,
    );
    await sh(
      host,
      `ip link set eth0 address 02:00:00:00:00:aa; ip link set eth0 up
       ip addr add 192.0.2.10/24 brd + dev eth0
       ip addr add 192.0.2.11/24 dev eth0 label eth0:1
       ip addr add 198.51.100.5/24 dev eth0 metric 300
       ip addr add 192.0.2.130/25 dev eth0 noprefixroute
       ip addr add 2001:db8::10/64 dev eth0 nodad
       ip addr add 2001:db8::11/64 dev eth0 nodad noprefixroute valid_lft 30000 preferred_lft 20000
       ip addr add 2001:db8:2::5/128 dev eth0 nodad
       ip route add default via 192.0.2.1 dev eth0 metric 100 proto static src 192.0.2.11 mtu 1300
       ip route add default via 198.51.100.1 dev eth0 metric 200
       ip route append default via 192.0.2.1 dev eth0 metric 200
       ip route replace unreachable 203.0.113.64/26
       ip route add 203.0.113.128/25 via 192.0.2.77 dev eth0 onlink table 101
       ip route add default via 198.51.100.1 dev eth0 table 101
       ip route add 203.0.113.0/25 table 101 nexthop via 192.0.2.1 weight 1 nexthop via 198.51.100.1 weight 2
       ip route add default via fe80::1 dev eth0 metric 1024 pref high
       ip route add 2001:db8:8::/64 via fe80::1 dev eth0 metric 50 expires 30000 proto ra
       ip -6 route add 2001:db8:7::/64 nexthop via 2001:db8::1 dev eth0 nexthop via fe80::1 dev eth0
       ip -6 route add default via 2001:db8::1 dev eth0 table 101
       ip rule add from 198.51.100.5 lookup 101 pref 1000
       ip rule add iif eth0 fwmark 0x1/0xff lookup 101 pref 999
       ip -6 rule add oif eth0 lookup 101 pref 32765
       sysctl -qw net.ipv4.conf.eth0.rp_filter=1 net.ipv6.conf.eth0.accept_ra=2 net.ipv4.conf.eth0.arp_announce=2`,
    );
    // the kernel's own link-local address is there and usable when duplicate detection is done
    await until('the link-local address', async () => {
      const addresses = await sh(host, 'ip -6 addr show dev eth0');
      return /inet6 fe80:/.test(addresses) && !/tentative/.test(addresses);
    });
  }

  /**
   * Everything of the host's network as the kernel tells it, lifetimes aside. IPv6 siblings have no order; the others'
   * order means something.
   */
  async state(): Promise<string> {
    const all = await sh(
      this.host,
      `ip -d link show; ip addr show; ip -4 route show table all; ip -6 route show table all | sort
       ip -4 rule; ip -6 rule; sysctl -a -r 'net.ipv[46].conf.(eth0|br-ex)' 2>/dev/null; ls /run/netns`,
    );
    return all
      .replace(/^\d+: /gm, '')
      .replace(/@if\d+|link-netnsid \d+/g, '')
      .replace(/(_timer) +[\d.]+/g, '$1 N')
      .replace(/valid_lft \d+sec preferred_lft \d+sec/g, 'valid_lft N preferred_lft N')
      .replace(/expires \d+sec/g, 'expires N');
  }

  /** The same when the kernel has told of every carrier that came meanwhile, which it does up to a second later. */
  async settled(): Promise<string> {
    let state = '';
    await until('uplink and bridge are up', async () => {
      state = await this.state();
      return !/^(eth0|br-ex)[:@].* state (?!UP )/m.test(state);
    });
    return state;
  }

  /** Runs `maru bridge …` on the host to its end. */
  async maru(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    return await this.host.exec('node', [MARU, 'bridge', ...args], {
      env,
      timeoutMs: 120_000,
      okCodes: [0, 1, 2],
    });
  }

  /** Starts it; the process is the command itself, not a wrapper. */
  begin(args: readonly string[], env: Readonly<Record<string, string>> = {}): Begun {
    const assignments = Object.entries(env).map(([name, value]) => `${name}=${value}`);
    // nsenter, sh and env all become the command
    const merged = ['-c', 'exec "$@" 2>&1', 'sh', 'env', ...assignments];
    return new Begun(this.host.start('sh', [...merged, 'node', MARU, 'bridge', ...args]));
  }

  /** What does not answer: the host's addresses asked from outside, and far ones asked from the host by its default routes. */
  async unreached(): Promise<readonly string[]> {
    const { host, outside } = this;
    const asked = [
      ...['192.0.2.10', '198.51.100.5', '2001:db8::10'].map((address) => [outside, address] as const),
      ...['203.0.113.1', '2001:db8:ffff::1'].map((address) => [host, address] as const),
    ];
    const answers = await Promise.all(asked.map(([machine, address]) => machine.pings(address)));
    return asked.filter((_, index) => !answers[index]).map(([, address]) => address);
  }

  /** No change is on trial any more. */
  async over(): Promise<boolean> {
    return !(await this.host.succeeds('test', ['-e', '/var/lib/maru-bridge/pending']));
  }

  down(): void {
    this.host.stop();
    this.outside.stop();
  }
}

/** A `maru bridge` that runs. */
export class Begun {
  readonly process: ChildProcess;
  output = '';
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>;

  constructor(process: ChildProcess) {
    this.process = process;
    process.stdout?.on('data', (chunk) => {
      this.output += String(chunk);
    });
    // and all that it has said is read
    this.ended = new Promise((resolve) => process.once('close', (code, signal) => resolve({ code, signal })));
  }

  /** Waits until it has stopped itself (MARU_BRIDGE_STOP_AT). */
  async stopped(): Promise<void> {
    await until('the command has stopped itself', async () => {
      if (this.process.exitCode !== null) throw new Error(`the command has ended: ${this.output}`);
      const stat = await readFile(`/proc/${this.process.pid}/stat`, 'utf8');
      return stat.charAt(stat.lastIndexOf(')') + 2) === 'T';
    });
  }

  goOn(): void {
    this.process.kill('SIGCONT');
  }
}

/** Lines of a shell script on a machine; any that fails fails all. */
export async function sh(machine: Machine, script: string): Promise<string> {
  const { stdout } = await machine.exec('sh', ['-e'], { input: script, timeoutMs: 60_000 });
  return stdout;
}

/** Waits for a condition, which is asked again and again. */
export async function until(what: string, condition: () => Promise<boolean>, milliseconds = 90_000) {
  const end = Date.now() + milliseconds;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`${what}: not within ${milliseconds} ms`);
    await sleep(100);
  }
}
