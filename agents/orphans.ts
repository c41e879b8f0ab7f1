import type { OrphanRemoval } from '../src/protocol/messages.js';
import type { Spec } from '../src/protocol/objects.js';
import type { Orphan, Part } from './part.js';
import type { HeldSpec } from './spec-store.js';

/** An orphan that is not removed, and why. */
export class OrphanRefused extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'OrphanRefused';
  }
}

/** Kinds of things that hold what cannot be made again. */
const DATA_KINDS: ReadonlySet<string> = new Set(['domain', 'server-disks', 'volume-file']);

/** Everything of ours on the host that the spec does not name. */
export async function listOrphans(parts: readonly Part[], spec: Spec): Promise<readonly Orphan[]> {
  return (await Promise.all(parts.map((part) => part.orphans?.(spec) ?? []))).flat();
}

/**
 * Removes one thing that an operator named, after looking again that it is there and that no object names it. Throws OrphanRefused
 * when it is not so, when it holds data and `destroy_data` is not set, while the host holds no spec or only observes, or when the
 * spec changes meanwhile. `held` gives the spec that holds now.
 */
export async function removeOrphan(
  parts: readonly Part[],
  held: () => Pick<HeldSpec, 'incarnation' | 'spec' | 'settings'>,
  { kind, name, destroy_data }: OrphanRemoval,
): Promise<Orphan> {
  const { incarnation, spec, settings } = held();
  // without a spec everything of ours would count as left over
  if (incarnation === null) {
    throw new OrphanRefused(
      'this host holds no spec, so nothing is known to be left over; try again once it has one from the controller',
    );
  }
  if (settings.observe_only) {
    throw new OrphanRefused(
      'this host only observes; accept it first (maru incarnation accept), then remove what is left over',
    );
  }
  for (const part of parts) {
    const found = (await part.orphans?.(spec))?.find((one) => one.kind === kind && one.name === name);
    if (!found) continue;
    if (DATA_KINDS.has(kind) && !destroy_data) {
      throw new OrphanRefused(
        `${kind} ${name} holds data (${found.detail}): to destroy it for good, say so (--destroy-data)`,
      );
    }
    if (!part.removeOrphan) throw new OrphanRefused(`the ${part.name} part cannot remove ${kind} ${name}`);
    const now = held();
    if (now.incarnation !== incarnation || now.spec !== spec || now.settings.observe_only) {
      throw new OrphanRefused(
        `what this host is to have changed while ${kind} ${name} was looked at; look at the list again (maru cleanup)`,
      );
    }
    await part.removeOrphan(found);
    return found;
  }
  throw new OrphanRefused(
    `there is no ${kind} ${name} on this host that no object names; look at the list again (maru cleanup)`,
  );
}
