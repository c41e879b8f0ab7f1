import { hostname, networkInterfaces } from 'node:os';
import { ask, machine } from './actions.js';

export type Role = 'controller' | 'host' | 'all-in-one';

/** What the operator gave; see `maru install --help`. */
export interface InstallOptions {
  readonly role: Role;
  readonly dryRun: boolean;
  readonly packages: boolean;
  readonly address?: string;
  readonly name?: string;
  readonly controller?: string;
  readonly token?: string;
  readonly tokenFile?: string;
  readonly physicalNetwork?: readonly string[];
  readonly tls?: 'own' | 'none';
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsCa?: string;
  readonly apiPort?: number;
}

export const isController = (role: Role) => role !== 'host';
export const isHost = (role: Role) => role !== 'controller';

/** `extnet:br-ex` texts as a mapping of alias to bridge. Throws for what is none. */
export function physicalNetworks(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const match = /^([\w.-]{1,64}):([\w.-]{1,15})$/.exec(text);
      if (!match) throw new Error(`--physical-network ${text}: must be ALIAS:BRIDGE, such as extnet:br-ex`);
      return [match[1], match[2]];
    }),
  );
}

/** The address that others reach this machine by: that of its default route, else its first that is not of its own. */
export async function ownAddress(): Promise<string> {
  for (const family of ['-4', '-6']) {
    const routes = JSON.parse((await ask('ip', family, '-j', 'route', 'show', 'default')) || '[]') as {
      dev: string;
      prefsrc?: string;
    }[];
    for (const { dev, prefsrc } of routes) {
      const address = prefsrc ?? addressesOf(dev, family === '-4' ? 'IPv4' : 'IPv6')[0];
      if (address) return address;
    }
  }
  for (const device of Object.keys(networkInterfaces())) {
    const [address] = [...addressesOf(device, 'IPv4'), ...addressesOf(device, 'IPv6')];
    if (address) return address;
  }
  throw new Error('this machine has no address that others could reach it by: give one with --address');
}

/** The token from where it was given; undefined when it was not. In arguments of this short command others may see it: prefer the others. */
export async function joinToken(
  options: InstallOptions,
  stdin: () => Promise<string>,
): Promise<string | undefined> {
  if (options.token) return options.token.trim();
  if (options.tokenFile === '-') return (await stdin()).trim();
  if (options.tokenFile) return (await machine.readFile(options.tokenFile)).trim();
  return process.env.MARU_JOIN_TOKEN?.trim() || undefined;
}

export const ownName = () => hostname().split('.')[0] ?? hostname();

function addressesOf(device: string, family: 'IPv4' | 'IPv6'): string[] {
  return (networkInterfaces()[device] ?? [])
    .filter((one) => one.family === family && !one.internal && !one.address.startsWith('fe80:'))
    .map(({ address }) => address);
}
