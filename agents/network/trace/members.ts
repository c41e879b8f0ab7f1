import { parseCidr } from '../../../src/net/cidr.js';
import { addressBits } from '../../../src/net/ip.js';
import { memberSetName } from '../../../src/net/names.js';
import type { TraceCheck } from '../../../src/protocol/trace.js';
import { setMembers } from '../firewall/ipset/sets.js';
import { type Found, fail, ok } from './finding.js';
import type { Snapshot } from './snapshot.js';

/** Whether the set that a rule with a remote group matches has those whom the rule is to let in. */
export async function members(
  snapshot: Snapshot,
  { group_id, network_id, family, members: all, address }: Extract<TraceCheck, { kind: 'members' }>,
): Promise<Found> {
  const name = memberSetName(family, group_id, network_id);
  const have = await snapshot.members(name);
  if (!have) return fail(`the set ${name} is not there: no rule with this remote group admits anybody`);
  if (address !== null) {
    const within = memberWith(have, address);
    return within === undefined
      ? fail(`${address} is not in the set ${name}, which has ${have.size} member(s)`)
      : ok(`${address} is in ${name}${within === address ? '' : `, by ${within}`}`);
  }
  const missing = [...setMembers(all)].filter((member) => !have.has(member));
  if (missing.length > 0) {
    const more = missing.length > 1 ? ` and ${missing.length - 1} more of ${all.length} member(s)` : '';
    return fail(`the set ${name} lacks ${missing[0]}${more}`);
  }
  return ok(`${name} has all ${all.length} member(s)`);
}

/** The member of a set that has everything in an address or block. */
function memberWith(members: ReadonlySet<string>, wanted: string): string | undefined {
  const inner = parseCidr(wanted);
  const alone = inner.prefix === addressBits(inner.version);
  if (alone && members.has(inner.address)) return inner.address;
  for (const member of members) {
    // what has no prefix is one address, and most members are: only blocks are taken apart
    if (!member.includes('/')) continue;
    const outer = parseCidr(member);
    const within = outer.version === inner.version && outer.first <= inner.first && inner.last <= outer.last;
    if (within) return member;
  }
  return undefined;
}
