import { type Action, ask, ensureFile, machine } from './actions.js';
import { INSTALL_STATE } from './layout.js';
import type { Step } from './run-steps.js';

export const GUESTS_FILE = '/etc/default/libvirt-guests';
/** What the file was before; empty: there was none. */
export const GUESTS_BEFORE = `${INSTALL_STATE}/libvirt-guests.before`;

/**
 * libvirt's daemon runs and starts at boot, and nobody but the agent starts guests after one: their disks, networks and rules
 * come first. Guests run as libvirt's own user; libvirt gives them their disks (dynamic ownership, its default).
 */
export function libvirtStep(): Step {
  return {
    name: 'libvirt',
    advice: 'Its log: journalctl -u libvirtd -n 50',
    async look(): Promise<Action[]> {
      const before = await machine.readFileIfExists(GUESTS_FILE);
      const kept: Action[] =
        (await machine.stat(GUESTS_BEFORE)) || before === withoutStart(before)
          ? []
          : [
              {
                do: 'call',
                say: `keep ${GUESTS_FILE} as it is now in ${GUESTS_BEFORE}`,
                call: async () => {
                  await machine.makeDirectory(INSTALL_STATE, 0o755);
                  await machine.writeFile(GUESTS_BEFORE, before ?? '', 0o644);
                },
              },
            ];
      const guests = await ensureFile({ path: GUESTS_FILE, content: withoutStart(before), mode: 0o644 });
      return [...kept, ...guests, ...(await ownership()), ...(await defaultNetwork()), ...(await daemon())];
    },
  };
}

/** The file with ON_BOOT=ignore, and guests shut down, not suspended, with the machine. */
export function withoutStart(before: string | null): string {
  const wanted = { ON_BOOT: 'ignore', ON_SHUTDOWN: 'shutdown' };
  let text = before ?? '';
  for (const [name, value] of Object.entries(wanted)) {
    const line = new RegExp(`^${name}=.*$`, 'm');
    if (line.test(text)) text = text.replace(line, `${name}=${value}`);
    else text = `${text}${text === '' || text.endsWith('\n') ? '' : '\n'}${name}=${value}\n`;
  }
  return text;
}

async function daemon(): Promise<Action[]> {
  const unit = 'libvirtd.service';
  const actions: Action[] = [];
  if ((await ask('systemctl', 'is-enabled', unit))?.trim() !== 'enabled')
    actions.push({ do: 'run', argv: ['systemctl', 'enable', unit] });
  // it ends by itself when nobody asks it anything; its sockets start it again
  if ((await ask('virsh', '-c', 'qemu:///system', 'version')) === null)
    actions.push({ do: 'run', argv: ['systemctl', 'start', unit] });
  return actions;
}

/** With dynamic ownership switched off guests of another user than root could not open their disks. */
async function ownership(): Promise<Action[]> {
  const text = (await machine.readFileIfExists('/etc/libvirt/qemu.conf')) ?? '';
  const off = /^\s*dynamic_ownership\s*=\s*0/m.test(text);
  const root = /^\s*user\s*=\s*"(\+?0|root)"/m.test(text);
  return off && !root
    ? [
        {
          do: 'warn',
          text: '/etc/libvirt/qemu.conf has dynamic_ownership = 0 and a user other than root: guests cannot open their disks; remove that line and run systemctl restart libvirtd',
        },
      ]
    : [];
}

/** libvirt's own NAT network takes an address that may be in use elsewhere; guests of Maru never use it. */
async function defaultNetwork(): Promise<Action[]> {
  const link = '/etc/libvirt/qemu/networks/autostart/default.xml';
  const guests = (await ask('virsh', '-c', 'qemu:///system', 'list', '--all', '--name'))?.trim();
  // with guests of others it is theirs
  if (guests || !(await machine.stat(link))) return [];
  return [{ do: 'remove', path: link }];
}
