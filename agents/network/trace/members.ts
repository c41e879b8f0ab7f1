import { cidrContains, parseCidr } from '../../../src/net/cidr.js';
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
  const have = (await snapshot.sets()).get(name);
  if (!have) return fail(`the set ${name} is not there: no rule with this remote group admits anybody`);
  if (address !== null) {
    const within = [...have].find((member) => holds(member, address));
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

/** Whether everything in an address or block is in the member of a set. */
function holds(member: string, wanted: string): boolean {
  const [outer, inner] = [parseCidr(member), parseCidr(wanted)];
  return (
    outer.version === inner.version &&
    outer.prefix <= inner.prefix &&
    cidrContains(member, wanted.split('/')[0]!)
  );
}
