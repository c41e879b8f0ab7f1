import type { Logger } from '../../src/protocol/log.js';
import type { ImageRef } from '../../src/protocol/objects.js';
import type { Host } from '../host/host.js';
import { HintedError } from './object-error.js';
import { imageFile } from './paths.js';
import { type ImageFormat, inspect, refuseReferences } from './qemu-img.js';
import { failOnStall } from './stall-guard.js';

export interface ImageCacheOptions {
  readonly host: Host;
  readonly stateDir: string;
  /** Opens the image's bytes, as the controller has them. */
  readonly fetchImage: (imageId: string) => Promise<NodeJS.ReadableStream>;
  /** How long a transfer may bring nothing before it is given up. */
  readonly stallMs?: number;
  readonly log: Logger;
}

const STALL_MS = 60_000;

/** A base file that is complete, verified and read-only. */
export interface BaseImage {
  readonly path: string;
  readonly format: ImageFormat;
  readonly virtualSize: number;
}

/** What was verified when the file came, kept beside it; present before the base itself gets its name. */
export interface ImageNote {
  readonly sha512: string;
  readonly size: number;
  readonly format: ImageFormat;
  readonly virtual_size: number;
}

/** Path of the note beside a base file. */
export function noteFile(stateDir: string, imageId: string): string {
  return `${imageFile(stateDir, imageId)}.json`;
}

/**
 * The base files of a host's disks. A base gets its name only after size, checksum and format were verified, has mode
 * 0444 from then on and is never written again: overlays depend on every byte of it.
 */
export class ImageCache {
  readonly #options: ImageCacheOptions;
  readonly #downloads = new Map<string, Promise<BaseImage>>();
  readonly #known = new Map<string, BaseImage & { readonly sha512: string }>();

  constructor(options: ImageCacheOptions) {
    this.#options = options;
  }

  /** The base file of an image; fetched when it is not there, once however many ask at the same time. */
  async ensure(image: ImageRef): Promise<BaseImage> {
    const present = await this.find(image);
    if (present) return present;
    const running = this.#downloads.get(image.id);
    if (running) return running;
    const download = this.#download(image).finally(() => this.#downloads.delete(image.id));
    this.#downloads.set(image.id, download);
    return download;
  }

  /** The base file if it is here. Throws when a file of that id is here but is not that image. */
  async find(image: ImageRef): Promise<BaseImage | null> {
    const { host, stateDir } = this.#options;
    const path = imageFile(stateDir, image.id);
    const found = await host.stat(path);
    if (!found) {
      this.#known.delete(image.id);
      return null;
    }
    let known = this.#known.get(image.id);
    if (!known) {
      const note = JSON.parse(await host.readFile(noteFile(stateDir, image.id))) as ImageNote;
      known = { path, format: note.format, virtualSize: note.virtual_size, sha512: note.sha512 };
    }
    if (known.sha512 !== image.sha512 || found.size !== image.size) {
      throw new HintedError(
        `${path} has ${found.size} bytes and SHA-512 ${known.sha512.slice(0, 16)}…, image ${image.id} has ${image.size} and ${image.sha512.slice(0, 16)}…`,
        'the cached file was changed or belongs to another image: move it away when no disk of this host is based on it',
      );
    }
    this.#known.set(image.id, known);
    return known;
  }

  /** Forgets what is remembered of a file that was removed. */
  forget(imageId: string): void {
    this.#known.delete(imageId);
  }

  async #download(image: ImageRef): Promise<BaseImage> {
    const { host, stateDir, log } = this.#options;
    const path = imageFile(stateDir, image.id);
    const part = `${path}.part`;
    const format: ImageFormat = image.disk_format === 'qcow2' ? 'qcow2' : 'raw';
    await host.makeDirectory(`${stateDir}/images`, 0o711);
    const started = host.now().getTime();
    try {
      // what a crash left half-made is of no use: a new download starts at the first byte
      await host.removeFile(part);
      const source = failOnStall(await this.#options.fetchImage(image.id), this.#options.stallMs ?? STALL_MS);
      const written = await host.writeStream(part, source, 0o444);
      verify(image, written);
      const info = await inspect(host, part, format);
      refuseReferences(info, `image ${image.id}`);
      const note: ImageNote = {
        sha512: written.sha512,
        size: written.size,
        format,
        virtual_size: info.virtualSize,
      };
      await host.writeFile(noteFile(stateDir, image.id), `${JSON.stringify(note)}\n`, 0o644);
      await host.rename(part, path);
      log.info('image cached', { image: image.id, bytes: written.size, ms: host.now().getTime() - started });
      return { path, format, virtualSize: info.virtualSize };
    } catch (error) {
      await host.removeFile(part).catch(() => {});
      throw error;
    }
  }
}

function verify(image: ImageRef, written: { readonly size: number; readonly sha512: string }): void {
  if (written.size !== image.size) {
    throw new HintedError(
      `image ${image.id}: ${written.size} of ${image.size} bytes arrived`,
      'it is fetched again with the next attempt; if it stays, look at the controller’s image file',
    );
  }
  if (written.sha512 !== image.sha512) {
    throw new HintedError(
      `image ${image.id}: SHA-512 is ${written.sha512}, expected ${image.sha512}`,
      'the controller’s image file or the transfer is damaged: compare `sha512sum` of the image file with the image’s os_hash_value',
    );
  }
}
