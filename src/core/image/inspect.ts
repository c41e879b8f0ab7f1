/**
 * Looks at the beginning of an image as it streams by, before anything may open it. Pure: bytes in, findings out.
 * Layouts: qcow2 (docs/interop/qcow2.txt of QEMU), VMDK, VDI, VHD/VHDX, ISO 9660 (ECMA-119).
 */

/** How many bytes the inspector needs to see: through the ISO 9660 descriptor at 32 KiB, and qcow2's header extensions. */
export const INSPECTED_BYTES = 64 * 1024;

export type DetectedFormat =
  | 'qcow2'
  | 'qcow'
  | 'vmdk'
  | 'vdi'
  | 'vhd'
  | 'vhdx'
  | 'qed'
  | 'luks'
  | 'iso'
  | 'unknown';

export interface Inspection {
  readonly format: DetectedFormat;
  /** Bytes of the disk inside, where the header tells. */
  readonly virtualSize: number | null;
  /** Why the bytes must be refused whatever the format was said to be; null when they may be kept. */
  readonly refusal: string | null;
}

const INCOMPATIBLE_EXTERNAL_DATA_FILE = 1n << 2n;
/** Dirty, corrupt, external data file, compression type, extended L2: the incompatible features that exist today. */
const KNOWN_INCOMPATIBLE = 0b11111n;
const EXTENSION_DATA_FILE = 0x44415441;

/** Inspects the first INSPECTED_BYTES (fewer when the file is shorter). */
export function inspectImage(head: Buffer): Inspection {
  const magic = head.subarray(0, 4).toString('latin1');
  if (magic === 'QFI\xfb') return inspectQcow2(head);
  return { format: detect(head, magic), virtualSize: null, refusal: null };
}

/**
 * Whether a declared format and what was found go together; null when they do, else why servers and volumes cannot use the
 * image. `refuse` is set where keeping it would be dangerous: a host told `raw` must never meet a format that QEMU probes.
 */
export function compareFormats(
  declared: string,
  found: Inspection,
): { readonly reason: string; readonly refuse: boolean } | null {
  if (found.refusal) return { reason: found.refusal, refuse: true };
  if (declared === 'raw') {
    if (found.format === 'unknown' || found.format === 'iso') return null;
    return { reason: `Image content is ${found.format} but disk_format is raw`, refuse: true };
  }
  if (declared === 'qcow2' || declared === 'iso') {
    if (found.format === declared) return null;
    // an unknown content is kept as the client asked, but nothing will open it
    const refuse = found.format !== 'unknown';
    return { reason: `Image content is ${found.format} but disk_format is ${declared}`, refuse };
  }
  return { reason: `Servers boot from qcow2, raw and iso images, not from ${declared}`, refuse: false };
}

function inspectQcow2(head: Buffer): Inspection {
  if (head.length < 72) return broken('qcow2', 'qcow2 header is cut off');
  const version = head.readUInt32BE(4);
  if (version !== 2 && version !== 3) return broken('qcow2', `qcow2 version ${version} is not supported`);
  const virtualSize = head.readBigUInt64BE(24);
  if (virtualSize > BigInt(Number.MAX_SAFE_INTEGER))
    return broken('qcow2', 'qcow2 virtual size is out of range');
  const refusal = qcow2Refusal(head, version);
  return { format: 'qcow2', virtualSize: Number(virtualSize), refusal };
}

function qcow2Refusal(head: Buffer, version: number): string | null {
  if (head.readBigUInt64BE(8) !== 0n) return 'Image has a backing file';
  if (head.readUInt32BE(32) !== 0) return 'Image is encrypted inside qcow2';
  if (version === 2) return null;
  if (head.length < 104) return 'qcow2 header is cut off';
  const incompatible = head.readBigUInt64BE(72);
  if (incompatible & INCOMPATIBLE_EXTERNAL_DATA_FILE) return 'Image has an external data file';
  if (incompatible & ~KNOWN_INCOMPATIBLE) return 'Image uses unknown incompatible qcow2 features';
  return dataFileExtension(head) ? 'Image has an external data file' : null;
}

/** Walks the header extensions, each a type, a length and padded data. */
function dataFileExtension(head: Buffer): boolean {
  let at = head.readUInt32BE(100);
  while (at + 8 <= head.length) {
    const type = head.readUInt32BE(at);
    const length = head.readUInt32BE(at + 4);
    if (type === 0) return false;
    if (type === EXTENSION_DATA_FILE) return true;
    at += 8 + Math.ceil(length / 8) * 8;
  }
  return false;
}

function detect(head: Buffer, magic: string): DetectedFormat {
  if (magic === 'KDMV' || magic === 'COWD') return 'vmdk';
  if (head.subarray(0, 512).includes('# Disk DescriptorFile')) return 'vmdk';
  if (magic === 'QED\0') return 'qed';
  if (head.subarray(0, 8).toString('latin1') === 'vhdxfile') return 'vhdx';
  if (head.subarray(0, 8).toString('latin1') === 'conectix') return 'vhd';
  if (head.subarray(0, 6).toString('latin1') === 'LUKS\xba\xbe') return 'luks';
  if (head.length >= 68 && head.readUInt32LE(64) === 0xbeda107f) return 'vdi';
  if (head.subarray(0x8001, 0x8006).toString('latin1') === 'CD001') return 'iso';
  return 'unknown';
}

function broken(format: DetectedFormat, refusal: string): Inspection {
  return { format, virtualSize: null, refusal };
}
