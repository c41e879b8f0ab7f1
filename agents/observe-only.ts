import type { ObjectReport, ObservedServer, PlanStep } from '../src/protocol/messages.js';
import type { ObjectKey, Spec, SpecObject } from '../src/protocol/objects.js';
import type { Part } from './part.js';

/** Compares objects with what the host has, and says of each how it is; changes nothing. `compute` knows guests' power. */
export async function compare(
  spec: Spec,
  keys: ReadonlySet<ObjectKey>,
  parts: readonly Part[],
  compute: Part,
): Promise<ObjectReport[]> {
  let steps: readonly PlanStep[] = [];
  let failure: string | null = null;
  try {
    steps = (await Promise.all(parts.map((part) => part.plan(spec, keys)))).flat();
  } catch (error) {
    failure = error instanceof Error ? error.message : String(error);
  }
  const reports: ObjectReport[] = [];
  for (const key of keys) {
    const object = spec[key];
    if (!object) continue;
    const own = steps.filter((step) => step.object === key);
    const observed = await compute.observeServer?.(spec, key).catch(() => null);
    reports.push(observedReport(key, object, own, failure, observed ?? null));
  }
  return reports;
}

/** What a host that only observes says of an object: `applied` where it is as it should be, else `held` with what differs. */
export function observedReport(
  key: ObjectKey,
  object: SpecObject,
  steps: readonly PlanStep[],
  failure: string | null,
  observed: ObservedServer | null,
): ObjectReport {
  const report = { key, revision: object.revision, ...(observed ? { observed } : {}) };
  const [first] = steps;
  if (failure === null && !first) {
    // a tombstone that finds nothing to destroy
    return object.tombstone
      ? { key, revision: object.revision, state: 'gone' }
      : { ...report, state: 'applied' };
  }
  const more = steps.length > 1 ? `, and ${steps.length - 1} more` : '';
  const differs = failure ?? `${first?.action}: ${first?.detail}${more}`;
  return {
    ...report,
    state: 'held',
    error: {
      message: `this host only observes; it would change: ${differs}`,
      hint: 'look at `maru plan` of this host; `maru incarnation accept` lets hosts act again',
    },
  };
}
