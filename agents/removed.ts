import type { Logger } from '../src/protocol/log.js';
import type { Part } from './part.js';
import type { Reconciler } from './reconciler.js';
import type { SpecStore, StateFiles } from './spec-store.js';

export interface RemovedOptions {
  readonly files: StateFiles;
  readonly stateDir: string;
  readonly specs: Pick<SpecStore, 'forget'>;
  readonly reconciler: Pick<Reconciler, 'fullSync'>;
  readonly parts: readonly Part[];
  readonly log: Logger;
}

/**
 * Lets go of everything, once: the controller has removed this host, so that its guests, routers and addresses may exist elsewhere.
 * Guests are ended as by pulling the plug, the network is taken down; disks and definitions stay for whoever needs them. What
 * an operator starts by hand afterwards is left alone.
 */
export async function letGo(options: RemovedOptions, reason: string): Promise<void> {
  const { files, specs, reconciler, parts, log } = options;
  const marker = removedMarker(options.stateDir);
  if ((await files.readFileIfExists(marker)) !== null) return;
  log.error('this host was removed from its cloud: its guests end, its disks are kept', { reason });
  // without a spec nothing is brought back, also not after a restart in the middle of this
  await specs.forget();
  const ended = new Set<string>();
  // the first round may meet a guest that is just being started
  for (let round = 0; round < 2; round++) {
    for (const part of parts) for (const name of (await part.letGo?.()) ?? []) ended.add(name);
    await reconciler.fullSync();
  }
  const at = new Date().toISOString();
  await files.writeFile(marker, `${JSON.stringify({ at, reason, ended: [...ended] }, null, 1)}\n`, 0o600);
  log.error('this host runs nothing any more', { ended: [...ended], reason });
}

/** Says that this host has let go of what it had; a new join takes it away. */
export function removedMarker(stateDir: string): string {
  return `${stateDir}/removed.json`;
}
