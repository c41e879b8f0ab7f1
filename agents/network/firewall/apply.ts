import type { SecurityGroupObject, Spec } from '../../../src/protocol/objects.js';
import type { NetworkContext } from '../config.js';
import type { Hold } from '../hold.js';
import { type Failures, objectOf, objectsOf, SHARED } from '../model.js';
import type { ObservedHost } from '../observed.js';
import type { Change } from '../reconcile.js';
import { cutForbidden, type StricterPort } from './conntrack/cut.js';
import type { DesiredFirewall } from './desired.js';
import { applySets, diffSets, type SetChange, type SetsDiff } from './ipset/sets.js';
import { RestoreError, restoreTable } from './iptables/apply.js';
import { diffTables, type TableDiff } from './iptables/diff.js';
import { applyElements, replaceTable } from './nft/apply.js';
import { diffElements, type ElementChange, needsReplacement } from './nft/diff.js';
import { PORT_SECURITY, ZONES } from './nft/tables.js';
import { inChain, outChain } from './port-chains.js';
import { applyHostSysctls } from './sysctls.js';

/** Before anything else: kernel settings and the two nft tables, in which every unknown tap is closed. */
export async function prepareFirewall(
  context: NetworkContext,
  desired: DesiredFirewall,
  observed: ObservedHost,
  hold: Hold,
  failures: Failures,
): Promise<void> {
  try {
    if (!hold.sysctls) await applyHostSysctls(context, observed.sysctls);
    if (needsReplacement(PORT_SECURITY, observed.portSecurity) && !hold.replacement(PORT_SECURITY)) {
      await replaceTable(
        context,
        PORT_SECURITY,
        desired.portSecurity(failures.blocked),
        observed.portSecurity,
      );
    }
    if (needsReplacement(ZONES, observed.zones) && !hold.replacement(ZONES))
      await replaceTable(context, ZONES, desired.zones, observed.zones);
  } catch (error) {
    failures.addThrown(SHARED, error);
    for (const region of ['sysctls', 'port-security', 'zones'] as const) observed.markStale(region);
  }
}

/** Closes the ports that are no longer to be open, before anything of theirs is taken apart. */
export async function closePorts(
  context: NetworkContext,
  desired: DesiredFirewall,
  observed: ObservedHost,
  failures: Failures,
): Promise<void> {
  if (failures.blocks(SHARED)) return;
  const changes = diffElements(PORT_SECURITY, desired.portSecurity(failures.blocked), observed.portSecurity);
  const leaving = new Set(
    changes
      .filter(isDeletion)
      .filter(({ set }) => set === 'ready')
      .map(({ element }) => element),
  );
  if (!leaving.size) return;
  const closing = changes.filter(isDeletion).filter(({ element }) => leaving.has(element.split(' ')[0]!));
  await applyNft(context, closing, [], observed, failures);
}

/** Sets of group members, then the rules that refer to them, then the cut of what they no longer allow. */
export async function applyFirewall(
  context: NetworkContext,
  change: Change & { readonly hold: Hold },
  failures: Failures,
): Promise<void> {
  const { spec, before, observed, released, hold } = change;
  const desired = change.desired.firewall;
  const sets = hold.sets(diffSets(desired.sets, observed.sets), change.desired);
  const firstDiffs = hold.tables(diffTables(desired.tables(failures.blocked), observed.tables));
  try {
    await applyEachSet(context, sets.make, observed, failures);
    await restoreTables(context, desired, observed, hold, failures);
    await applyEachSet(context, sets.remove, observed, failures);
    const stricter = [...stricterPorts(desired, firstDiffs, sets, spec), ...gonePorts(desired, before, spec)];
    await cutForbidden(context, stricter, spec);
    // the number may soon be another network's, with the same addresses
    for (const zone of released) {
      await context.host.run('conntrack', ['-D', '-w', `${zone}`], { okCodes: [0, 1] });
    }
  } catch (error) {
    failures.addThrown(SHARED, error instanceof RestoreError ? error.cause : error);
    observed.markStale('tables');
    observed.markStale('sets');
  }
}

/** Zones of new networks and what each port may send; with its `ready` element a port is open. */
export async function openPorts(
  context: NetworkContext,
  desired: DesiredFirewall,
  observed: ObservedHost,
  hold: Hold,
  failures: Failures,
): Promise<void> {
  const wanted = desired.portSecurity(failures.blocked);
  let changes = hold.elements(PORT_SECURITY, diffElements(PORT_SECURITY, wanted, observed.portSecurity));
  // without the shared rules nothing new may be opened
  if (failures.blocks(SHARED)) changes = changes.filter(isDeletion);
  const zones = hold.elements(ZONES, diffElements(ZONES, desired.zones, observed.zones));
  await applyNft(context, changes, zones, observed, failures);
}

function isDeletion(change: ElementChange): boolean {
  return change.action === 'delete';
}

async function applyNft(
  context: NetworkContext,
  ports: readonly ElementChange[],
  zones: readonly ElementChange[],
  observed: ObservedHost,
  failures: Failures,
): Promise<void> {
  const changes = [
    ...zones.map((change) => ({ table: ZONES, observed: observed.zones, change })),
    ...ports.map((change) => ({ table: PORT_SECURITY, observed: observed.portSecurity, change })),
  ];
  if (await applyElements(context, changes, failures)) return;
  observed.markStale('port-security');
  observed.markStale('zones');
}

/** All at once; if that is refused, set by set, so that one bad address is one object's error. */
async function applyEachSet(
  context: NetworkContext,
  changes: readonly SetChange[],
  observed: ObservedHost,
  failures: Failures,
): Promise<void> {
  try {
    await applySets(context, changes, observed.sets);
  } catch {
    observed.markStale('sets');
    for (const set of new Set(changes.map((change) => change.set))) {
      const own = changes.filter((change) => change.set === set);
      await applySets(context, own, observed.sets).catch((error) =>
        failures.addThrown(own[0]!.object, error),
      );
    }
  }
}

/** One transaction per table. A refused rule costs its port the connection, not the others theirs. */
async function restoreTables(
  context: NetworkContext,
  desired: DesiredFirewall,
  observed: ObservedHost,
  hold: Hold,
  failures: Failures,
): Promise<void> {
  for (;;) {
    const diffs = hold.tables(diffTables(desired.tables(failures.blocked), observed.tables));
    const results = await Promise.allSettled(
      diffs.map((diff) => restoreTable(context, diff, observed.tables)),
    );
    const refused = results.flatMap((result) =>
      result.status === 'rejected' ? [result.reason as unknown] : [],
    );
    if (!refused.length) return;
    observed.markStale('tables');
    for (const reason of refused) {
      // without anybody to blame there is nothing to leave out and try again
      if (!(reason instanceof RestoreError) || reason.object === null || failures.blocks(reason.object))
        throw reason;
      failures.addThrown(reason.object, reason.cause);
    }
  }
}

/** Ports that lost a rule, whose remote groups lost a member, or that are gone or down. */
function stricterPorts(
  desired: DesiredFirewall,
  diffs: readonly TableDiff[],
  sets: SetsDiff,
  spec: Spec,
): StricterPort[] {
  const shrunk = new Set(sets.remove.filter(({ member }) => member !== null).map(({ set }) => set));
  const lost = new Set<string>();
  for (const { chains } of diffs) {
    for (const { chain, before, rules } of chains)
      if (before?.some((rule) => !rules?.includes(rule))) lost.add(chain);
  }
  if (!lost.size && !shrunk.size) return [];
  const found: StricterPort[] = [];
  for (const { key, id, chains } of desired.ports) {
    const refers = chains?.memberSets.some(({ name }) => shrunk.has(name));
    if (!refers && !lost.has(inChain(id)) && !lost.has(outChain(id))) continue;
    const port = desired.portBodies.get(key)!;
    const zone = desired.zoneOf(port.network_id);
    if (zone !== undefined && chains)
      found.push({ key, port, zone, rules: rulesOf(port.security_group_ids, spec) });
  }
  return found;
}

/** Ports that the spec no longer has: whoever gets their addresses next begins without their connections. */
function gonePorts(desired: DesiredFirewall, before: Spec, spec: Spec): StricterPort[] {
  return objectsOf(before, 'port')
    .filter(({ key }) => !spec[key])
    .flatMap(({ key, body: port }) => {
      const zone = desired.zoneOf(port.network_id);
      return zone === undefined ? [] : [{ key, port, zone, rules: null }];
    });
}

function rulesOf(groupIds: readonly string[], spec: Spec) {
  return groupIds.flatMap(
    (id) => objectOf(spec, 'security-group', id)?.rules ?? ([] as SecurityGroupObject['rules']),
  );
}
