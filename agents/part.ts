import type { ObjectReport, PlanStep } from '../src/protocol/messages.js';
import type { ObjectKey, Spec } from '../src/protocol/objects.js';

/** What to bring about: the whole spec, and which of its keys changed since the last apply. */
export interface ReconcileRequest {
  readonly spec: Spec;
  /** Keys that were changed or removed; null: everything, with a full observation of the host. */
  readonly changed: ReadonlySet<ObjectKey> | null;
}

/**
 * One part of the agent (network, storage, compute, metadata). `apply` observes, diffs and applies what concerns the changed keys;
 * it never rejects because of one object: that object's report says `error`, with CommandError's details, and the others go on.
 * `plan` is the same diff without applying: empty on a host that matches its spec.
 */
export interface Part {
  readonly name: string;
  apply(request: ReconcileRequest): Promise<readonly ObjectReport[]>;
  plan(spec: Spec): Promise<readonly PlanStep[]>;
  /** Things of this part's kinds on the host that the spec does not name, and that are kept. */
  orphans?(spec: Spec): Promise<readonly { readonly kind: string; readonly name: string; readonly detail: string }[]>;
  close?(): Promise<void>;
}
