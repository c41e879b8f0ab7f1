import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, type ReadStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { MaruError } from '../errors.js';
import { INSPECTED_BYTES, type Inspection, inspectImage } from './inspect.js';

/** What an upload turned out to be. */
export interface StoredFile {
  readonly size: number;
  readonly md5: string;
  readonly sha512: string;
  readonly inspection: Inspection;
}

/** What nothing was written to for so long is nobody's. */
const STALE_PART_MS = 24 * 3600 * 1000;

/**
 * The directory of image files: one file per image, under the name that its row has (the image's id and its upload's). Bytes stream through; a file appears under its
 * name only when it is complete and synced.
 */
export class ImageFiles {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Makes the directory and removes what uploads left that were cut off long ago. */
  async prepare(): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o750 });
    for (const name of await readdir(this.#directory)) {
      if (!name.endsWith('.part')) continue;
      const found = await stat(this.#path(name)).catch(() => null);
      // another controller may be receiving a younger one
      if (found && Date.now() - found.mtimeMs > STALE_PART_MS) await rm(this.#path(name), { force: true });
    }
  }

  /** Writes a file, whose name nobody else may use; rejects with 413 past `maxBytes`, 507-like text when the disk is full; nothing stays then. */
  async write(name: string, source: Readable, maxBytes: number): Promise<StoredFile> {
    const part = this.#path(`${name}.part`);
    const meter = new Meter(maxBytes);
    try {
      await pipeline(source, meter, createWriteStream(part, { mode: 0o640, flush: true }));
      await rename(part, this.#path(name));
      await syncDirectory(this.#directory);
    } catch (error) {
      await rm(part, { force: true });
      if ((error as NodeJS.ErrnoException).code === 'ENOSPC') {
        throw new MaruError(
          'too-large',
          `There is not enough space on the image store (${this.#directory}).`,
        );
      }
      throw error;
    }
    return meter.result();
  }

  /** The bytes of an image, or a part of them; 404 when it has no file, or that is not there. */
  async open(
    image: { readonly id: string; readonly file_name: string | null },
    range?: { start: number; end: number },
  ): Promise<{ stream: ReadStream; size: number }> {
    const path = image.file_name === null ? null : this.#path(image.file_name);
    const found = path && (await stat(path).catch(() => null));
    if (!found) throw new MaruError('not-found', `Image ${image.id} has no data on this controller.`);
    return {
      stream: createReadStream(path, { ...range, highWaterMark: 1024 * 1024 }),
      size: found.size,
    };
  }

  /** Removes a file, whole or half. */
  async remove(name: string): Promise<void> {
    await rm(this.#path(`${name}.part`), { force: true });
    await rm(this.#path(name), { force: true });
  }

  #path(name: string): string {
    return join(this.#directory, name);
  }
}

/** Counts, hashes and keeps the head of what passes. */
class Meter extends Transform {
  readonly #max: number;
  readonly #md5 = createHash('md5');
  readonly #sha512 = createHash('sha512');
  readonly #head: Buffer[] = [];
  #headBytes = 0;
  #size = 0;

  constructor(max: number) {
    super();
    this.#max = max;
  }

  override _transform(
    chunk: Buffer,
    _encoding: BufferEncoding,
    done: (error?: Error | null, data?: Buffer) => void,
  ) {
    this.#size += chunk.length;
    if (this.#size > this.#max) {
      done(new MaruError('too-large', `Image exceeds the limit of ${this.#max} bytes.`));
      return;
    }
    this.#md5.update(chunk);
    this.#sha512.update(chunk);
    if (this.#headBytes < INSPECTED_BYTES) {
      const part = chunk.subarray(0, INSPECTED_BYTES - this.#headBytes);
      this.#head.push(Buffer.from(part));
      this.#headBytes += part.length;
    }
    done(null, chunk);
  }

  result(): StoredFile {
    return {
      size: this.#size,
      md5: this.#md5.digest('hex'),
      sha512: this.#sha512.digest('hex'),
      inspection: inspectImage(Buffer.concat(this.#head)),
    };
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
