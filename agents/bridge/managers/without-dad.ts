import type { Snapshot } from '../model.js';

/**
 * Commands that let a manager configure `device`, without duplicate address detection meanwhile. Managers remove IPv6 addresses and
 * add them again; those were in use a moment ago, and looking for duplicates of them would cost a second of silence.
 */
export function withoutDad(
  snapshot: Snapshot,
  device: string,
  commands: readonly (readonly string[])[],
): readonly (readonly string[])[] {
  const before = snapshot.sysctls.find(({ path }) => path === 'ipv6/conf/DEV/accept_dad')?.value;
  if (before === undefined || before === '0') return commands;
  const set = (value: string) => ['sysctl', '-q', '-w', `net/ipv6/conf/${device}/accept_dad=${value}`];
  return [set('0'), ...commands, set(before)];
}
