import { badRequest } from '../errors.js';

/** Choices that images (and flavors, as `hw:` or `quota:` extra specs) may make about a guest's hardware. */
const CHOICES: Readonly<Record<string, readonly string[] | RegExp>> = {
  hw_disk_bus: ['virtio', 'scsi', 'sata', 'ide'],
  hw_cdrom_bus: ['sata', 'ide', 'scsi'],
  hw_scsi_model: ['virtio-scsi', 'lsilogic'],
  hw_vif_model: ['virtio', 'e1000'],
  hw_machine_type: /^(pc|q35)(-[a-z0-9.-]{1,40})?$/,
  hw_pointer_model: ['usbtablet'],
  hw_input_bus: ['usb', 'virtio'],
  os_type: ['linux', 'windows'],
  hw_firmware_type: ['bios', 'uefi'],
  hw_video_model: ['virtio', 'vga', 'cirrus', 'qxl', 'none'],
  hw_rng_model: ['virtio'],
  hw_qemu_guest_agent: ['yes', 'no', 'true', 'false'],
  hw_watchdog_action: ['disabled', 'reset', 'poweroff', 'pause', 'none'],
  hw_boot_menu: ['true', 'false'],
  hw_cpu_sockets: /^[1-9]\d{0,2}$/,
  hw_cpu_cores: /^[1-9]\d{0,2}$/,
  hw_cpu_threads: /^[1-9]\d{0,2}$/,
};

/**
 * The hardware choices of an image and a flavor, the flavor's having precedence; 400 for a value that no guest can have.
 * Properties that are not about hardware, or that we do not know, have no effect.
 */
export function chooseHardware(
  imageProperties: Readonly<Record<string, string>>,
  extraSpecs: Readonly<Record<string, string>>,
  vcpus: number,
): Record<string, string> {
  const chosen: Record<string, string> = {};
  const given = [
    ...Object.entries(imageProperties),
    ...Object.entries(extraSpecs).map(([key, value]) => [key.replace(/^hw:/, 'hw_'), value] as const),
  ];
  for (const [key, value] of given) {
    const allowed = Object.hasOwn(CHOICES, key) ? CHOICES[key] : undefined;
    if (!allowed) continue;
    const ok = allowed instanceof RegExp ? allowed.test(value) : allowed.includes(value);
    if (!ok) {
      const known = allowed instanceof RegExp ? `something matching ${allowed}` : allowed.join(', ');
      throw badRequest(`Invalid image or flavor property ${key}: '${value}' is not one of: ${known}`);
    }
    chosen[key] = value;
  }
  return { ...chosen, ...topology(chosen, vcpus) };
}

/** Sockets, cores and threads in full when any is chosen; their product has to be the number of vCPUs. */
function topology(chosen: Readonly<Record<string, string>>, vcpus: number): Record<string, string> {
  const { hw_cpu_sockets: sockets, hw_cpu_cores: cores, hw_cpu_threads: threads } = chosen;
  if (!sockets && !cores && !threads) return {};
  const t = Number(threads ?? 1);
  const c = Number(cores ?? (sockets ? vcpus / (Number(sockets) * t) : 1));
  const s = Number(sockets ?? vcpus / (c * t));
  if (s * c * t !== vcpus || !Number.isInteger(s) || !Number.isInteger(c)) {
    throw badRequest(
      `Invalid image or flavor property: ${sockets ?? 'any'} sockets, ${cores ?? 'any'} cores and ${threads ?? 'any'} threads do not make ${vcpus} vCPUs`,
    );
  }
  return { hw_cpu_sockets: String(s), hw_cpu_cores: String(c), hw_cpu_threads: String(t) };
}
