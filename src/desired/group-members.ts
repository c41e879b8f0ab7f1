import { ipToBigInt } from '../net/ip.js';
import type { GroupMembersObject } from '../protocol/objects.js';

/** A member's address; ports without any have one row with null. */
export interface MemberRow {
  readonly security_group_id: string;
  readonly network_id: string;
  /** JSON list of {ip_address, mac_address}. */
  readonly allowed_address_pairs: string;
  readonly ip_address: string | null;
}

/** Object id of a group's members as ports of a network see them. */
export function groupMembersId(groupId: string, networkId: string): string {
  return `${groupId}:${networkId}`;
}

/**
 * Addresses from which a group's members can reach ports of a network: members on it, and on the networks that a router
 * joins to it, since routers leave inner addresses as they are. Elsewhere equal addresses may belong to strangers.
 */
export function groupMembersObject(
  groupId: string,
  networkId: string,
  neighbours: ReadonlySet<string>,
  rows: readonly MemberRow[],
): GroupMembersObject {
  const ipv4 = new Set<string>();
  const ipv6 = new Set<string>();
  for (const row of rows) {
    if (row.security_group_id !== groupId) continue;
    if (row.network_id !== networkId && !neighbours.has(row.network_id)) continue;
    const pairs: { ip_address: string }[] =
      row.allowed_address_pairs === '[]' ? [] : JSON.parse(row.allowed_address_pairs);
    for (const address of [row.ip_address, ...pairs.map((pair) => pair.ip_address)]) {
      if (address !== null) (address.includes(':') ? ipv6 : ipv4).add(address);
    }
  }
  return { group_id: groupId, network_id: networkId, ipv4: sorted(ipv4), ipv6: sorted(ipv6) };
}

/** By value, then by text; each is read once, since groups can be large. */
function sorted(addresses: ReadonlySet<string>): string[] {
  return [...addresses]
    .map((text) => ({ text, value: ipToBigInt(text.split('/')[0] ?? text) }))
    .sort((a, b) => (a.value < b.value ? -1 : a.value > b.value ? 1 : a.text < b.text ? -1 : 1))
    .map(({ text }) => text);
}
