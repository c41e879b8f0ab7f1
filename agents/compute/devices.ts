import { tapName } from '../../src/net/names.js';
import type { DiskBody, ServerObject } from '../../src/protocol/objects.js';
import { configDriveFile, consoleLog, diskFile } from '../storage/paths.js';
import { type DomainOptions, isQ35 } from './domain-xml.js';
import type { XmlNode } from './xml.js';

/** Free PCI Express ports of a q35 machine, for devices that come later; without one nothing can be plugged in. */
const SPARE_PORTS = 12;

/** A server's disks, and its config drive after them. */
export function diskDevices(server: ServerObject, options: DomainOptions): XmlNode[] {
  const disks = server.disks
    .filter((disk) => disk.role !== 'cdrom' || disk.image !== null)
    .map((disk) => diskDevice(server, disk, options));
  return server.config_drive ? [...disks, configDrive(server, options.stateDir)] : disks;
}

/** One disk of a server. Its serial lets the guest find it whatever its device name: a volume's id, else its role. */
export function diskDevice(server: ServerObject, disk: DiskBody, options: DomainOptions): XmlNode {
  const format = disk.volume_id === null ? 'qcow2' : options.volumeFormat(disk.volume_id);
  const file = diskFile(options.stateDir, server.id, disk, format);
  const cdrom = disk.role === 'cdrom';
  return {
    '@type': 'file',
    '@device': cdrom ? 'cdrom' : 'disk',
    driver: { '@name': 'qemu', '@type': file.format, ...(cdrom ? {} : { '@discard': 'unmap' }) },
    source: { '@file': file.path },
    target: { '@dev': disk.device, '@bus': disk.bus },
    ...(cdrom ? { readonly: {} } : { serial: disk.volume_id ?? `${disk.role}-${disk.device}` }),
    ...(disk.boot_index !== null && disk.boot_index >= 0
      ? { boot: { '@order': Math.max(1, disk.boot_index) } }
      : {}),
  };
}

/** IDE where there is a place; else a read-only virtio disk, because kernels made for clouds lack AHCI. */
function configDrive(server: ServerObject, stateDir: string): XmlNode {
  const ide = !isQ35(server) && !server.disks.some((disk) => disk.device === 'hdd');
  return {
    '@type': 'file',
    '@device': ide ? 'cdrom' : 'disk',
    driver: { '@name': 'qemu', '@type': 'raw' },
    source: { '@file': configDriveFile(stateDir, server.id) },
    target: ide ? { '@dev': 'hdd', '@bus': 'ide' } : { '@dev': 'vdz', '@bus': 'virtio' },
    readonly: {},
  };
}

/** A server's network devices: libvirt opens taps that exist already and neither makes nor removes them. */
export function interfaceDevices(server: ServerObject): XmlNode[] {
  return server.nics.map((nic) => ({
    '@type': 'ethernet',
    mac: { '@address': nic.mac },
    target: { '@dev': tapName(nic.port_id), '@managed': 'no' },
    model: { '@type': nic.model },
    mtu: { '@size': nic.mtu },
    alias: { '@name': `ua-${nic.port_id}` },
  }));
}

/** Controllers beyond those that libvirt adds by itself. */
export function controllers(server: ServerObject): XmlNode[] {
  const found: XmlNode[] = [];
  if (server.disks.some((disk) => disk.bus === 'scsi')) {
    found.push({ '@type': 'scsi', '@index': 0, '@model': 'virtio-scsi' });
  }
  if (isQ35(server)) {
    found.push({ '@type': 'pci', '@index': 0, '@model': 'pcie-root' });
    const devices = server.disks.length + server.nics.length + 6;
    for (let index = 1; index <= devices + SPARE_PORTS; index++) {
      found.push({ '@type': 'pci', '@index': index, '@model': 'pcie-root-port' });
    }
  }
  return found;
}

/** Console, screen, input, random numbers, balloon. */
export function otherDevices(server: ServerObject, stateDir: string): XmlNode {
  const { hardware } = server;
  const agent = /^(yes|true|1)$/i.test(hardware.hw_qemu_guest_agent ?? '');
  const pointer =
    hardware.os_type === 'windows' ||
    hardware.hw_pointer_model === 'usbtablet' ||
    hardware.hw_input_bus !== undefined;
  const watchdog = hardware.hw_watchdog_action ?? hardware['hw:watchdog_action'];
  return {
    serial: {
      '@type': 'pty',
      // written by virtlogd, which outlives libvirtd and limits the size
      log: { '@file': consoleLog(stateDir, server.id), '@append': 'on' },
      target: { '@type': 'isa-serial', '@port': 0 },
    },
    channel: agent
      ? { '@type': 'unix', target: { '@type': 'virtio', '@name': 'org.qemu.guest_agent.0' } }
      : undefined,
    // a tablet's polling costs the host processor time all day: only for guests that show a pointer
    input: pointer ? { '@type': 'tablet', '@bus': hardware.hw_input_bus ?? 'usb' } : undefined,
    graphics: { '@type': 'vnc', '@autoport': 'yes', '@listen': '127.0.0.1' },
    video: { model: { '@type': hardware.hw_video_model ?? 'vga' } },
    watchdog: watchdog && watchdog !== 'disabled' ? { '@model': 'i6300esb', '@action': watchdog } : undefined,
    memballoon: { '@model': 'virtio', stats: { '@period': 10 } },
    rng: { '@model': 'virtio', backend: { '@model': 'random', '#text': '/dev/urandom' } },
  };
}
