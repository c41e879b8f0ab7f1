import { diffTables, type TableDiff, tableSteps } from '../firewall/iptables/diff.js';
import { wrongSysctls } from '../firewall/sysctls.js';
import type { BatchLine, Step } from '../model.js';
import type { DesiredDevice, DesiredNamespace, ObservedDevice, ObservedNamespace } from './model.js';

/** What has to be done inside one namespace that exists. */
export interface NamespaceDiff {
  readonly sysctls: readonly string[];
  /** Lines for one `ip -n NAMESPACE -batch`. */
  readonly lines: readonly BatchLine[];
  readonly tables: readonly TableDiff[];
  /** IPv4 addresses that go: connections through them are cut. */
  readonly removedAddresses: readonly string[];
}

const NEW: ObservedNamespace = {
  sysctls: new Map(),
  devices: new Map(),
  routes: new Map(),
  tables: new Map(),
};

/** Compares a namespace with what it should be; null stands for one that is made just now. */
export function diffNamespace(desired: DesiredNamespace, observed: ObservedNamespace | null): NamespaceDiff {
  const have = observed ?? NEW;
  const lines: BatchLine[] = [];
  const add = (line: string) => lines.push({ line, object: desired.owner });
  if (!have.devices.get('lo')?.up) add('link set dev lo up');
  const removedAddresses: string[] = [];
  for (const device of desired.devices.values()) {
    const diff = deviceLines(device, have.devices.get(device.name));
    removedAddresses.push(...diff.removed);
    for (const line of diff.lines) add(line);
  }
  for (const [key, how] of desired.routes) {
    const [family, destination] = key.split(' ');
    if (have.routes.get(key) !== how)
      add(`route replace ${routeTarget(family!, destination!)} ${how} proto static`);
  }
  for (const [key, how] of have.routes) {
    const [family, destination] = key.split(' ');
    // routes of a device that is about to go, go with it
    const device = /dev (\S+)/.exec(how)?.[1];
    if (desired.routes.has(key) || !desired.devices.has(device ?? '')) continue;
    add(`route del ${routeTarget(family!, destination!)} ${how}`);
  }
  return {
    sysctls: wrongSysctls(desired.sysctls, have.sysctls),
    lines,
    tables: desired.families.length ? diffTables(desired.tables, have.tables) : [],
    removedAddresses,
  };
}

/** The diff in words. */
export function namespaceSteps(desired: DesiredNamespace, observed: ObservedNamespace | null): Step[] {
  const { name, owner: object } = desired;
  const diff = diffNamespace(desired, observed);
  return [
    ...(observed ? [] : [{ object, action: 'ip netns add', detail: name }]),
    ...diff.sysctls.map((detail) => ({ object, action: `sysctl in ${name}`, detail })),
    ...diff.lines.map(({ line }) => ({ object, action: `ip -n ${name}`, detail: line })),
    ...diff.tables.flatMap((table) => tableSteps(table, name)).map((step) => ({ ...step, object })),
  ];
}

/** A batch line has no -6 option: the family is taken from the address. */
function routeTarget(family: string, destination: string): string {
  if (destination !== 'default') return destination;
  return family === '6' ? '::/0' : '0.0.0.0/0';
}

function deviceLines(
  device: DesiredDevice,
  found: ObservedDevice | undefined,
): { lines: string[]; removed: string[] } {
  const { name } = device;
  const lines: string[] = [];
  const removed: string[] = [];
  if (found && found.mac !== device.mac) lines.push(`link set dev ${name} address ${device.mac}`);
  if (found && found.mtu !== device.mtu) lines.push(`link set dev ${name} mtu ${device.mtu}`);
  const wanted = new Set(device.addresses);
  for (const address of found?.addresses ?? []) {
    if (wanted.has(address)) continue;
    lines.push(`addr del ${address} dev ${name}`);
    removed.push(address.split('/')[0]!);
  }
  const added = device.addresses.filter((address) => !found?.addresses.has(address));
  for (const address of added) {
    lines.push(`addr replace ${address} dev ${name} ${address.includes(':') ? 'nodad' : 'brd +'}`);
  }
  if (!found?.up) lines.push(`link set dev ${name} up`);
  // with arp_notify and ndisc_notify set, this makes the kernel announce all addresses of the device
  else if (added.length) lines.push(`link set dev ${name} address ${device.mac}`);
  return { lines, removed };
}
