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
}, MINUTES);

afterEach(async () => {
  await expectInventory(lab, HOST, before);
  await until(
    'an empty plan',
    20,
    () => planSteps(),
    (steps) => steps.length === 0,
  );
}, 3 * MINUTES);

describe('a server behind a floating IP', () => {
  it(
    'is a real guest, and its end is noticed',
    async () => {
      const scene = await Scene.create(lab, 'real');
      try {
        const id = await scene.server('real');
        const address = await scene.floatingIp(id);
        await until(`ping ${address}`, 240, () => lab.pings(address));
        const bootId = await until('ssh', 120, () =>
          lab.ssh(address, scene.keyFile, 'cat /proc/sys/kernel/random/boot_id'),
        );
        expect(bootId).toMatch(/^[0-9a-f-]{36}$/);
        expect(await scene.consoleLog(id)).toContain(`boot_id=${bootId}`);
        expect(await lab.ssh(address, scene.keyFile, 'hostname')).toBe('real');
        expect(await lab.onHost(HOST, 'virsh', 'list', '--uuid')).toContain(id);
        expect(await planSteps()).toEqual([]);

        machine.kill(await qemuOf(id), 'SIGKILL');
        await until(
          'SHUTOFF',
          30,
          () => scene.statusOf(id),
          (status) => status === 'SHUTOFF',
        );
        expect(await lab.pings(address)).toBe(false);

        await lab.openstackText('demo', 'server', 'start', id);
        await until(
          'ACTIVE',
          60,
          () => scene.statusOf(id),
          (status) => status === 'ACTIVE',
        );
        await until(`ping ${address} again`, 240, () => lab.pings(address));
        const second = await until('ssh again', 120, () =>
          lab.ssh(address, scene.keyFile, 'cat /proc/sys/kernel/random/boot_id'),
        );
        expect(second).not.toBe(bootId);
      } finally {
        await scene.remove();
      }
    },
    15 * MINUTES,
  );

  it(
    'is let in and out as its security group says',
    async () => {
      const scene = await Scene.create(lab, 'closed');
      try {
        const id = await scene.server('closed');
        const address = await scene.floatingIp(id);
        await until(`ping ${address}`, 240, () => lab.pings(address));
        const rules: { ID: string; 'IP Protocol': string }[] = await lab.openstack(
          'demo',
          ...['security', 'group', 'rule', 'list', 'closed'],
        );
        const icmp = rules.find((rule) => rule['IP Protocol'] === 'icmp')?.ID ?? '';
        await lab.openstackText('demo', 'security', 'group', 'rule', 'delete', icmp);
        await until(
          'ping refused',
          10,
          () => lab.pings(address),
          (answers) => !answers,
        );
        await lab.openstack('demo', 'security', 'group', 'rule', 'create', '--protocol', 'icmp', 'closed');
        await until('ping allowed again', 10, () => lab.pings(address));
      } finally {
        await scene.remove();
      }
    },
    10 * MINUTES,
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
