import { attempt, machine, sh } from './commands.js';
import { CONTROLLER_ADDRESS, EXTERNAL, hostAddress, type LabNames, roleOf, UNDERLAY_MTU } from './names.js';

const UNDERLAY_BRIDGE = 'underlay';
const OUTSIDE_BRIDGE = 'segment';

/**
 * Makes what is missing of the lab's network: a namespace with two bridges (underlay and outside segment), the controller's on the
 * underlay and the outside world on the segment. No interface and no address is ever made in the machine's own namespace.
 */
export async function ensureLabNetwork(lab: LabNames): Promise<void> {
  if (await ensureNamespace(lab.switchNs)) {
    // frames between hosts are none of the firewall's business here
    for (const bridge of [UNDERLAY_BRIDGE, OUTSIDE_BRIDGE]) await ip(lab.switchNs, ...addBridge(bridge));
    await ip(lab.switchNs, 'link', 'set', UNDERLAY_BRIDGE, 'mtu', String(UNDERLAY_MTU), 'up');
    await ip(lab.switchNs, 'link', 'set', OUTSIDE_BRIDGE, 'up');
    for (const family of ['iptables', 'ip6tables', 'arptables']) {
      const setting = `net.bridge.bridge-nf-call-${family}=0`;
      await attempt('ip', 'netns', 'exec', lab.switchNs, 'sysctl', '-qw', setting);
    }
  }
  await ensureNamespace(lab.controllerNs);
  await plug(lab, lab.controllerNs, 'ctl', 'underlay', UNDERLAY_BRIDGE, `${CONTROLLER_ADDRESS}/24`);
  await ensureNamespace(lab.outsideNs);
  const gateway = `${EXTERNAL.gateway}/${EXTERNAL.prefixLength}`;
  await plug(lab, lab.outsideNs, 'outside', 'eth0', OUTSIDE_BRIDGE, gateway);
}

/** Gives a host's namespace its underlay interface and br-ex with the outside segment as its uplink. */
export async function ensureHostLinks(lab: LabNames, host: string): Promise<void> {
  const namespace = lab.hostNs(host);
  await plug(lab, namespace, `${host}-u`, 'underlay', UNDERLAY_BRIDGE, `${hostAddress(host)}/24`);
  await plug(lab, namespace, `${host}-x`, 'eth1', OUTSIDE_BRIDGE, null);
  if (await linkExists(namespace, EXTERNAL.bridge)) return;
  await ip(namespace, ...addBridge(EXTERNAL.bridge), 'mcast_snooping', '0');
  await ip(namespace, 'link', 'set', 'eth1', 'master', EXTERNAL.bridge);
  await ip(namespace, 'link', 'set', EXTERNAL.bridge, 'up');
}

/** Arguments of ip for a bridge that forwards at once. */
function addBridge(name: string): string[] {
  return ['link', 'add', name, 'type', 'bridge', 'stp_state', '0', 'forward_delay', '0'];
}

/** Takes a host's cables out; `ensureHostLinks` makes new ones. */
export async function unplugHost(lab: LabNames, host: string): Promise<void> {
  for (const port of [`${host}-u`, `${host}-x`]) await attempt('ip', '-n', lab.switchNs, 'link', 'del', port);
}

/** Makes a namespace with loopback up; true when it was not there. A half-made one is made again. */
export async function ensureNamespace(namespace: string): Promise<boolean> {
  if (await attempt('ip', '-n', namespace, 'link', 'set', 'lo', 'up')) return false;
  await attempt('ip', 'netns', 'del', namespace);
  await sh('ip', 'netns', 'add', namespace);
  await ip(namespace, 'link', 'set', 'lo', 'up');
  return true;
}

/** Namespaces of this lab that exist. */
export async function labNamespaces(lab: LabNames): Promise<string[]> {
  const { stdout } = await machine.read('ip', ['netns', 'list']);
  const names = stdout.split('\n').map((line) => line.split(' ')[0] ?? '');
  return names.filter((name) => roleOf(lab, name) !== null);
}

/** Ids of all processes in a namespace. */
export async function processesIn(namespace: string): Promise<number[]> {
  const { stdout } = await machine.read('ip', ['netns', 'pids', namespace], { okCodes: [0, 1, 255] });
  return stdout.split('\n').filter(Boolean).map(Number);
}

async function plug(
  lab: LabNames,
  namespace: string,
  port: string,
  device: string,
  bridge: string,
  address: string | null,
): Promise<void> {
  if (!(await linkExists(namespace, device))) {
    const peer = ['peer', 'name', device, 'netns', namespace];
    await attempt('ip', '-n', lab.switchNs, 'link', 'del', port);
    await ip(lab.switchNs, 'link', 'add', port, 'type', 'veth', ...peer);
  }
  const mtu = bridge === UNDERLAY_BRIDGE ? String(UNDERLAY_MTU) : '1500';
  await ip(lab.switchNs, 'link', 'set', port, 'mtu', mtu, 'master', bridge, 'up');
  if (address) await ip(namespace, 'addr', 'replace', address, 'dev', device);
  await ip(namespace, 'link', 'set', device, 'mtu', mtu, 'up');
}

async function linkExists(namespace: string, device: string): Promise<boolean> {
  return await attempt('ip', '-n', namespace, 'link', 'show', 'dev', device);
}

async function ip(namespace: string, ...args: string[]): Promise<void> {
  await sh('ip', '-n', namespace, ...args);
}
