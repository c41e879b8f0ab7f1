import { isIP } from 'node:net';
import { parseCidr } from '../../../src/net/cidr.js';
import { normaliseIp } from '../../../src/net/ip.js';
import { innerName, namespaceName } from '../../../src/net/names.js';
import type { InnerRef, TraceCheck } from '../../../src/protocol/trace.js';
import { dnsmasqDirectory, observeDnsmasq } from '../dhcp/process.js';
import type { ObservedDevice } from '../namespace/model.js';
import { type Found, fail, ok, unknown } from './finding.js';
import type { Snapshot } from './snapshot.js';

type Check<K extends TraceCheck['kind']> = Extract<TraceCheck, { kind: K }>;

/** Whether a namespace is there; a router's has to forward as well. */
export async function namespace(snapshot: Snapshot, { netns }: Check<'namespace'>): Promise<Found> {
  const name = namespaceName(netns);
  if (!(await snapshot.namespaces()).has(name)) return fail(`namespace ${name} is not there`);
  if (netns.of === 'router') {
    const forward = await snapshot.sysctl(netns, 'net.ipv4.ip_forward');
    if (forward !== undefined && forward !== '1') {
      return fail(`${name} does not forward`, `ip netns exec ${name} sysctl -w net.ipv4.ip_forward=1`);
    }
  }
  return ok(`${name} is there`);
}

/** A device inside a namespace. */
export async function device(snapshot: Snapshot, check: Check<'device'>): Promise<Found> {
  const found = await lookUp(snapshot, check.device);
  if ('state' in found) return found;
  const name = innerName(check.device);
  if (found.mac !== check.mac) return fail(`${name} has the MAC ${found.mac}, not ${check.mac}`);
  if (!found.up) {
    return fail(`${name} is down`, `ip -n ${namespaceName(check.device)} link set dev ${name} up`);
  }
  return ok(`${name} is up, ${found.mac}`);
}

/** Addresses of a device inside a namespace: what it answers ARP for. */
export async function addresses(snapshot: Snapshot, check: Check<'addresses'>): Promise<Found> {
  const found = await lookUp(snapshot, check.device);
  if ('state' in found) return found;
  const name = innerName(check.device);
  const have = [...found.addresses].map(canonical);
  const missing = check.addresses.map(canonical).filter((address) => !have.includes(address));
  if (missing.length > 0) {
    return fail(
      `${name} does not have ${missing.join(', ')}: nobody answers for it`,
      `ip -n ${namespaceName(check.device)} addr add ${missing[0]} dev ${name}`,
    );
  }
  return ok(`${name} has ${check.addresses.join(', ')}`);
}

/** A router's way out. */
export async function route(snapshot: Snapshot, { device: ref, gateway }: Check<'route'>): Promise<Found> {
  const found = await lookUp(snapshot, ref);
  if ('state' in found) return found;
  const routes = await snapshot.defaultRoutes(ref, isIP(gateway) === 6 ? 6 : 4);
  const name = innerName(ref);
  const mend = `ip -n ${namespaceName(ref)} route replace default via ${gateway} dev ${name}`;
  const [first] = routes;
  if (!first) return fail('there is no default route', mend);
  const right = routes.some(
    (one) =>
      one.gateway !== undefined && normaliseIp(one.gateway) === normaliseIp(gateway) && one.dev === name,
  );
  return right
    ? ok(`default via ${gateway} dev ${name}`)
    : fail(`the default route goes via ${first.gateway ?? '-'} dev ${first.dev}`, mend);
}

/** States of a neighbour that was heard lately, and of one that was asked in vain. */
const HEARD = ['REACHABLE', 'PERMANENT', 'NOARP'];
const IN_VAIN = ['FAILED', 'INCOMPLETE'];

/** Who answers for an address, as a namespace sees it. */
export async function neighbour(
  snapshot: Snapshot,
  { device: ref, address, mac }: Check<'neighbour'>,
  probe: boolean,
): Promise<Found> {
  const found = await lookUp(snapshot, ref);
  if ('state' in found) return unknown(found.detail);
  const name = innerName(ref);
  let answered = false;
  if (probe) {
    const args = ['-n', '-c', '2', '-i', '0.3', '-W', '1', '-I', name, address];
    const options = { netns: namespaceName(ref), okCodes: [0, 1, 2], timeoutMs: 5_000 };
    answered = (await snapshot.context.host.read('ping', args, options)).exitCode === 0;
  }
  const entries = await snapshot.neighbours(ref, name);
  const entry = entries.find(({ dst }) => normaliseIp(dst) === normaliseIp(address));
  const state = entry?.state?.[0] ?? 'NONE';
  if (entry?.lladdr && mac !== null && entry.lladdr !== mac) {
    return fail(
      `${address} is answered for by ${entry.lladdr}, not by ${mac}: somebody else has the address`,
    );
  }
  if (answered) return ok(`${address} answers ping`);
  if (HEARD.includes(state))
    return ok(`${address} answers ARP (${entry?.lladdr})${probe ? ', not ping' : ''}`);
  if (IN_VAIN.includes(state) && probe) return fail(`${address} does not answer ARP on ${name}`);
  if (state === 'NONE' && probe) return unknown(`${address} could not be asked`);
  const words = entry?.lladdr ? `was last known as ${entry.lladdr} (${state})` : `is not known (${state})`;
  return unknown(`${address} ${words}${probe ? '' : '; --probe asks'}`);
}

/** A network's DHCP server. */
export async function dnsmasq(snapshot: Snapshot, { network_id }: Check<'dnsmasq'>): Promise<Found> {
  const name = `dhcp/${network_id}`;
  const { running, files } = await observeDnsmasq(snapshot.context, name);
  const directory = dnsmasqDirectory(snapshot.context, name);
  if (!running) return fail(`no dnsmasq runs with ${directory}/dnsmasq.conf`);
  return ok(`dnsmasq runs, files in ${directory}: ${[...files.keys()].join(', ')}`);
}

async function lookUp(snapshot: Snapshot, ref: InnerRef): Promise<ObservedDevice | Found> {
  const devices = await snapshot.inside(ref);
  if (devices === null) return fail(`namespace ${namespaceName(ref)} is not there`);
  return devices.get(innerName(ref)) ?? fail(`device ${innerName(ref)} is not in ${namespaceName(ref)}`);
}

function canonical(cidr: string): string {
  const { address, prefix } = parseCidr(cidr);
  return `${address}/${prefix}`;
}
