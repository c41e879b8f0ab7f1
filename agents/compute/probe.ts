import { CommandError, type Host } from '../host/host.js';

export type VirtType = 'kvm' | 'qemu';

export interface Virtualisation {
  readonly type: VirtType;
  /** Why it is that type, in words for operators. */
  readonly reason: string;
  readonly warnings: readonly string[];
}

export interface ProbeOptions {
  readonly host: Host;
  readonly override: 'auto' | VirtType;
  readonly stateDir: string;
  /** Names this boot of the host: the probe runs once in it. */
  readonly bootId: string;
}

/** Longest time that the payload may take; it runs for milliseconds where KVM works. */
const PROBE_TIMEOUT_MS = 3_000;
/** isa-debug-exit ends QEMU with 2n+1 for a written n. */
const PAYLOAD_EXIT_CODE = 0x21 * 2 + 1;

/**
 * Finds out whether guests run under KVM, by running one: /dev/kvm may exist, open and answer, and every guest hang all the same.
 */
export async function probeVirtualisation(options: ProbeOptions): Promise<Virtualisation> {
  const { host, override, stateDir, bootId } = options;
  if (override === 'kvm')
    return { type: 'kvm', reason: 'set by virt_type in the configuration', warnings: [] };
  if (override === 'qemu') {
    return { type: 'qemu', reason: 'set by virt_type in the configuration', warnings: [SLOW] };
  }
  const file = `${stateDir}/virtualisation.json`;
  const cached = await host.readFileIfExists(file);
  if (cached !== null) {
    const known = JSON.parse(cached) as Virtualisation & { readonly boot_id: string };
    if (known.boot_id === bootId) return { type: known.type, reason: known.reason, warnings: known.warnings };
  }
  const found = await probe(host, stateDir);
  await host.makeDirectory(stateDir, 0o711);
  await host.writeFile(file, `${JSON.stringify({ ...found, boot_id: bootId })}\n`, 0o644);
  return found;
}

const SLOW = 'guests run under emulation (TCG), many times slower than under KVM';

async function probe(host: Host, stateDir: string): Promise<Virtualisation> {
  if (!(await host.stat('/dev/kvm'))) {
    return emulated(
      '/dev/kvm does not exist: the processor’s virtualisation is off in the firmware, or this is a guest without it',
    );
  }
  await host.makeDirectory(stateDir, 0o711);
  const { outcome, reason } = await probeKvm(host, `${stateDir}/kvm-probe.img`);
  return outcome === 'ran' ? { type: 'kvm', reason, warnings: [] } : emulated(reason);
}

/**
 * Runs a guest of a few instructions under KVM, from a file of 512 bytes that is removed again. `hangs`: it did not end in time, as
 * where KVM is offered and does not work; `failed`: QEMU gave up or could not be started.
 */
export async function probeKvm(
  host: Host,
  payload: string,
): Promise<{ readonly outcome: 'ran' | 'hangs' | 'failed'; readonly reason: string }> {
  await host.writeFile(payload, bootSector(), 0o644);
  try {
    const { exitCode } = await host.read('qemu-system-x86_64', probeArguments(payload), {
      timeoutMs: PROBE_TIMEOUT_MS,
      okCodes: Array.from({ length: 256 }, (_, code) => code),
    });
    if (exitCode === PAYLOAD_EXIT_CODE) return { outcome: 'ran', reason: 'KVM probe guest ran' };
    const reason = `KVM probe guest ended with ${exitCode} instead of ${PAYLOAD_EXIT_CODE}`;
    return { outcome: 'failed', reason };
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    if (/still running/.test(error.message)) {
      const seconds = PROBE_TIMEOUT_MS / 1000;
      const reason = `KVM probe guest did not run within ${seconds} s, although /dev/kvm opens`;
      return { outcome: 'hangs', reason };
    }
    return { outcome: 'failed', reason: `KVM probe could not be started: ${error.message}` };
  } finally {
    await host.removeFile(payload);
  }
}

function emulated(reason: string): Virtualisation {
  return { type: 'qemu', reason, warnings: [`${reason}; ${SLOW}`] };
}

function probeArguments(payload: string): string[] {
  return [
    ...[
      '-accel',
      'kvm',
      '-machine',
      'pc',
      '-cpu',
      'host',
      '-m',
      '16',
      '-nodefaults',
      '-display',
      'none',
      '-no-user-config',
    ],
    ...['-device', 'isa-debug-exit,iobase=0xf4,iosize=1'],
    ...['-drive', `file=${payload},format=raw,if=ide,readonly=off`],
  ];
}

/**
 * A boot sector that goes the way of a boot loader and a kernel: 16-bit code; flat 32-bit protected mode, with an IRET there; page tables
 * and 64-bit mode, with an IRETQ; then it ends QEMU through the debug-exit port. Where only a part of this works, the first
 * instructions alone succeed and every real guest still hangs in its boot loader.
 */
function bootSector(): Buffer {
  const sector = Buffer.alloc(512);
  Buffer.from(PAYLOAD.join(''), 'hex').copy(sector);
  sector.writeUInt16LE(0xaa55, 510);
  return sector;
}

/** Assembled for address 0x7c00. */
const PAYLOAD = [
  'fa31c08ed88ec08ed0', // cli; ds, es, ss = 0
  '0f0116c87c0f20c00c010f22c0ea1b7c0800', // lgdt; cr0.PE = 1; far jump to 32-bit code
  'b8100000008ed88ec08ed0bc007c0000', // flat data segments; esp = 0x7c00
  '9c6a0868347c0000cf', // pushf; push cs; push next; iret
  'bf001000000f22df31c0b9000c0000f3ab', // cr3 = 0x1000; clear three pages for tables
  'c7050010000003200000c7050020000003300000c7050030000083000000', // one page of 2 MB, mapped to itself
  '0f20e00c200f22e0b9800000c00f3280cc010f30', // cr4.PAE = 1; EFER.LME = 1
  '0f20c00d000000800f22c0ea897c00001800', // cr0.PG = 1; far jump to 64-bit code
  '6a1068007c00009c6a18689a7c000048cf', // push ss, rsp, flags, cs, next; iretq
  '66baf400b021eef4', // mov dx, 0xf4; mov al, 0x21; out dx, al; hlt
  '660f1f440000', // padding
  '0000000000000000ffff0000009acf00ffff00000092cf00ffff0000009aaf00', // null, 32-bit code, data, 64-bit code
  '1f00a87c0000', // the table's limit and address
];
