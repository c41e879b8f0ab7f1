import { routerGatewayName, tapName } from '../../../src/net/names.js';
import type { ObjectKey } from '../../../src/protocol/objects.js';
import type { NamespaceRef, TraceCheck } from '../../../src/protocol/trace.js';
import type { DesiredTable, IpFamily, ObservedChains } from '../firewall/iptables/model.js';
import { normaliseRule } from '../firewall/iptables/normalise.js';
import { needsReplacement } from '../firewall/nft/diff.js';
import { portElements } from '../firewall/nft/elements.js';
import { PORT_SECURITY, ZONES } from '../firewall/nft/tables.js';
import { inChain, outChain, portChains } from '../firewall/port-chains.js';
import { renderRule, ruleFamily } from '../firewall/rules.js';
import { HOST_SYSCTLS, wrongSysctls } from '../firewall/sysctls.js';
import { hostTables } from '../firewall/tables.js';
import { routerTables } from '../router/tables.js';
import { type Found, fail, ok } from './finding.js';
import type { Snapshot } from './snapshot.js';

type Check<K extends TraceCheck['kind']> = Extract<TraceCheck, { kind: K }>;

/** What a router does to packets: one part of its rules, compared with what they should be. */
export async function nat(snapshot: Snapshot, { part, router }: Check<'nat'>): Promise<Found> {
  const netns: NamespaceRef = { of: 'router', id: router.id };
  if ((await snapshot.inside(netns)) === null) return fail(`namespace qrouter-${router.id} is not there`);
  const wanted = routerTables(router, `router/${router.id}`);
  if (part === 'forward') {
    const table = wanted.get('4 filter')!;
    const have = await snapshot.chains(4, 'filter', netns);
    const missing =
      missingJump(table, have, 'FORWARD') ??
      missingRule(table, have, 'maru-FORWARD') ??
      missingJump(table, have, 'INPUT') ??
      missingRule(table, have, 'maru-INPUT');
    return missing ? fail(missing) : ok('what is translated is passed on');
  }
  const table = wanted.get('4 nat')!;
  const have = await snapshot.chains(4, 'nat', netns);
  const floats = router.floating_ips.map((one) => `${one.floating_ip_address} ↔ ${one.fixed_ip_address}`);
  if (part === 'dnat') {
    const missing =
      missingJump(table, have, 'PREROUTING') ??
      missingRule(table, have, 'maru-PREROUTING', (rule) => rule.includes('-j DNAT'));
    return missing ? fail(missing) : ok(`DNAT ${floats.join(', ')}`);
  }
  const gateway = router.external ? routerGatewayName(router.external.port_id) : '';
  const missing =
    missingJump(table, have, 'POSTROUTING') ??
    missingRule(table, have, 'maru-POSTROUTING', (rule) => rule === '-j maru-float-snat') ??
    missingRule(table, have, 'maru-float-snat', (rule) => rule.includes(`-o ${gateway} `));
  return missing ? fail(missing) : ok(`SNAT ${floats.join(', ')}`);
}

/** A port's own chains, and the way to them. */
export async function filter(snapshot: Snapshot, check: Check<'filter'>): Promise<Found> {
  const { port, groups, dhcp, rule } = check;
  const key: ObjectKey = `port/${port.id}`;
  const chains = port.port_security ? portChains(port, groups, dhcp ?? undefined) : null;
  const tables = hostTables([{ key, id: port.id, chains }], [], { tenant: false, provider: [] });
  const family: IpFamily = rule ? ruleFamily(rule) : 4;
  const wanted = tables.get(`${family} filter`)!;
  const have = await snapshot.chains(family, 'filter');
  const [one, two] = [port.id.slice(0, 1), port.id.slice(0, 2)];
  for (const way of ['maru-in', 'maru-out']) {
    for (const chain of [way, `${way}-${one}`, `${way}-${two}`]) {
      const missing = missingRule(wanted, have, chain);
      if (missing) return fail(missing);
    }
  }
  if (!chains) return ok('no port security: everything passes');
  const own = inChain(port.id);
  const text = rule && renderRule(rule, family, port.network_id, 'ACCEPT');
  if (text && !contains(have.get(own), text)) return fail(`chain ${own} lacks the rule -A ${own} ${text}`);
  for (const chain of [own, outChain(port.id)]) {
    const missing = missingRule(wanted, have, chain);
    if (missing) return fail(missing);
    const extra = (have.get(chain) ?? []).find((each) => !contains(wanted.chains.get(chain)?.rules, each));
    if (extra) return fail(`chain ${chain} has a rule that is none of ours: -A ${chain} ${extra}`);
  }
  return ok(text ? `${own}: ${text}` : `${own} and ${outChain(port.id)} are complete`);
}

/** The sets of port security that a guest's addresses have to be in. */
export async function antiSpoofing(snapshot: Snapshot, { port }: Check<'anti-spoofing'>): Promise<Found> {
  const { version, elements } = await snapshot.nft(PORT_SECURITY);
  if (version === null) return fail('table bridge maru is not there: every port is closed');
  for (const { set, element } of portElements(port)) {
    if (elements.get(set)?.has(element)) continue;
    return fail(
      set === 'ready'
        ? `${tapName(port.id)} is not in the set ready: the port is closed`
        : `the set ${set} lacks ${element}: what the guest sends from there is dropped`,
    );
  }
  return ok(port.port_security ? `${port.mac} ${port.fixed_ips.join(', ')}` : 'switched off for this port');
}

/** Our own ends have to be trusted, or routers and DHCP servers are dropped as unknown guests. */
export async function trusted(snapshot: Snapshot, { port_ids }: Check<'trusted'>): Promise<Found> {
  const { elements } = await snapshot.nft(PORT_SECURITY);
  for (const name of port_ids.map(tapName)) {
    for (const set of ['trusted', 'ready'])
      if (!elements.get(set)?.has(name)) return fail(`${name} is not in the set ${set}: it is closed`);
  }
  return ok(`${port_ids.map(tapName).join(', ')} may pass`);
}

/** What every port of the host stands on. */
export async function shared(snapshot: Snapshot, { family = 4 }: Check<'shared'>): Promise<Found> {
  const [wrong] = wrongSysctls(HOST_SYSCTLS, await snapshot.sysctls());
  if (wrong) return fail(`the kernel setting ${wrong} is missing`, `sysctl -w ${wrong}`);
  for (const table of [PORT_SECURITY, ZONES]) {
    if (needsReplacement(table, await snapshot.nft(table)))
      return fail(`nft table ${table.family} ${table.name} is missing or was changed by hand`);
  }
  const jumps = hostTables([], [], { tenant: true, provider: [] }).get(`${family} filter`)!;
  const have = await snapshot.chains(family, 'filter');
  const missing = missingJump(jumps, have, 'FORWARD') ?? missingRule(jumps, have, 'maru-bridged');
  return missing ? fail(missing) : ok('kernel settings, port security and the way into our chains are there');
}

/** The first of a chain's rules that is not there, in words. */
export function missingRule(
  wanted: DesiredTable,
  have: ObservedChains,
  chain: string,
  which: (rule: string) => boolean = () => true,
): string | null {
  const rules = (wanted.chains.get(chain)?.rules ?? []).filter(which);
  const present = have.get(chain);
  if (!present) return rules.length ? `chain ${chain} is not there` : null;
  const missing = rules.find((rule) => !contains(present, rule));
  return missing === undefined ? null : `chain ${chain} lacks the rule -A ${chain} ${missing}`;
}

/** Our jump has to be the first rule of a built-in chain. */
export function missingJump(wanted: DesiredTable, have: ObservedChains, chain: string): string | null {
  const [jump] = wanted.jumps.get(chain) ?? [];
  if (jump === undefined) return null;
  const present = have.get(chain) ?? [];
  if (present[0] !== undefined && normaliseRule(present[0]) === normaliseRule(jump)) return null;
  return contains(present, jump)
    ? `chain ${chain} has a foreign rule before ours: -A ${chain} ${present[0]}`
    : `chain ${chain} lacks the rule -A ${chain} ${jump}`;
}

function contains(rules: readonly string[] | undefined, rule: string): boolean {
  return rules !== undefined && normalised(rules).has(normaliseRule(rule));
}

/** A chain's rules in one spelling: each rule of a port is looked for in them, and there may be thousands. */
function normalised(rules: readonly string[]): ReadonlySet<string> {
  const known = spellings.get(rules);
  if (known) return known;
  const all = new Set(rules.map(normaliseRule));
  spellings.set(rules, all);
  return all;
}

const spellings = new WeakMap<readonly string[], ReadonlySet<string>>();
