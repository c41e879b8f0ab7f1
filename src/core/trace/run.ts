import { MaruError } from '../errors.js';
import { type Ask, findingsOf } from './ask.js';
import { showCommand } from './commands.js';
import type { Hop, TracedHop, Verdict } from './model.js';

/**
 * Has every host look at its own hops, all hosts at once and each asked once. A host that does not answer is itself the hop that
 * fails, at its first one; nothing is known of its others.
 */
export async function lookAtHops(hops: readonly Hop[], ask: Ask, probe: boolean): Promise<TracedHop[]> {
  const found = new Map<Hop, Verdict>();
  const byHost = new Map<string, Hop[]>();
  for (const hop of hops) {
    if ('verdict' in hop.judge) found.set(hop, hop.judge.verdict);
    else if (hop.host) {
      const its = byHost.get(hop.host.id);
      if (its) its.push(hop);
      else byHost.set(hop.host.id, [hop]);
    }
  }
  await Promise.all(
    [...byHost].map(async ([hostId, its]) => {
      const verdicts = await lookOn(hostId, its, ask, probe);
      its.forEach((hop, index) => {
        found.set(hop, verdicts[index]!);
      });
    }),
  );
  return hops.map((hop) => ({
    host: hop.host?.name ?? null,
    what: hop.what,
    object: hop.object,
    ...found.get(hop)!,
  }));
}

async function lookOn(
  hostId: string,
  hops: readonly Hop[],
  ask: Ask,
  probe: boolean,
): Promise<readonly Verdict[]> {
  const checks = hops.flatMap(({ judge }) => ('check' in judge ? [judge.check] : []));
  const name = hops[0]?.host?.name ?? hostId;
  const without = (first: Verdict['state'], detail: string): Verdict[] =>
    checks.map((check, index) => ({
      state: index === 0 ? first : 'unknown',
      detail: index === 0 ? detail : `${name} was not looked at`,
      show: index === 0 ? `maru host show ${name}` : showCommand(check),
      ...(index === 0 && first === 'fail' ? { mend: `on ${name}: systemctl restart maru-agent` } : {}),
    }));
  try {
    const findings = await findingsOf({ id: hostId, name }, checks, ask, probe);
    return checks.map((check, index) => {
      const { bridge, ...finding } = findings[index]!;
      const late = check.kind === 'told' && finding.state === 'fail' ? { mend: deliveryAdvice(name) } : {};
      return { ...late, ...finding, show: showCommand(check, bridge ?? null) };
    });
  } catch (error) {
    if (!(error instanceof MaruError)) throw error;
    // it answered, and could not say: an agent of a release before
    const answered = error.code !== 'unavailable' || error.cause === undefined;
    return without(answered ? 'unknown' : 'fail', error.message);
  }
}

function deliveryAdvice(host: string): string {
  return `what was just changed arrives within seconds; if it stays so, maru host show ${host} says why`;
}
