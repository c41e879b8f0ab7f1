import { words } from './lines.js';
import { linkOf, type Snapshot } from './model.js';
import type { PlannedCommand } from './plan.js';

/** The new device behaves as the old one did, where it does not anyway. */
export function settingCommands(snapshot: Snapshot, to: string): readonly PlannedCommand[] {
  const forwards = snapshot.sysctls.some((s) => s.path === 'ipv6/conf/DEV/forwarding' && s.value !== '0');
  const settings = snapshot.sysctls
    .filter(({ path }) => !SET_ELSEWHERE.has(path.split('/').at(-1)!))
    // a host that forwards ignores router advertisements unless told twice
    .map((s) =>
      s.path === 'ipv6/conf/DEV/accept_ra' && forwards && s.value === '1' ? { ...s, value: '2' } : s,
    )
    .map(({ path, value }) => setting(path, to, value));
  return settings.length ? [{ argv: ['sysctl', '-q', '-e', '-w', ...settings], optional: true }] : [];
}

/** During the switch packets of one device answer those of the other, which a strict filter would drop. */
export function loose(device: string): PlannedCommand {
  return { argv: ['sysctl', '-q', '-w', setting('ipv4/conf/DEV/rp_filter', device, '2')] };
}

/** What the filter is when the switch is done. */
export function strict(snapshot: Snapshot, to: string): readonly PlannedCommand[] {
  const found = snapshot.sysctls.find((s) => s.path === 'ipv4/conf/DEV/rp_filter');
  return found && found.value !== '2'
    ? [{ argv: ['sysctl', '-q', '-w', setting(found.path, to, found.value)] }]
    : [];
}

/** The port makes no link-local address of its own when its cable comes back; the holder of the addresses may again. */
export function generationLines(snapshot: Snapshot, from: string, to: string): readonly string[] {
  const was = linkOf(snapshot, snapshot.device)?.addressGeneration ?? null;
  if (was === null) return [];
  const mode = MODES[was];
  return [
    words(['link', 'set', 'dev', from, 'addrgenmode', 'none']),
    ...(mode ? [words(['link', 'set', 'dev', to, 'addrgenmode', mode])] : []),
  ];
}

function setting(path: string, device: string, value: string): string {
  return `net/${path.replace('/DEV/', `/${words([device])}/`)}=${words([value])}`;
}

/** Written on their own: at another time, or by `ip link`. */
const SET_ELSEWHERE = new Set([
  'rp_filter',
  'addr_gen_mode',
  'mtu',
  'forwarding',
  'bc_forwarding',
  'force_forwarding',
]);

/** A stable secret is hashed with the device's name: such addresses are not made again on another device. */
const MODES: Readonly<Record<string, string>> = { eui64: 'eui64' };
