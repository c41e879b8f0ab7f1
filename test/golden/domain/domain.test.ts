import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { renderDomain } from '../../../agents/compute/domain-xml.js';
import { parseDomain } from '../../../agents/compute/observe.js';
import type { DiskBody, ImageRef, ServerObject } from '../../../src/protocol/objects.js';
import { serverObject } from '../../support/guests.js';

const image: ImageRef = {
  id: '11111111-0000-4000-8000-000000000001',
  disk_format: 'qcow2',
  size: 1,
  sha512: 'aa',
};
const root: DiskBody = {
  role: 'root',
  device: 'vda',
  bus: 'virtio',
  size_bytes: 1 << 30,
  image,
  volume_id: null,
  boot_index: 1,
};
const extra = { image: null, volume_id: null, boot_index: null, size_bytes: 1 << 30 } as const;
const nic = (n: number) =>
  ({
    port_id: `2222222${n}-0000-4000-8000-000000000000`,
    mac: `fa:16:3e:00:00:0${n}`,
    mtu: 1450,
    model: 'virtio',
  }) as const;

const cases: Record<string, { readonly server: Partial<ServerObject>; readonly virtType: 'kvm' | 'qemu' }> = {
  'smallest-emulated': { virtType: 'qemu', server: { disks: [root] } },
  'kvm-two-nics': {
    virtType: 'kvm',
    server: { disks: [root], nics: [nic(1), nic(2)], vcpus: 4, memory_mb: 8192 },
  },
  'all-disks': {
    virtType: 'kvm',
    server: {
      config_drive: true,
      disks: [
        root,
        { ...extra, role: 'ephemeral', device: 'vdb', bus: 'virtio' },
        { ...extra, role: 'swap', device: 'vdc', bus: 'virtio' },
        {
          ...extra,
          role: 'volume',
          device: 'vdd',
          bus: 'virtio',
          volume_id: '33333333-0000-4000-8000-000000000001',
        },
        {
          ...extra,
          role: 'volume',
          device: 'sda',
          bus: 'scsi',
          volume_id: '33333333-0000-4000-8000-000000000002',
        },
        {
          ...extra,
          role: 'cdrom',
          device: 'hda',
          bus: 'ide',
          image: { ...image, disk_format: 'iso' },
          boot_index: 2,
        },
      ],
    },
  },
  q35: {
    virtType: 'qemu',
    server: { disks: [root], nics: [nic(1)], config_drive: true, hardware: { hw_machine_type: 'q35' } },
  },
  hardware: {
    virtType: 'kvm',
    server: {
      disks: [root],
      vcpus: 4,
      hardware: {
        hw_cpu_sockets: '1',
        hw_cpu_cores: '2',
        hw_cpu_threads: '2',
        hw_qemu_guest_agent: 'yes',
        hw_watchdog_action: 'reset',
        hw_video_model: 'virtio',
        os_type: 'windows',
      },
    },
  },
  'name-with-markup': { virtType: 'qemu', server: { disks: [root], name: `<b>&"'\n\u0001` } },
};

describe.each(Object.entries(cases))('domain %s', (name, { server, virtType }) => {
  const body = serverObject({
    id: '44444444-0000-4000-8000-000000000001',
    instance_name: 'instance-0000000a',
    ...server,
  });
  const render = (revision: string) =>
    renderDomain(body, {
      virtType,
      stateDir: '/var/lib/maru-agent',
      revision,
      volumeFormat: (id) => (id.endsWith('2') ? 'raw' : 'qcow2'),
    });

  test('is as on file', async () => {
    await expect(render('r1').xml).toMatchFileSnapshot(`${name}.xml`);
  });

  test('satisfies libvirt’s schema', async () => {
    const directory = await mkdtemp('/tmp/maru-xml-');
    await writeFile(`${directory}/domain.xml`, render('r1').xml);
    const { exitCode, stderr } = await execa('virt-xml-validate', [`${directory}/domain.xml`, 'domain'], {
      reject: false,
    });
    await rm(directory, { recursive: true });
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: expect.stringContaining('validates') });
  });

  test('reads back as ours, with its disks', () => {
    const { xml, digest } = render('r1');
    const parsed = parseDomain(xml);
    expect(parsed).toMatchObject({ name: 'instance-0000000a', uuid: body.id });
    expect(parsed.ownership).toEqual({
      serverId: body.id,
      runEpoch: 1,
      softReboot: 0,
      hardReboot: 0,
      digest,
    });
    expect(parsed.diskFiles).toHaveLength(body.disks.length + (body.config_drive ? 1 : 0));
    expect(render('r2').digest).toBe(digest);
  });
});
