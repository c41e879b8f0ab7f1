import type { NetworkContext } from '../config.js';

/** Kernel settings that bridged filtering stands on, in the host's own namespace. */
export const HOST_SYSCTLS: Readonly<Record<string, string>> = {
  'net.bridge.bridge-nf-call-iptables': '1',
  'net.bridge.bridge-nf-call-ip6tables': '1',
  'net.bridge.bridge-nf-call-arptables': '0',
  // otherwise a connection that was cut comes back with its next packet
  'net.netfilter.nf_conntrack_tcp_loose': '0',
};

/** Reads settings in a namespace (null: the host's own). Those that do not exist are missing from the result. */
export async function readSysctls(
  { host }: NetworkContext,
  names: readonly string[],
  netns?: string,
): Promise<Map<string, string>> {
  const { stdout } = await host.read('sysctl', ['-e', ...names], {
    okCodes: [0, 1, 255],
    ...(netns ? { netns } : {}),
  });
  return new Map(
    stdout
      .split('\n')
      .map((line) => line.split(/\s*=\s*/))
      .filter((parts): parts is [string, string] => parts.length === 2),
  );
}

/** Sets what differs: at most one command, and br_netfilter is loaded when its settings are not there. */
export async function applyHostSysctls(
  context: NetworkContext,
  observed: Map<string, string>,
): Promise<void> {
  const wrong = wrongSysctls(HOST_SYSCTLS, observed);
  if (!wrong.length) return;
  if (!observed.has('net.bridge.bridge-nf-call-iptables')) {
    await context.host.run('modprobe', ['-a', 'br_netfilter', 'nf_conntrack']);
  }
  await context.host.run('sysctl', ['-q', '-w', ...wrong]);
  for (const [name, value] of Object.entries(HOST_SYSCTLS)) observed.set(name, value);
}

/** `name=value` of every setting that is not as wanted. */
export function wrongSysctls(
  wanted: Readonly<Record<string, string>>,
  observed: ReadonlyMap<string, string>,
): string[] {
  return Object.entries(wanted)
    .filter(([name, value]) => observed.get(name) !== value)
    .map(([name, value]) => `${name}=${value}`);
}
