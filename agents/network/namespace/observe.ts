import type { NetworkContext } from '../config.js';
import { observeTables } from '../firewall/iptables/observe.js';
import { readSysctls } from '../firewall/sysctls.js';
import {
  type DesiredNamespace,
  isOurNamespace,
  type ObservedDevice,
  type ObservedNamespace,
} from './model.js';

/** Names of our namespaces: one command. */
export async function listNamespaces({ host }: NetworkContext): Promise<string[]> {
  const { stdout } = await host.read('ip', ['netns', 'list']);
  return stdout
    .split('\n')
    .map((line) => line.split(' ')[0]!)
    .filter(isOurNamespace);
}

/** Reads a namespace: devices and addresses, routes, settings, and the tables of the families that it uses. */
export async function observeNamespace(
  context: NetworkContext,
  desired: DesiredNamespace,
): Promise<ObservedNamespace> {
  const { host } = context;
  const { name } = desired;
  const [devices, routes4, routes6, sysctls, tables] = await Promise.all([
    host.read('ip', ['-n', name, '-j', 'addr', 'show']),
    host.read('ip', ['-n', name, '-4', '-j', 'route', 'show', 'proto', 'static']),
    host.read('ip', ['-n', name, '-6', '-j', 'route', 'show', 'proto', 'static']),
    readSysctls(context, Object.keys(desired.sysctls), name),
    desired.families.length ? observeTables(context, desired.families, name) : Promise.resolve(new Map()),
  ]);
  return {
    devices: parseAddresses(devices.stdout),
    routes: new Map([...parseRoutes(routes4.stdout, 4), ...parseRoutes(routes6.stdout, 6)]),
    sysctls,
    tables,
  };
}

/** Output of `ip -j addr show`. Link-local addresses are the kernel's and left out. */
export function parseAddresses(json: string): Map<string, ObservedDevice> {
  const all = JSON.parse(json || '[]') as RawDevice[];
  return new Map(
    all.map((raw) => [
      raw.ifname,
      {
        mac: raw.address ?? '',
        mtu: raw.mtu,
        up: raw.flags.includes('UP'),
        addresses: new Set(
          (raw.addr_info ?? [])
            .filter(
              ({ scope, family, local }) => !(family === 'inet6' && scope === 'link') && local !== undefined,
            )
            .map(({ local, prefixlen }) => `${local}/${prefixlen}`),
        ),
      },
    ]),
  );
}

/** Output of `ip -j route show`. */
export function parseRoutes(json: string, family: 4 | 6): Map<string, string> {
  const all = JSON.parse(json || '[]') as RawRoute[];
  return new Map(
    all.map(({ dst, gateway, dev, flags }) => {
      const parts = [
        ...(gateway ? [`via ${gateway}`] : []),
        `dev ${dev}`,
        ...(flags?.includes('onlink') ? ['onlink'] : []),
      ];
      return [`${family} ${dst}`, parts.join(' ')];
    }),
  );
}

interface RawDevice {
  readonly ifname: string;
  readonly address?: string;
  readonly mtu: number;
  readonly flags: readonly string[];
  readonly addr_info?: readonly {
    readonly family: string;
    readonly local?: string;
    readonly prefixlen: number;
    readonly scope: string;
  }[];
}

interface RawRoute {
  readonly dst: string;
  readonly gateway?: string;
  readonly dev?: string;
  readonly flags?: readonly string[];
}
