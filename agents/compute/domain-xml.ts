import { createHash } from 'node:crypto';
import type { ServerObject } from '../../src/protocol/objects.js';
import { controllers, diskDevices, interfaceDevices, otherDevices } from './devices.js';
import { buildXml, type XmlNode } from './xml.js';

/** Namespace of the element in a domain's metadata that makes it ours. */
export const METADATA_NAMESPACE = 'urn:maru:server:1';

export interface DomainOptions {
  readonly virtType: 'kvm' | 'qemu';
  readonly stateDir: string;
  /** Revision of the server object that the definition was made from. */
  readonly revision: string;
  /** Format of a volume's file. */
  readonly volumeFormat: (volumeId: string) => 'qcow2' | 'raw';
}

/** A definition and the digest that it carries: equal digests mean that the domain needs no new definition. */
export interface RenderedDomain {
  readonly xml: string;
  readonly digest: string;
}

/** The libvirt domain of a server. Pure: equal arguments give equal text. */
export function renderDomain(server: ServerObject, options: DomainOptions): RenderedDomain {
  // the revision also changes with what no domain carries (names of keys, user data), so it is outside the digest
  const digest = createHash('sha256')
    .update(buildXml(domain(server, options, {})))
    .digest('base64url')
    .slice(0, 22);
  return {
    xml: buildXml(domain(server, options, { '@revision': options.revision, '@digest': digest })),
    digest,
  };
}

/** True for q35, whose devices sit behind PCI Express ports and which has no IDE. */
export function isQ35(server: ServerObject): boolean {
  return (server.hardware.hw_machine_type ?? '').includes('q35');
}

function domain(server: ServerObject, options: DomainOptions, version: XmlNode): XmlNode {
  const kvm = options.virtType === 'kvm';
  return {
    domain: {
      '@type': options.virtType,
      name: server.instance_name,
      uuid: server.id,
      // libvirt refuses line breaks in titles
      title: server.name.replace(/\s+/g, ' ').trim() || undefined,
      metadata: { 'maru:server': ownership(server, version) },
      memory: { '@unit': 'MiB', '#text': server.memory_mb },
      vcpu: server.vcpus,
      sysinfo: smbios(server),
      os: {
        ...(server.hardware.hw_firmware_type === 'uefi' ? { '@firmware': 'efi' } : {}),
        type: { '@arch': 'x86_64', '@machine': server.hardware.hw_machine_type ?? 'pc', '#text': 'hvm' },
        smbios: { '@mode': 'sysinfo' },
      },
      features: {
        acpi: {},
        apic: {},
        // QEMU's default translation cache is a quarter of the guest's memory or more
        tcg: kvm ? undefined : { 'tb-cache': { '@unit': 'MiB', '#text': 64 } },
      },
      cpu: cpu(server, kvm),
      clock: {
        '@offset': server.hardware.os_type === 'windows' ? 'localtime' : 'utc',
        timer: [
          { '@name': 'pit', '@tickpolicy': 'delay' },
          { '@name': 'rtc', '@tickpolicy': 'catchup' },
          { '@name': 'hpet', '@present': 'no' },
        ],
      },
      on_poweroff: 'destroy',
      on_reboot: 'restart',
      on_crash: 'destroy',
      devices: {
        disk: diskDevices(server, options),
        controller: controllers(server),
        interface: interfaceDevices(server),
        ...otherDevices(server, options.stateDir),
      },
    },
  };
}

function ownership(server: ServerObject, version: XmlNode): XmlNode {
  return {
    '@xmlns:maru': METADATA_NAMESPACE,
    '@id': server.id,
    '@run_epoch': server.run_epoch,
    '@soft_reboot': server.reboot.soft,
    '@hard_reboot': server.reboot.hard,
    ...version,
    'maru:name': server.name,
    'maru:project': server.project_id,
    'maru:user': server.user_id,
    'maru:flavor': server.metadata.instance_type,
  };
}

/** cloud-init looks at the product name to know where it runs. */
function smbios(server: ServerObject): XmlNode {
  const entries = {
    manufacturer: 'Maru',
    product: 'OpenStack Nova',
    version: '1',
    serial: server.id,
    uuid: server.id,
    family: 'Virtual Machine',
  };
  return {
    '@type': 'smbios',
    system: { entry: Object.entries(entries).map(([name, text]) => ({ '@name': name, '#text': text })) },
  };
}

function cpu(server: ServerObject, kvm: boolean): XmlNode {
  const { hw_cpu_sockets: sockets, hw_cpu_cores: cores, hw_cpu_threads: threads } = server.hardware;
  const topology =
    sockets || cores || threads
      ? { '@sockets': sockets ?? '1', '@cores': cores ?? '1', '@threads': threads ?? '1' }
      : { '@sockets': server.vcpus, '@cores': 1, '@threads': 1 };
  return { '@mode': kvm ? 'host-passthrough' : 'maximum', topology };
}
