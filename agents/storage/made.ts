import type { ObjectKey } from '../../src/protocol/objects.js';
import type { Host } from '../host/host.js';

/**
 * Which servers and volumes have had their files made on this host. Kept apart from those files, one small file per object: a
 * file system that is not mounted, or a directory that was removed, does not make them look new.
 */
export class MadeMarks {
  readonly #host: Host;
  readonly #directory: string;
  /** Names of the marks; read once, since nobody else writes them. */
  #known: Promise<Set<string>> | null = null;

  constructor(host: Host, stateDir: string) {
    this.#host = host;
    this.#directory = `${stateDir}/made`;
  }

  /** True when the object's files were all made once: what is missing of them now was lost. */
  async has(key: ObjectKey): Promise<boolean> {
    return (await this.#names()).has(nameOf(key));
  }

  /** Notes that all files of an object exist; it is on the disk when this resolves. */
  async add(key: ObjectKey): Promise<void> {
    const names = await this.#names();
    if (names.has(nameOf(key))) return;
    await this.#host.makeDirectory(this.#directory, 0o700);
    await this.#host.writeFile(`${this.#directory}/${nameOf(key)}`, `${key}\n`, 0o600);
    names.add(nameOf(key));
  }

  /** Forgets an object whose files were destroyed on purpose. */
  async remove(key: ObjectKey): Promise<void> {
    const names = await this.#names();
    if (!names.has(nameOf(key))) return;
    await this.#host.removeFile(`${this.#directory}/${nameOf(key)}`);
    names.delete(nameOf(key));
  }

  async #names(): Promise<Set<string>> {
    this.#known ??= this.#host.listDirectory(this.#directory).then((names) => new Set(names));
    try {
      return await this.#known;
    } catch (error) {
      // not knowing is no reason to make anything: whoever asked fails, and asks again
      this.#known = null;
      throw error;
    }
  }
}

function nameOf(key: ObjectKey): string {
  return key.replace('/', '-');
}
