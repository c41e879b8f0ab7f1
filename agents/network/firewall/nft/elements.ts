import { type ParsedCidr, parseCidr } from '../../../../src/net/cidr.js';
import { addressBits, bigIntToIp } from '../../../../src/net/ip.js';
import { linkLocalAddress } from '../../../../src/net/mac.js';
import { tapName } from '../../../../src/net/names.js';
import type { PortObject } from '../../../../src/protocol/objects.js';

/** An element of a set of the port security table, as text that is also its identity: `tap… . MAC . address`. */
export interface PortElement {
  readonly set: string;
  readonly element: string;
}

/** What a guest's port may send. Nothing at all while it is administratively down: the tap stays closed. */
export function portElements(port: PortObject): PortElement[] {
  if (!port.admin_state_up) return [];
  const tap = tapName(port.id);
  if (!port.port_security) {
    return [
      { set: 'trusted', element: tap },
      { set: 'ready', element: tap },
    ];
  }
  const elements: PortElement[] = [{ set: 'ready', element: tap }];
  for (const [mac, blocks] of allowedSources(port)) {
    elements.push({ set: 'mac', element: `${tap} . ${mac} . ${mac}` });
    elements.push({ set: 'lla', element: `${tap} . ${mac} . ${macNumber(mac)}` });
    const local = parseCidr(linkLocalAddress(mac));
    for (const block of withoutNested([...blocks, local])) {
      const text = blockText(block);
      if (block.version === 4) {
        elements.push({ set: 'arp4', element: `${tap} . ${mac} . ${mac} . ${text}` });
        elements.push({ set: 'src4', element: `${tap} . ${mac} . ${text}` });
      } else {
        elements.push({ set: 'src6', element: `${tap} . ${mac} . ${text}` });
        elements.push({ set: 'nd6', element: `${tap} . ${mac} . ${numberText(block)}` });
      }
    }
  }
  return elements;
}

/** Which addresses each MAC of the port may use: its fixed addresses and its allowed pairs. */
export function allowedSources(port: PortObject): ReadonlyMap<string, readonly ParsedCidr[]> {
  const sources = new Map<string, ParsedCidr[]>([[port.mac, port.fixed_ips.map(parseCidr)]]);
  for (const pair of port.allowed_address_pairs) {
    const blocks = sources.get(pair.mac_address) ?? [];
    blocks.push(parseCidr(pair.ip_address));
    sources.set(pair.mac_address, blocks);
  }
  return sources;
}

/** An interval set refuses overlaps. Blocks nest or are disjoint, so it is enough to drop those inside another. */
function withoutNested(blocks: readonly ParsedCidr[]): ParsedCidr[] {
  return blocks.filter(
    (block, index) =>
      !blocks.some((other, at) => {
        if (at === index || other.version !== block.version) return false;
        const inside = other.first <= block.first && block.last <= other.last;
        const equal = other.first === block.first && other.last === block.last;
        return inside && (!equal || at < index);
      }),
  );
}

function blockText(block: ParsedCidr): string {
  const first = bigIntToIp(block.first, block.version);
  return block.prefix === addressBits(block.version) ? first : `${first}/${block.prefix}`;
}

/** The same block as numbers, since nft 1.0.6 has no name for the target address of a neighbour advertisement. */
function numberText(block: ParsedCidr): string {
  const first = hexNumber(block.first, 32);
  return block.first === block.last ? first : `${first}-${hexNumber(block.last, 32)}`;
}

function macNumber(mac: string): string {
  return `0x${mac.replaceAll(':', '')}`;
}

/** `0x` and a fixed number of digits: one spelling for one number. */
export function hexNumber(value: bigint, digits: number): string {
  return `0x${value.toString(16).padStart(digits, '0')}`;
}
