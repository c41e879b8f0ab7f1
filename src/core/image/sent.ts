import type { Readable } from 'node:stream';

/**
 * The body of a request that may be refused before all of it has come. Whoever iterates over it and stops leaves the connection as it
 * is; `drain` takes the rest, without which the client never gets to the answer, nor to its next request on that connection.
 */
export class SentBytes implements AsyncIterable<Buffer> {
  readonly #chunks: AsyncIterator<Buffer>;

  constructor(body: Readable) {
    this.#chunks = body.iterator({ destroyOnReturn: false }) as AsyncIterator<Buffer>;
  }

  [Symbol.asyncIterator](): AsyncIterator<Buffer> {
    return { next: () => this.#chunks.next() };
  }

  /** Reads to the end and forgets what it reads. Never rejects: a client that goes away wants no answer. */
  async drain(): Promise<void> {
    try {
      while (!(await this.#chunks.next()).done);
    } catch {
      // said by whoever reads it for its sake
    }
  }
}
