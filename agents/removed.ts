import type { Logger } from '../src/protocol/log.js';
import type { Part } from './part.js';
import type { Reconciler } from './reconciler.js';
import type { SpecStore, StateFiles } from './spec-store.js';

export interface RemovedOptions {
  readonly files: StateFiles;
  readonly stateDir: string;
  readonly specs: Pick<SpecStore, 'forget'>;
  readonly reconciler: Pick<Reconciler, 'fullSync' | 'idle' | 'failedParts'>;
  readonly parts: readonly Part[];
  readonly log: Logger;
}

/**
 * Lets go of everything, once: the controller has removed this host, so that its guests, routers and addresses may exist elsewhere.
 * Guests are ended as by pulling the plug, the network is taken down; disks and definitions stay for whoever needs them. What
 * an operator starts by hand afterwards is left alone. What fails keeps nothing else up: it is thrown at the end, and is to be
 * tried again.
 */
export async function letGo(options: RemovedOptions, reason: string): Promise<void> {
  const { files, specs, reconciler, parts, log } = options;
  const marker = removedMarker(options.stateDir);
  if ((await files.readFileIfExists(marker)) !== null) return;
  log.error('this host was removed from its cloud: its guests end, its disks are kept', { reason });
  // without a spec nothing is brought back, also not after a restart in the middle of this
  const unforgotten = await failureOf(() => specs.forget());
  const ended = new Set<string>();
  let failures: (Error | null)[] = [];
  // the first round may meet a guest that is just being started: all that is under way ends before the second one
  for (let round = 0; round < 2; round++) {
    failures = [unforgotten];
    for (const part of parts) {
      failures.push(
        await failureOf(async () => {
          for (const name of (await part.letGo?.()) ?? []) ended.add(name);
        }),
      );
    }
    failures.push(await failureOf(() => reconciler.fullSync()));
    failures.push(...reconciler.failedParts.map((name) => new Error(`the ${name} part failed`)));
    failures.push(await failureOf(() => reconciler.idle()));
  }
  const failed = failures.filter((failure) => failure !== null);
  if (failed.length > 0) {
    throw new Error(failed.map(({ message }) => message).join('; '), { cause: failed[0] });
  }
  const at = new Date().toISOString();
  await files.writeFile(marker, `${JSON.stringify({ at, reason, ended: [...ended] }, null, 1)}\n`, 0o600);
  log.error('this host runs nothing any more', { ended: [...ended], reason });
}

async function failureOf(job: () => Promise<void>): Promise<Error | null> {
  try {
    await job();
    return null;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** Says that this host has let go of what it had; a new join takes it away. */
export function removedMarker(stateDir: string): string {
  return `${stateDir}/removed.json`;
}
