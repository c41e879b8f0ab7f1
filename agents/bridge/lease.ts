import { addressDeletion, addressLine, type Seconds, words } from './lines.js';
import type { Lease } from './manager.js';
import type { AddressState } from './model.js';
import { commandLine } from './script-parts.js';

/** For how long a revert waits for the manager to bring the lease back; the host is reached meanwhile. */
const WAIT_SECONDS = 10;

/**
 * The leased address as it is on the device until its manager brings it: the same, but another one for a manager that looks for
 * what it asked for. All other addresses as they are. Pure.
 */
export function standIn(address: AddressState, lease: Lease | null): AddressState {
  return isLeased(address, lease) ? { ...address, prefix: 32, metric: null } : address;
}

/** Whether it is the address that the lease is about. */
export function isLeased(address: AddressState, lease: Lease | null): boolean {
  return lease !== null && address.family === 4 && address.address === lease.address.address;
}

/**
 * Lines of revert.sh that wait until the manager has brought the lease. A manager that was late may take away meanwhile what it did
 * not know: `again` puts that there once more.
 */
export function awaitLease(lease: Lease, device: string, again: readonly string[]): readonly string[] {
  const dev = words([device]);
  return [
    '# the manager brings its lease back; until then the address is there with another prefix length, and the host is reached',
    'read -r now rest < /proc/uptime',
    `until=$(( \${now%%.*} + ${WAIT_SECONDS} )) turn=0`,
    `while has=$(ip -4 -o addr show dev ${dev}); do`,
    `case $has in ${shown(lease.address)}) break ;; esac`,
    'read -r now rest < /proc/uptime',
    `[ "\${now%%.*}" -lt "$until" ] || break`,
    'turn=$((turn + 1))',
    '# when it never knew of the change it has nothing to ask for before the lease is half over',
    `[ $((turn % 5)) != 0 ] || ${commandLine(lease.renew, 5)}`,
    `case $has in ${shown(standIn(lease.address, lease))}) ;; *)`,
    ...again,
    ';; esac',
    'sleep 0.2',
    'done',
  ];
}

/** Lines that put the leased address there as it was, unless the manager has done so, and take away what stood in for it. */
export function settleLease(lease: Lease, device: string, left: Seconds): readonly string[] {
  const { address } = lease;
  const has = `$(ip -4 -o addr show dev ${words([device])})`;
  const metric = address.metric === null ? '' : ` metric ${words([address.metric])}`;
  return [
    `case ${has} in ${shown(address, metric)}) ;; *)`,
    'ip -4 -force -batch - <<END',
    addressLine('replace', address, device, device, { nodad: false, seconds: left }),
    'END',
    ';; esac',
    `case ${has} in ${shown(address)}) ip -4 ${addressDeletion(standIn(address, lease), device)} ;; esac`,
  ];
}

/** A pattern of the shell for what `ip -o addr` says of it. */
function shown(address: AddressState, more = ''): string {
  return `*' inet ${words([`${address.address}/${address.prefix}`])}${more} '*`;
}
