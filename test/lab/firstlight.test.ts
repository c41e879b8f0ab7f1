import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { expectInventory, type Inventory, inventory } from '../support/inventory.js';
import { Lab, until } from '../support/lab.js';
import { machine } from '../support/machine.js';
import { Scene } from '../support/scene.js';

/**
 * The whole path with the stock openstack command: a guest behind a floating IP, on a host with real libvirt. After each test the
 * host is as it was before.
 */
const HOST = 'host1';
const MINUTES = 60_000;

let lab: Lab;
let before: Inventory;

beforeAll(async () => {
  lab = await Lab.open();
}, 20 * MINUTES);

beforeEach(async () => {
  before = await inventory(lab, HOST);
}, 3 * MINUTES);

afterEach(async () => {
  await expectInventory(lab, HOST, before);
  await until(
    'an empty plan',
    60,
    () => planSteps(),
    (steps) => steps.length === 0,
  );
}, 5 * MINUTES);

describe('a server behind a floating IP', () => {
  it(
    'is a real guest, and its end is noticed',
    async () => {
      const scene = await Scene.create(lab, 'real');
      try {
        const id = await scene.server('real');
        const address = await scene.floatingIp(id);
        await until(`ping ${address}`, 400, () => lab.pings(address));
        const bootId = await until('ssh', 240, () =>
          lab.ssh(address, scene.keyFile, 'cat /proc/sys/kernel/random/boot_id'),
        );
        expect(bootId).toMatch(/^[0-9a-f-]{36}$/);
        await until(
          'its console',
          60,
          () => scene.consoleLog(id),
          (text) => text.includes(`boot_id=${bootId}`),
        );
        expect(await lab.ssh(address, scene.keyFile, 'hostname')).toBe('real');
        expect(await lab.onHost(HOST, 'virsh', 'list', '--uuid')).toContain(id);
        await until('an empty plan', 60, planSteps, (steps) => steps.length === 0);

        machine.kill(await qemuOf(id), 'SIGKILL');
        await until(
          'SHUTOFF',
          90,
          () => scene.statusOf(id),
          (status) => status === 'SHUTOFF',
        );
        expect(await lab.pingsInVain(address)).toBe(true);

        await lab.openstackText('demo', 'server', 'start', id);
        await until(
          'ACTIVE',
          120,
          () => scene.statusOf(id),
          (status) => status === 'ACTIVE',
        );
        await until(`ping ${address} again`, 400, () => lab.pings(address));
        const second = await until('ssh again', 240, () =>
          lab.ssh(address, scene.keyFile, 'cat /proc/sys/kernel/random/boot_id'),
        );
        expect(second).not.toBe(bootId);
      } finally {
        await scene.remove();
      }
    },
    30 * MINUTES,
  );

  it(
    'is let in and out as its security group says',
    async () => {
      const scene = await Scene.create(lab, 'closed');
      try {
        const id = await scene.server('closed');
        const address = await scene.floatingIp(id);
        await until(`ping ${address}`, 400, () => lab.pings(address));
        const rules: { ID: string; 'IP Protocol': string }[] = await lab.openstack(
          'demo',
          ...['security', 'group', 'rule', 'list', 'closed'],
        );
        const icmp = rules.find((rule) => rule['IP Protocol'] === 'icmp')?.ID ?? '';
        await lab.openstackText('demo', 'security', 'group', 'rule', 'delete', icmp);
        await until('ping refused', 60, () => lab.pingsInVain(address));
        await lab.openstack('demo', 'security', 'group', 'rule', 'create', '--protocol', 'icmp', 'closed');
        await until('ping allowed again', 60, () => lab.pings(address));
      } finally {
        await scene.remove();
      }
    },
    20 * MINUTES,
  );
});

/** What the host's agent would change now. */
async function planSteps(): Promise<unknown[]> {
  return (JSON.parse(await lab.maru(['plan', HOST, '--json'], [0, 1])) as { steps: unknown[] }).steps;
}

/** The machine's process id of a server's QEMU. */
async function qemuOf(serverId: string): Promise<number> {
  const { stdout } = await machine.read('pgrep', ['-f', `^[^ ]*qemu-system-x86_64 .*-uuid ${serverId}`]);
  return Number(stdout.split('\n')[0]);
}
