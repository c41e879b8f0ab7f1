import { runBatch } from '../batch.js';
import type { NetworkContext } from '../config.js';
import type { Failures } from '../model.js';
import type { LinkChange, LinksDiff } from './diff.js';
import type { LinksObserved } from './model.js';

/** Makes and changes devices: one `ip -batch`. Calls back for namespace ends that are new. Returns false if a line failed. */
export async function applyLinks(
  { host }: NetworkContext,
  changes: readonly LinkChange[],
  observed: LinksObserved,
  failures: Failures,
  onNewPeer: (peer: NonNullable<LinkChange['newPeer']>) => void,
): Promise<boolean> {
  const lines = changes.flatMap((change) => change.lines);
  const failed = await runBatch(host, 'ip', lines, failures);
  let first = 0;
  let clean = true;
  for (const change of changes) {
    const broken = change.lines.some((line, index) => failed.has(first + index) && !line.optional);
    first += change.lines.length;
    if (broken) {
      clean = false;
      continue;
    }
    forgetEntries(observed, change);
    if (change.after) observed.links.set(change.name, change.after);
    else observed.links.delete(change.name);
    if (change.newPeer) onNewPeer(change.newPeer);
  }
  return clean;
}

/** Sets and removes static forwarding entries: one `bridge -batch`. Returns false if a line failed. */
export async function applyFdb(
  { host }: NetworkContext,
  changes: LinksDiff['fdb'],
  observed: LinksObserved,
  failures: Failures,
): Promise<boolean> {
  const wanted = changes.filter(({ line }) => !failures.blocks(line.object));
  const failed = await runBatch(
    host,
    'bridge',
    wanted.map(({ line }) => line),
    failures,
  );
  wanted.forEach(({ key, entry }, index) => {
    if (failed.has(index)) return;
    if (entry) observed.fdb.set(key, entry);
    else observed.fdb.delete(key);
  });
  return failed.size === 0;
}

function forgetEntries(observed: LinksObserved, change: LinkChange): void {
  const before = observed.links.get(change.name);
  if (change.after && before?.master === change.after.master) return;
  for (const [key, entry] of observed.fdb) if (entry.dev === change.name) observed.fdb.delete(key);
}
