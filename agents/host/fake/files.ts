import { createHash } from 'node:crypto';
import { posix } from 'node:path';

/** Bytes of a file that are kept; images are larger, and only their head is ever looked at. */
const KEPT_BYTES = 1024 * 1024;

export interface FakeFile {
  content: Buffer;
  size: number;
  mode: number;
  mtimeMs: number;
  readonly ino: number;
  /** What qemu-img made of it. */
  disk?: { format: string; virtualSize: number; backing: string | null };
}

/** A file system in memory: files by path, and directories. */
export class FakeFiles {
  readonly #files = new Map<string, FakeFile>();
  readonly #directories = new Set<string>(['/', '/proc', '/run', '/run/netns']);
  readonly #watchers = new Set<{ readonly directory: string; readonly onChange: (name: string) => void }>();
  #lastInode = 1;

  /** Calls back, a little later, with the names that change in a directory. */
  watch(directory: string, onChange: (name: string) => void): { close(): void } {
    const watcher = { directory: posix.normalize(directory), onChange };
    this.#watchers.add(watcher);
    return { close: () => void this.#watchers.delete(watcher) };
  }

  #tell(path: string): void {
    const directory = posix.dirname(path);
    for (const watcher of this.#watchers) {
      if (watcher.directory !== directory) continue;
      setImmediate(() => this.#watchers.has(watcher) && watcher.onChange(posix.basename(path)));
    }
  }

  get(path: string): FakeFile | undefined {
    return this.#files.get(posix.normalize(path));
  }

  isDirectory(path: string): boolean {
    return this.#directories.has(posix.normalize(path));
  }

  write(path: string, content: string | Uint8Array, mode: number): FakeFile {
    const bytes = Buffer.from(content as string);
    const file: FakeFile = {
      content: bytes,
      size: bytes.length,
      mode,
      mtimeMs: Date.now(),
      ino: ++this.#lastInode,
    };
    this.#files.set(posix.normalize(path), file);
    this.makeDirectory(posix.dirname(posix.normalize(path)));
    this.#tell(posix.normalize(path));
    return file;
  }

  /** Keeps the head of the stream, its size and its checksum. */
  async writeStream(
    path: string,
    source: NodeJS.ReadableStream,
    mode: number,
  ): Promise<{ size: number; sha512: string }> {
    const hash = createHash('sha512');
    const head: Buffer[] = [];
    let kept = 0;
    let size = 0;
    for await (const piece of source) {
      const chunk = Buffer.from(piece as Uint8Array);
      hash.update(chunk);
      size += chunk.length;
      if (kept < KEPT_BYTES) {
        head.push(chunk.subarray(0, KEPT_BYTES - kept));
        kept += chunk.length;
      }
    }
    this.write(path, Buffer.concat(head), mode).size = size;
    return { size, sha512: hash.digest('hex') };
  }

  remove(path: string): void {
    if (this.#files.delete(posix.normalize(path))) this.#tell(posix.normalize(path));
  }

  removeTree(path: string): void {
    const root = posix.normalize(path);
    this.#files.delete(root);
    for (const name of this.#files.keys()) if (name.startsWith(`${root}/`)) this.#files.delete(name);
    this.#directories.delete(root);
    for (const name of this.#directories) if (name.startsWith(`${root}/`)) this.#directories.delete(name);
  }

  makeDirectory(path: string): void {
    for (let at = posix.normalize(path); at !== '/' && at !== '.'; at = posix.dirname(at))
      this.#directories.add(at);
  }

  list(path: string): string[] {
    const prefix = `${posix.normalize(path)}/`;
    const names = new Set<string>();
    for (const name of [...this.#files.keys(), ...this.#directories]) {
      if (name.startsWith(prefix)) names.add(name.slice(prefix.length).split('/')[0] ?? '');
    }
    return [...names].sort();
  }

  rename(from: string, to: string): void {
    const [source, target] = [posix.normalize(from), posix.normalize(to)];
    const file = this.#files.get(source);
    if (file) {
      this.#files.delete(source);
      this.#files.set(target, file);
      this.makeDirectory(posix.dirname(target));
      return;
    }
    if (!this.#directories.has(source)) throw absent('rename', from);
    for (const [name, inside] of [...this.#files]) {
      if (!name.startsWith(`${source}/`)) continue;
      this.#files.delete(name);
      this.#files.set(target + name.slice(source.length), inside);
    }
    for (const name of [...this.#directories]) {
      if (name !== source && !name.startsWith(`${source}/`)) continue;
      this.#directories.delete(name);
      this.#directories.add(target + name.slice(source.length));
    }
  }

  /** Paths of all files, for comparing inventories. */
  paths(): string[] {
    return [...this.#files.keys()].sort();
  }
}

/** The error that node:fs gives for a file that is not there. */
export function absent(call: string, path: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`ENOENT: no such file or directory, ${call} '${path}'`), { code: 'ENOENT' });
}
