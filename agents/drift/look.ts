import type { PlanStep } from '../../src/protocol/messages.js';
import type { ObjectKey } from '../../src/protocol/objects.js';

/** Heal: bring the object back; leave: it is only reported, and stays as it was found. */
export type Verdict = 'heal' | 'leave';

export interface JudgeOptions {
  /** False: what is lost cannot be brought back (a deleted disk); it is reported whatever the policy says. */
  readonly healable?: boolean;
}

/**
 * One comparison of objects that had been brought about completely with what the host has now. A part that observes for an apply
 * tells it what it finds, before it puts anything right.
 */
export interface DriftLook {
  /** An object is not as it had been left; `steps` would bring it back. */
  judge(object: ObjectKey, steps: readonly PlanStep[], options?: JudgeOptions): Verdict;
  /** Everything that was asked for has been compared: what was not judged is as it should be. */
  complete(): void;
}
