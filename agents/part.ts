import type { ObjectReport, ObservedServer, PlanStep } from '../src/protocol/messages.js';
import type { ObjectKey, Spec } from '../src/protocol/objects.js';
import type { DriftLook } from './drift/look.js';

/** What to bring about: the whole spec, and which of its keys changed since the last apply. */
export interface ReconcileRequest {
  readonly spec: Spec;
  /** Keys to bring in line, also those that are no longer in the spec; null: everything, with a full observation of the host. */
  readonly changed: ReadonlySet<ObjectKey> | null;
  /**
   * Told, before anything is put right, of objects that had been brought about completely and are not as they were left. Without it
   * everything is put right.
   */
  readonly look?: DriftLook;
  /**
   * The whole spec had been brought about before this process began (but for these objects), for the network in this boot of the
   * host: whatever differs now was changed by others.
   */
  readonly settled?: { readonly except: ReadonlySet<ObjectKey> };
  /** False: what the object is to be has ended while this request waited, so its guest must not be started any more. */
  readonly stillWanted?: (key: ObjectKey) => boolean;
}

/** Something on the host that no object names. */
export interface Orphan {
  readonly kind: string;
  readonly name: string;
  readonly detail: string;
  /** Key of the object that it once belonged to, where that is known. */
  readonly object?: ObjectKey;
}

/**
 * One part of the agent (network, storage, compute, metadata). `apply` observes, diffs and applies what concerns the changed keys;
 * it never rejects because of one object: that object's report says `error`, with CommandError's details, and the others go on.
 * `plan` is the same diff without applying: empty on a host that matches its spec.
 *
 * How the loop calls them: network and metadata get one call at a time, with all keys that came up meanwhile (null at the start
 * and at each full sync). Storage, then compute, are called per server or volume (`changed` holds that one key), for different
 * objects at the same time, so a slow download holds up only its own guest; they must observe that object anew each time. At the
 * start and at each full sync they get every key so, followed by one call of `housekeeping`.
 */
export interface Part {
  readonly name: string;
  /**
   * Fetches what `apply` will need and may have to wait long for, such as a base image; changes nothing else. Whoever waits here
   * takes no place from others. Failures are left to `apply`, which meets them again and reports them.
   */
  prepare?(request: ReconcileRequest): Promise<void>;
  apply(request: ReconcileRequest): Promise<readonly ObjectReport[]>;
  /** `keys`: only these objects; a part that works in batches may look at everything all the same. */
  plan(spec: Spec, keys?: ReadonlySet<ObjectKey>): Promise<readonly PlanStep[]>;
  /** What a guest does now, without touching it; null: it is not there. */
  observeServer?(spec: Spec, key: ObjectKey): Promise<ObservedServer | null>;
  /** Things of this part's kinds on the host that the spec does not name, and that are kept. */
  orphans?(spec: Spec): Promise<readonly Orphan[]>;
  /** Removes one of them, which an operator has named; throws OrphanRefused when it is in use. */
  removeOrphan?(orphan: Orphan): Promise<void>;
  /** Ends everything that runs, since the host has been removed from its cloud; keeps all data. Gives the names of what ended. */
  letGo?(): Promise<readonly string[]>;
  /**
   * Begins to watch the host; calls back with objects that may no longer match their spec, or that have news to report. `suspect`
   * says that something of this part's was changed by others: it has to be observed as a whole.
   */
  watch?(changed: (keys: readonly ObjectKey[]) => void, suspect?: () => void): void;
  /** What is due now and then (pruning caches, refreshing what is only read), at the end of each full sync. */
  housekeeping?(spec: Spec): Promise<void>;
  close?(): Promise<void>;
}
