import { type Action, ask, ensureFile } from './actions.js';
import type { Step } from './run-steps.js';

export const SYSCTL_FILE = '/etc/sysctl.d/60-maru.conf';
export const MODULES_FILE = '/etc/modules-load.d/maru.conf';

const MODULES = ['br_netfilter', 'nf_conntrack', 'vxlan', 'ip_set_hash_net', 'tun'];

/** The agent sets these itself when they are not so; here they are right from boot on. */
const SYSCTLS: Readonly<Record<string, string>> = {
  'net.bridge.bridge-nf-call-iptables': '1',
  'net.bridge.bridge-nf-call-ip6tables': '1',
  'net.bridge.bridge-nf-call-arptables': '0',
  'net.netfilter.nf_conntrack_tcp_loose': '0',
};

/** Kernel modules and settings of a host, now and at boot. */
export function kernelStep(): Step {
  return {
    name: 'kernel',
    advice: 'Is the kernel that runs the one that is installed (reboot after an upgrade)?',
    async look(): Promise<Action[]> {
      const modules = `# Maru: what bridged filtering and tunnels need; loaded before sysctl.d is applied\n${MODULES.join('\n')}\n`;
      const lines = Object.entries(SYSCTLS).map(([name, value]) => `${name} = ${value}`);
      const sysctls = `# Maru: bridged traffic of guests passes the security groups' rules\n${lines.join('\n')}\n`;
      return [
        ...(await ensureFile({ path: MODULES_FILE, content: modules, mode: 0o644 })),
        ...(await ensureFile({ path: SYSCTL_FILE, content: sysctls, mode: 0o644 })),
        ...(await now()),
      ];
    },
  };
}

async function now(): Promise<Action[]> {
  const names = Object.keys(SYSCTLS);
  const output = (await ask('sysctl', '-e', ...names)) ?? '';
  const found = new Map(output.split('\n').map((line) => line.split(/\s*=\s*/) as [string, string]));
  const load: Action[] = names.some((name) => !found.has(name))
    ? [{ do: 'run', argv: ['modprobe', '-a', 'br_netfilter', 'nf_conntrack'] }]
    : [];
  const wrong = Object.entries(SYSCTLS).filter(([name, value]) => found.get(name) !== value);
  if (wrong.length === 0) return load;
  return [...load, { do: 'run', argv: ['sysctl', '-q', '-w', ...wrong.map((pair) => pair.join('='))] }];
}
