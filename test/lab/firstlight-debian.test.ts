import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectInventory, type Inventory, inventory } from '../support/inventory.js';
import { Lab, until } from '../support/lab.js';
import { machine } from '../support/machine.js';
import { Scene } from '../support/scene.js';

/** An ordinary cloud image with cloud-init works as the tiny one does: name, key and network arrive. */
const HOST = 'host1';
const IMAGE = 'build/images/debian.qcow2';
const MINUTES = 60_000;

let lab: Lab;
let scene: Scene;
let before: Inventory;

beforeAll(async () => {
  await machine.run('scripts/build-debian-image', ['--output', IMAGE], { timeoutMs: 20 * MINUTES });
  lab = await Lab.open();
  before = await inventory(lab, HOST);
  const upload = ['--disk-format', 'qcow2', '--container-format', 'bare', '--file', IMAGE];
  await lab.openstackText('demo', 'image', 'create', ...upload, 'debian');
  scene = await Scene.create(lab, 'debian');
}, 40 * MINUTES);

afterAll(async () => {
  await scene?.remove();
  await lab.openstackText('demo', 'image', 'delete', 'debian');
  await expectInventory(lab, HOST, before);
}, 5 * MINUTES);

describe('a Debian cloud image', () => {
  it(
    'is set up by cloud-init with name, key and network',
    async () => {
      const { ssh_user: user } = JSON.parse(readFileSync(`${IMAGE}.json`, 'utf8')) as { ssh_user: string };
      const id = await scene.server('bookworm', ['--image', 'debian', '--flavor', 'm1.small']);
      const address = await scene.floatingIp(id);
      // systemd and cloud-init under emulation take minutes on a busy machine
      await until(`ping ${address}`, 600, () => lab.pings(address));
      const hostname = await until('ssh', 600, () => lab.ssh(address, scene.keyFile, 'hostname', user));
      expect(hostname).toBe('bookworm');
      // it goes on for a while after sshd has started, and its exit code then depends on its version
      const ended = await until(
        'the end of cloud-init',
        600,
        () => lab.ssh(address, scene.keyFile, 'cloud-init status; true', user),
        (status) => /status: (done|error|degraded)/.test(status),
      );
      expect(ended).toContain('status: done');
    },
    35 * MINUTES,
  );
});
