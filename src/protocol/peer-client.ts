import type { IncomingMessage } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import type { PeerCertificate } from 'node:tls';
import { parseSecretJson } from './secret-text.js';

/** PEM texts that prove who this side is; without key and certificate only joining is possible. */
export interface PeerCredentials {
  readonly ca: string;
  readonly key?: string;
  readonly cert?: string;
}

export interface PeerReply<T> {
  readonly status: number;
  readonly body: T;
}

/** The other side could not be reached, or broke off; the message says which and why. */
export class PeerUnreachable extends Error {
  constructor(message: string, cause: unknown) {
    super(message, { cause });
    this.name = 'PeerUnreachable';
  }
}

/**
 * JSON over kept-alive HTTPS connections to one peer. The peer's certificate must come from our authority and carry the
 * peer's name (`controller` or the host's); its address does not matter, so hosts may change theirs.
 */
export class PeerClient {
  readonly url: string;
  readonly peerName: string;
  readonly #agent: Agent;

  constructor(url: string, peerName: string, credentials: PeerCredentials) {
    this.url = url.replace(/\/$/, '');
    this.peerName = peerName;
    this.#agent = new Agent({
      ...credentials,
      keepAlive: true,
      maxFreeSockets: 4,
      minVersion: 'TLSv1.3',
      checkServerIdentity: (_host: string, certificate: PeerCertificate) =>
        certificate.subject.CN === peerName
          ? undefined
          : new Error(`the certificate is that of '${certificate.subject.CN}', not of '${peerName}'`),
    });
  }

  /** Any status resolves; PeerUnreachable when there is none. Requests must be safe to repeat. */
  async request<T>(
    method: 'GET' | 'POST' | 'DELETE',
    path: string,
    body?: unknown,
    timeoutMs = 10_000,
  ): Promise<PeerReply<T>> {
    const payload = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const signal = AbortSignal.timeout(timeoutMs);
    try {
      const response = await this.#send(method, path, payload, signal);
      const chunks: Buffer[] = [];
      for await (const chunk of response) chunks.push(chunk as Buffer);
      const text = Buffer.concat(chunks).toString('utf8');
      return { status: response.statusCode ?? 0, body: (text ? parseSecretJson<T>(text) : null) as T };
    } catch (error) {
      const reason = signal.aborted ? `no answer within ${timeoutMs} ms` : reasonOf(error as Error);
      throw new PeerUnreachable(`${this.peerName} at ${this.url}: ${method} ${path}: ${reason}`, error);
    }
  }

  /** The reply as a stream, for downloads. */
  async stream(path: string, signal?: AbortSignal): Promise<IncomingMessage> {
    try {
      return await this.#send('GET', path, undefined, signal);
    } catch (error) {
      throw new PeerUnreachable(
        `${this.peerName} at ${this.url}: GET ${path}: ${(error as Error).message}`,
        error,
      );
    }
  }

  close(): void {
    this.#agent.destroy();
  }

  #send(
    method: string,
    path: string,
    payload: Buffer | undefined,
    signal: AbortSignal | undefined,
    repeated = false,
  ): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const headers = payload ? { 'content-type': 'application/json', 'content-length': payload.length } : {};
      const request = httpsRequest(`${this.url}${path}`, { method, agent: this.#agent, headers, signal });
      request.on('response', resolve);
      request.on('error', (error) => {
        // the peer may close an idle connection at the moment we use it again: that says nothing about the peer
        const code = (error as NodeJS.ErrnoException).code;
        if (request.reusedSocket && !repeated && (code === 'ECONNRESET' || code === 'EPIPE')) {
          this.#send(method, path, payload, signal, true).then(resolve, reject);
        } else {
          reject(error);
        }
      });
      request.end(payload);
    });
  }
}

function reasonOf(error: NodeJS.ErrnoException): string {
  const byClock = error.code === 'CERT_HAS_EXPIRED' || error.code === 'CERT_NOT_YET_VALID';
  return byClock
    ? `${error.message} by this machine's clock, which says ${new Date().toISOString()}`
    : error.message;
}
