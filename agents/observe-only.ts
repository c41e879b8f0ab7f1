import type { ObjectReport, ObservedServer, PlanStep } from '../src/protocol/messages.js';
import type { ObjectKey, SpecObject } from '../src/protocol/objects.js';

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
