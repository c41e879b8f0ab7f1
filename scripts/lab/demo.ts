import type { Cloud } from './cloud.js';
import { GiveUp, machine, waitFor } from './commands.js';
import { create, findOrCreate, KINDS, list, type Named, show } from './resources.js';

const ACTIVE_MS = 400_000;
const REACHABLE_MS = 600_000;
const NAME = 'demo';

/** What the demo keeps on disk. */
export interface DemoFiles {
  /** The private half of the key pair (0600). */
  readonly demoKey: string;
  readonly demoPassword: string;
  /** clouds.yaml with the clouds `maru`, the administrator's, and `demo`. */
  readonly clouds: string;
}

/** From where the guest is to be reached: a network namespace, or this machine as it is. */
export interface Place {
  readonly netns?: string;
}

interface Server extends Named {
  readonly status: string;
  readonly fault?: { readonly message: string };
}

interface Port extends Named {
  readonly device_owner: string;
  readonly fixed_ips: readonly { readonly subnet_id: string }[];
}

interface FloatingIp {
  readonly id: string;
  readonly floating_ip_address: string;
  readonly port_id: string | null;
}

/** Tenant network, subnet and a router to the external network. */
export async function ensureTenantNetwork(demo: Cloud, publicId: string): Promise<Named> {
  const network = await findOrCreate(demo, 'network', 'private', {});
  const subnet = await findOrCreate(demo, 'subnet', 'private', {
    network_id: network.id,
    ip_version: 4,
    cidr: '10.0.0.0/24',
  });
  const router = await findOrCreate(demo, 'router', 'router', {
    external_gateway_info: { network_id: publicId },
  });
  const ports = await list<Port>(demo, 'port', { device_id: router.id });
  if (!ports.some((port) => port.fixed_ips.some((ip) => ip.subnet_id === subnet.id))) {
    await demo.call('network', 'PUT', `/v2.0/routers/${router.id}/add_router_interface`, {
      subnet_id: subnet.id,
    });
  }
  return network;
}

/** A security group that lets ping and ssh in. */
export async function ensureSecurityGroup(demo: Cloud): Promise<Named> {
  const group = await findOrCreate<
    Named & { security_group_rules: readonly { direction: string; protocol: string | null }[] }
  >(demo, 'securityGroup', 'ping-and-ssh', { description: 'Lets ping and ssh in' });
  const has = (protocol: string) =>
    group.security_group_rules.some((rule) => rule.direction === 'ingress' && rule.protocol === protocol);
  const common = { security_group_id: group.id, direction: 'ingress', ethertype: 'IPv4' };
  if (!has('icmp')) await create(demo, 'securityGroupRule', { ...common, protocol: 'icmp' });
  if (!has('tcp'))
    await create(demo, 'securityGroupRule', {
      ...common,
      protocol: 'tcp',
      port_range_min: 22,
      port_range_max: 22,
    });
  return group;
}

/** A key pair that the cloud generates; the private half is kept in a file (0600). */
export async function ensureKeyPair(files: DemoFiles, demo: Cloud): Promise<string> {
  const { keypairs } = await demo.call<{ keypairs: { keypair: { name: string } }[] }>(
    'compute',
    'GET',
    '/os-keypairs',
  );
  const exists = keypairs.some(({ keypair }) => keypair.name === NAME);
  const file = files.demoKey;
  if (exists && (await machine.stat(file))) return NAME;
  // without its private half a key pair opens nothing
  if (exists) await demo.call('compute', 'DELETE', `/os-keypairs/${NAME}`);
  const made = await demo.call<{ keypair: { private_key: string } }>('compute', 'POST', '/os-keypairs', {
    keypair: { name: NAME },
  });
  await machine.writeFile(file, made.keypair.private_key, 0o600);
  return NAME;
}

/** The demo server, running. */
export async function ensureServer(
  demo: Cloud,
  parts: { image: Named; flavor: Named; network: Named; group: Named; key: string },
) {
  const server = await findOrCreate<Server>(demo, 'server', NAME, {
    imageRef: parts.image.id,
    flavorRef: parts.flavor.id,
    networks: [{ uuid: parts.network.id }],
    key_name: parts.key,
    security_groups: [{ name: parts.group.name }],
  });
  return await waitFor(`server ${NAME} to become ACTIVE`, ACTIVE_MS, async () => {
    const now = await show<Server>(demo, 'server', server.id);
    if (now.status === 'ACTIVE') return now;
    if (now.status === 'ERROR')
      throw new GiveUp(`server ${NAME} is in ERROR: ${now.fault?.message ?? 'no fault given'}`);
    if (now.status === 'SHUTOFF') {
      await demo.call(KINDS.server.service, 'POST', `/servers/${server.id}/action`, { 'os-start': null });
    }
    throw new Error(`its status is ${now.status}`);
  });
}

/** A floating IP on the server's port; gives its address. */
export async function ensureFloatingIp(demo: Cloud, publicId: string, serverId: string): Promise<string> {
  const [port] = await list<Port>(demo, 'port', { device_id: serverId });
  if (!port) throw new Error(`server ${serverId} has no port`);
  const [existing] = await list<FloatingIp>(demo, 'floatingIp', { port_id: port.id });
  const attributes = { floating_network_id: publicId, port_id: port.id };
  return (existing ?? (await create<FloatingIp>(demo, 'floatingIp', attributes))).floating_ip_address;
}

/** Waits until ping and ssh from the outside world reach the guest; gives the boot id that ssh read in it. */
export async function reachFromOutside(
  from: Place,
  files: DemoFiles,
  address: string,
  sshUser: string,
): Promise<string> {
  const deadline = Date.now() + REACHABLE_MS;
  const left = () => Math.max(5_000, deadline - Date.now());
  await waitFor(`ping ${address} from outside`, left(), async () => {
    await machine.run('ping', ['-c', '1', '-W', '1', address], from);
    return true;
  });
  const command = [...sshArguments(files, address, sshUser), 'cat /proc/sys/kernel/random/boot_id'];
  return await waitFor(`ssh ${sshUser}@${address} from outside`, left(), async () => {
    const { stdout } = await machine.run('ssh', command, { ...from, timeoutMs: 40_000 });
    return stdout.trim();
  });
}

/** Arguments of ssh for the demo server: guests come and go behind an address, so its host key proves nothing here. */
export function sshArguments(files: DemoFiles, address: string, sshUser: string): string[] {
  const options = [
    'BatchMode=yes',
    'ConnectTimeout=10',
    'StrictHostKeyChecking=no',
    'UserKnownHostsFile=/dev/null',
    'LogLevel=ERROR',
  ];
  return ['-i', files.demoKey, ...options.flatMap((option) => ['-o', option]), `${sshUser}@${address}`];
}

/** What helps to find out why the demo server is not as it should be. */
export async function explainServer(demo: Cloud, admin: Cloud): Promise<string> {
  const [server] = await list<Server>(demo, 'server', { name: `^${NAME}$` });
  if (!server) return 'the server was not created';
  const explain = await admin
    .call('maru', 'GET', `/servers/${server.id}/explain`)
    .then((value) => JSON.stringify(value, null, 1))
    .catch((error: Error) => error.message);
  const consoleLog = await demo
    .call<{ output: string }>('compute', 'POST', `/servers/${server.id}/action`, {
      'os-getConsoleOutput': { length: 30 },
    })
    .then(({ output }) => output)
    .catch((error: Error) => error.message);
  return `maru server explain:\n${explain}\n\nlast lines of its console:\n${consoleLog}`;
}
