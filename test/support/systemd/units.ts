import { mkdir, readdir, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';

/** What every machine needs, and what runs only when a program asks for it. */
const KEPT = [
  /^systemd-(journal|tmpfiles|sysctl|sysusers|modules-load|remount-fs|update-utmp|user-sessions|hostnamed)/,
  /^systemd-(poweroff|reboot|halt|exit|kexec|machine-id-commit)\.service$/,
  /^dbus(-org\.freedesktop\.hostname1)?\.(service|socket)$/,
];
const MASKED_TYPES = /\.(service|socket|timer|path)$/;

/** Masks the image's services, timers, sockets and init scripts in the machine's root, but for those kept and `enable`. */
export async function maskUnits(root: string, enable: readonly string[]): Promise<void> {
  const stems = enable.map((unit) => unit.replace(MASKED_TYPES, ''));
  const wanted = (unit: string) =>
    KEPT.some((kept) => kept.test(unit)) ||
    enable.includes(unit) ||
    // libvirtd.service with libvirtd.socket, libvirtd-ro.socket …, a template with its instances
    stems.some((stem) => unit.replace(/\.(service|timer|path)$/, '') === stem) ||
    stems.some((stem) => unit.startsWith(stem) && unit.endsWith('.socket'));
  const etc = join(root, 'etc/systemd/system');
  await mkdir(etc, { recursive: true });
  for (const unit of await imageUnits(root)) {
    if (wanted(unit)) continue;
    await rm(join(etc, unit), { recursive: true, force: true });
    await symlink('/dev/null', join(etc, unit));
  }
}

async function imageUnits(root: string): Promise<Set<string>> {
  const found = new Set<string>();
  for (const directory of ['etc/systemd/system', 'lib/systemd/system', 'usr/local/lib/systemd/system']) {
    for (const name of await readdir(join(root, directory)).catch(() => [])) {
      if (MASKED_TYPES.test(name)) found.add(name);
    }
  }
  // systemd makes units of these
  for (const name of await readdir(join(root, 'etc/init.d')).catch(() => [])) found.add(`${name}.service`);
  return found;
}
