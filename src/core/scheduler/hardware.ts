import type { Candidate, PlacementRequest } from './candidate.js';

/** Names under which images ask for one architecture. */
const ARCHITECTURES: Readonly<Record<string, string>> = {
  amd64: 'x86_64',
  x64: 'x86_64',
  i386: 'i686',
  x86: 'i686',
  arm64: 'aarch64',
};

/** Hypervisors that images may name, and the virtualisation types of hosts that have them. */
const HYPERVISORS: Readonly<Record<string, readonly string[]>> = {
  qemu: ['qemu', 'kvm', 'fake'],
  kvm: ['kvm', 'fake'],
};

const X86 = ['x86_64', 'i686'];

/** Why a host is not the machine that an image was made for; null when it is, or nobody said. */
export function hardwareReason(host: Candidate, { image, extra_specs }: PlacementRequest): string | null {
  const wishes = image?.properties ?? {};
  const mode = wishes.hw_vm_mode ?? wishes.vm_mode;
  if (mode !== undefined && mode !== 'hvm') return `the image wants vm mode ${mode}, there is hvm only`;
  const hypervisor = wishes.img_hv_type ?? wishes.hypervisor_type;
  if (hypervisor !== undefined && host.virt_type !== null) {
    const able = HYPERVISORS[hypervisor.toLowerCase()] ?? [];
    if (!able.includes(host.virt_type)) {
      return `the image wants hypervisor ${hypervisor}, it has ${host.virt_type}`;
    }
  }
  if (host.architecture === null) return null;
  const asked = wishes.hw_architecture ?? wishes.architecture;
  const wanted = asked && (ARCHITECTURES[asked.toLowerCase()] ?? asked.toLowerCase());
  // 32 bits run on 64 of the same family
  const compatible = wanted === host.architecture || (wanted === 'i686' && host.architecture === 'x86_64');
  if (wanted && !compatible) return `the image is for ${asked}, its processors are ${host.architecture}`;
  const machine = extra_specs['hw:machine_type'] ?? wishes.hw_machine_type;
  if (machine !== undefined && /^(pc|q35)(-|$)/.test(machine) && !X86.includes(host.architecture)) {
    return `machine type ${machine} needs x86, its processors are ${host.architecture}`;
  }
  return null;
}
