import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { machine as here } from '../support/machine.js';
import { SystemdMachine } from '../support/systemd-machine.js';

/**
 * The lab's first machine without Vagrant: real systemd and networkd, a card to Vagrant's NAT and one to the network of the second
 * cards, both in namespaces. What a virtual machine has on top (boxes, rsync, Node, packages, KVM) is not in it.
 */
const CHECKOUT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
const WIRE = 'maru-vagrant-wire';
const SETTINGS = {
  MARU_SOURCE: CHECKOUT,
  MARU_ADDRESS: '203.0.113.11',
  MARU_PREFIX: '24',
  MARU_PEER: '203.0.113.1',
  MARU_CONTROLLER: '203.0.113.11',
  MARU_NAME: 'node1',
  MARU_TOKEN_FILE: '/run/maru-join-token',
  MARU_PROVIDER: 'libvirt',
  // packages are there and the checkout is built, which is read-only here
  MARU_PACKAGES: 'no',
  MARU_BUILT: '1',
  // nobody would boot it
  MARU_IMAGE: '/var/tmp/empty.qcow2',
  MARU_SERVER: 'no',
};

let node1: SystemdMachine;

beforeAll(async () => {
  await here.run('ip', ['netns', 'delete', WIRE], { okCodes: [0, 1] });
  await here.run('ip', ['netns', 'add', WIRE]);
  node1 = await SystemdMachine.start({
    name: 'vagrant',
    hostname: 'node1',
    enable: ['systemd-networkd.service', 'libvirtd.service', 'virtlogd.service', 'libvirt-guests.service'],
    files: {
      '/etc/systemd/network/10-nat.network':
        '[Match]\nName=eth0\n[Network]\nAddress=198.51.100.15/24\nGateway=198.51.100.2\n',
    },
  });
  await cable('eth0', 'nat', '198.51.100.2/24');
  await cable('eth1', 'second', '203.0.113.1/24');
  await node1.must('systemctl', ['start', 'systemd-networkd.service']);
  await node1.must('qemu-img', ['create', '-q', '-f', 'qcow2', SETTINGS.MARU_IMAGE, '1M']);
}, 400_000);

afterAll(async () => {
  await node1?.stop();
  await here.run('ip', ['netns', 'delete', WIRE], { okCodes: [0, 1] });
});

/** A card of the machine, and what is at the other end. */
async function cable(card: string, end: string, address: string): Promise<void> {
  const peer = ['type', 'veth', 'peer', 'name', end, 'netns', WIRE];
  await here.run('ip', ['-n', node1.netns, 'link', 'add', card, ...peer]);
  await here.run('ip', ['-n', WIRE, 'address', 'add', address, 'dev', end]);
  await here.run('ip', ['-n', WIRE, 'link', 'set', end, 'up']);
}

async function provision(step: string): Promise<string> {
  const script = `${CHECKOUT}/vagrant/provision/${step}.sh`;
  const { exitCode, stdout, stderr } = await node1.run('bash', [script], {
    env: SETTINGS,
    timeoutMs: 500_000,
  });
  if (exitCode !== 0) throw new Error(`${step}.sh: exit code ${exitCode}\n${stderr}\n${stdout}`);
  return stdout;
}

const addresses = async (device: string) =>
  (
    JSON.parse(await node1.must('ip', ['-j', '-4', 'address', 'show', 'dev', device])) as {
      addr_info: { local: string; prefixlen: number }[];
    }[]
  ).flatMap((link) => link.addr_info.map(({ local, prefixlen }) => `${local}/${prefixlen}`));
const answers = async (address: string) => {
  const ping = ['-c', '1', '-W', '2', address];
  return (await here.run('ping', ping, { netns: WIRE, okCodes: [0, 1, 2] })).exitCode === 0;
};
const json = async (...words: string[]) => JSON.parse(await node1.must('maru', [...words, '--json']));

describe('the provisioning scripts', () => {
  it('network.sh gives the second card its address in the files of whoever manages the network', async () => {
    expect(await provision('network')).toContain('eth1 gets 203.0.113.11/24 from networkd');
    expect(await addresses('eth1')).toEqual(['203.0.113.11/24']);
    await until(
      () => answers('203.0.113.11'),
      (reached) => reached,
    );
    expect(await provision('network')).toContain('this machine has 203.0.113.11 already');
  }, 600_000);

  it('install.sh makes controller and host of it, which are up', async () => {
    await provision('install');
    const hosts = await until(
      () => json('host', 'list'),
      (all) => all.length === 1 && all[0].state === 'up',
    );
    expect(hosts[0].name).toBe('node1');
    await until(
      () => json('status') as Promise<{ warnings: string[] }>,
      ({ warnings }) => warnings.some((one) => /extnet.*there is no bridge br-ex/.test(one)),
    );
  }, 600_000);

  it('bridge.sh gives the card’s address to br-ex, and the host offers its provider network', async () => {
    await provision('bridge');
    expect(await addresses('br-ex')).toEqual(['203.0.113.11/24']);
    expect(await addresses('eth1')).toEqual([]);
    expect(await addresses('eth0')).toEqual(['198.51.100.15/24']);
    await until(
      () => answers('203.0.113.11'),
      (reached) => reached,
    );
    expect(await provision('bridge')).toContain('br-ex has eth1 already');
    await until(
      () => json('host', 'show', 'node1'),
      (host) => host.physical_networks.includes('extnet'),
    );
  }, 600_000);

  it('demo.sh makes the provider network and a router on it that answers from outside', async () => {
    const said = await provision('demo');
    expect(said).toContain('openstack server list');
    const routers = await until(
      () => json('router', 'list'),
      (all) => all[0]?.state === 'up',
    );
    expect(routers).toMatchObject([{ name: 'router', host: 'node1', physical_network: 'extnet' }]);
    const env = { OS_CLIENT_CONFIG_FILE: '/root/maru-demo/clouds.yaml', OS_CLOUD: 'demo' };
    const shown = await node1.must('openstack', ['router', 'show', 'router', '-f', 'json'], { env });
    const [outside] = JSON.parse(shown).external_gateway_info.external_fixed_ips as { ip_address: string }[];
    expect(outside?.ip_address).toMatch(/^203\.0\.113\.1\d\d$/);
    await until(
      () => answers(outside!.ip_address),
      (reached) => reached,
    );
    await until(
      () => json('status') as Promise<{ problems: object[] }>,
      ({ problems }) => problems.length === 0,
    );
    // again: all is found
    await provision('demo');
    expect(await json('router', 'list')).toHaveLength(1);
  }, 600_000);
});

const PATIENCE_MS = 90_000;

async function until<T>(look: () => Promise<T>, good: (value: T) => boolean): Promise<T> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const value = await look();
    if (good(value)) return value;
    if (Date.now() > deadline)
      throw new Error(`not within ${PATIENCE_MS} ms; last: ${JSON.stringify(value)}`);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}
