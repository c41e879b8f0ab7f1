import type { PlanStep } from '../../src/protocol/messages.js';
import type { ObjectKey } from '../../src/protocol/objects.js';
import { Poller } from '../drift/poller.js';
import type { Host } from '../host/host.js';
import type { MissingDisk } from './server-disks.js';

/** Of all files that a guest writes to: nobody but root and QEMU's user, who gets them by ownership, may read them. */
export const DISK_MODE = 0o600;
const POLL_MS = 1_500;

/** What is wrong with files that had been made. */
export interface DiskDrift {
  readonly steps: readonly PlanStep[];
  /** Files whose content is gone for good. */
  readonly lost: readonly MissingDisk[];
  /** Files that another mode was given. */
  readonly opened: readonly string[];
}

/** Compares files that were made and used with what is there now. */
export async function diskDrift(
  host: Host,
  key: ObjectKey,
  files: readonly MissingDisk[],
): Promise<DiskDrift> {
  const steps: PlanStep[] = [];
  const lost: MissingDisk[] = [];
  const opened: string[] = [];
  for (const file of files) {
    const found = await host.stat(file.path);
    if (!found && file.holdsData) {
      lost.push(file);
      const detail = `${file.what} is gone: ${file.path}; its data cannot be brought back from here`;
      steps.push({ object: key, action: 'restore the file', detail });
    } else if (!found) {
      steps.push({
        object: key,
        action: `create ${file.what}`,
        detail: `${file.what} was missing: ${file.path}`,
      });
    } else if (file.path.includes('/images/')) {
      // base images are shared, and read-only to everybody
    } else if (found.mode !== DISK_MODE) {
      opened.push(file.path);
      const modes = `${octal(found.mode)}, not ${octal(DISK_MODE)}`;
      steps.push({ object: key, action: 'chmod', detail: `${file.what} has mode ${modes}: ${file.path}` });
    }
  }
  return { steps, lost, opened };
}

/** Looks now and then whether files are still as they were at the last apply: a guest's writes would drown inotify. */
export class FileWatch {
  readonly #host: Host;
  readonly #files = new Map<ObjectKey, ReadonlyMap<string, number | null>>();
  #poller: Poller | null = null;

  constructor(host: Host) {
    this.#host = host;
  }

  start(changed: (keys: readonly ObjectKey[]) => void): void {
    this.#poller = new Poller(POLL_MS, async () => {
      let looked = 0;
      for (const [key, files] of [...this.#files]) {
        for (const [path, mode] of files) {
          looked++;
          if ((await this.#modeOf(path)) === mode) continue;
          // said once: the apply that follows notes what is there then
          if (this.#files.get(key) === files) this.#files.delete(key);
          changed([key]);
          break;
        }
      }
      return looked;
    });
  }

  /** Notes how an object's files are now; an empty list forgets it. */
  async note(key: ObjectKey, paths: readonly string[]): Promise<void> {
    if (!this.#poller) return;
    const files = new Map<string, number | null>();
    for (const path of paths) files.set(path, await this.#modeOf(path));
    if (files.size > 0) this.#files.set(key, files);
    else this.#files.delete(key);
  }

  close(): void {
    this.#poller?.close();
    this.#poller = null;
    this.#files.clear();
  }

  async #modeOf(path: string): Promise<number | null> {
    return (await this.#host.stat(path))?.mode ?? null;
  }
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}
