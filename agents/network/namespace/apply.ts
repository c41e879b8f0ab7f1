import type { Host } from '../../host/host.js';
import { runBatch } from '../batch.js';
import type { NetworkContext } from '../config.js';
import { RestoreError, restoreTable } from '../firewall/iptables/apply.js';
import { type Failures, toObjectError } from '../model.js';
import { diffNamespace } from './diff.js';
import type { DesiredNamespace, ObservedNamespace } from './model.js';

/** Makes a namespace that is not there and sets its kernel settings, before devices are put into it. */
export async function prepareNamespace(
  { host }: NetworkContext,
  desired: DesiredNamespace,
  observed: ObservedNamespace | undefined,
): Promise<ObservedNamespace> {
  const found = observed ?? { sysctls: new Map(), devices: new Map(), routes: new Map(), tables: new Map() };
  if (!observed) await host.run('ip', ['netns', 'add', desired.name], { mounts: true });
  const { sysctls } = diffNamespace(desired, found);
  if (sysctls.length) {
    await host.run('sysctl', ['-q', '-w', ...sysctls], { netns: desired.name });
    for (const [name, value] of Object.entries(desired.sysctls)) found.sysctls.set(name, value);
  }
  return found;
}

/**
 * Brings addresses, routes and rules of a namespace up to date: one `ip -batch` and one `iptables-restore` per table, side
 * by side. Returns false if anything failed, so that the namespace is observed again.
 */
export async function applyNamespace(
  context: NetworkContext,
  desired: DesiredNamespace,
  observed: ObservedNamespace,
  failures: Failures,
): Promise<boolean> {
  const diff = diffNamespace(desired, observed);
  const results = await Promise.allSettled([
    runBatch(context.host, 'ip', diff.lines, failures, desired.name).then((failed) => {
      if (failed.size) throw new Error('batch line failed');
    }),
    ...diff.tables.map((table) => restoreTable(context, table, observed.tables, desired.name)),
  ]);
  let clean = true;
  for (const result of results) {
    if (result.status === 'fulfilled') continue;
    clean = false;
    const { reason } = result;
    failures.addPartial(desired.owner, toObjectError(reason instanceof RestoreError ? reason.cause : reason));
  }
  if (clean) note(desired, observed);
  await cutTranslated(context.host, desired.name, translatedAddresses(diff));
  return clean;
}

/**
 * Has the kernel announce all addresses of a namespace's devices (gratuitous ARP, unsolicited neighbour advertisements). What it
 * announced when the devices came up was lost: their ports are closed until all their filters stand.
 */
export async function announce(
  { host }: NetworkContext,
  { name, owner, devices }: DesiredNamespace,
  failures: Failures,
): Promise<void> {
  const lines = [...devices.values()].map((device) => ({
    line: `link set dev ${device.name} address ${device.mac}`,
    object: owner,
  }));
  await runBatch(host, 'ip', lines, failures, name);
}

/** Removes a namespace; its devices are gone already. */
export async function removeNamespace({ host }: NetworkContext, name: string): Promise<void> {
  await host.run('ip', ['netns', 'del', name], { mounts: true });
}

function note(desired: DesiredNamespace, observed: ObservedNamespace): void {
  observed.devices.set('lo', { mac: '', mtu: 65_536, up: true, addresses: new Set() });
  for (const device of desired.devices.values()) {
    const { mac, mtu } = device;
    observed.devices.set(device.name, { mac, mtu, up: true, addresses: new Set(device.addresses) });
  }
  observed.routes.clear();
  for (const [key, how] of desired.routes) observed.routes.set(key, how);
}

/** Outside addresses whose translation went away or now leads elsewhere. */
function translatedAddresses(diff: ReturnType<typeof diffNamespace>): Set<string> {
  const addresses = new Set<string>();
  for (const { key, chains } of diff.tables) {
    if (key !== '4 nat') continue;
    for (const { chain, before, rules } of chains) {
      if (chain !== 'maru-PREROUTING') continue;
      for (const rule of before ?? []) {
        const address = /^-d ([\d.]+)\/32 -j DNAT/.exec(rule)?.[1];
        if (address !== undefined && !rules?.includes(rule)) addresses.add(address);
      }
    }
  }
  return addresses;
}

/** Connections outlive the rule that translated them: cut those from and to each address. */
async function cutTranslated(host: Host, netns: string, addresses: ReadonlySet<string>): Promise<void> {
  for (const address of addresses) {
    // 1: there was none
    await host.run('conntrack', ['-D', '-f', 'ipv4', '-d', address], { netns, okCodes: [0, 1] });
    await host.run('conntrack', ['-D', '-f', 'ipv4', '-q', address], { netns, okCodes: [0, 1] });
  }
}
