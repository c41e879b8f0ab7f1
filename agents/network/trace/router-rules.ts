import { routerNamespace } from '../../../src/net/names.js';
import type { NamespaceRef, TraceCheck } from '../../../src/protocol/trace.js';
import { routerTables } from '../router/tables.js';
import { type Found, fail, ok } from './finding.js';
import { missingJump, missingRule } from './rules.js';
import type { Snapshot } from './snapshot.js';

/** Whether a router passes IPv6 on: nothing of ours stands in its way there, so neither may anything of others. */
export async function forward6(
  snapshot: Snapshot,
  { router }: Extract<TraceCheck, { kind: 'nat' }>,
): Promise<Found> {
  const netns: NamespaceRef = { of: 'router', id: router.id };
  const name = routerNamespace(router.id);
  if ((await snapshot.inside(netns)) === null) return fail(`namespace ${name} is not there`);
  const setting = 'net.ipv6.conf.all.forwarding';
  const forwards = await snapshot.sysctl(netns, setting);
  if (forwards !== undefined && forwards !== '1')
    return fail(`${name} does not forward IPv6`, `ip netns exec ${name} sysctl -w ${setting}=1`);
  const have = await snapshot.chains(6, 'filter', netns);
  const foreign = (have.get('FORWARD') ?? []).find((rule) => rule !== '-j ACCEPT');
  if (foreign !== undefined) {
    return fail(
      `chain FORWARD of ip6tables has a rule that is none of ours: -A FORWARD ${foreign}`,
      `ip netns exec ${name} ip6tables -D FORWARD ${foreign}`,
    );
  }
  const policy = await snapshot.policy(6, 'FORWARD', netns);
  if (policy !== null && policy !== 'ACCEPT') {
    return fail(
      `the policy of chain FORWARD of ip6tables is ${policy}`,
      `ip netns exec ${name} ip6tables -P FORWARD ACCEPT`,
    );
  }
  const table = routerTables(router, `router/${router.id}`).get('6 filter')!;
  const missing = missingJump(table, have, 'INPUT') ?? missingRule(table, have, 'maru-INPUT');
  return missing ? fail(`ip6tables: ${missing}`) : ok('IPv6 is forwarded, and no rule stands in its way');
}
