import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type {
  Heartbeat,
  HeartbeatReply,
  MessageOrder,
  ObjectReport,
  RemovedReply,
  ReportPush,
} from '../../src/protocol/messages.js';
import { PROTOCOL_VERSION } from '../../src/protocol/messages.js';
import { PeerClient, PeerUnreachable } from '../../src/protocol/peer-client.js';
import type { Identity } from './identity.js';

/** The controller has removed this host from its cloud; the message is the controller's. */
export class RemovedFromCloud extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'RemovedFromCloud';
  }
}

/** What the agent says to and asks of the controller. */
export class Controller {
  #client: PeerClient;
  readonly #run = randomUUID();
  #number = 0;

  constructor(identity: Identity) {
    this.#client = clientOf(identity);
  }

  /** The connection itself, for renewing the certificate. */
  get client(): PeerClient {
    return this.#client;
  }

  /** Speaks under another certificate from now on. */
  use(identity: Identity): void {
    const before = this.#client;
    this.#client = clientOf(identity);
    before.close();
  }

  async heartbeat(beat: Heartbeat): Promise<HeartbeatReply> {
    return await this.#post<HeartbeatReply>('/agent/v1/heartbeat', { ...beat, order: this.#order() });
  }

  async report(reports: readonly ObjectReport[]): Promise<void> {
    const push: ReportPush = { protocol: PROTOCOL_VERSION, order: this.#order(), reports };
    await this.#post('/agent/v1/reports', push);
  }

  /** The bytes of an image that this host's spec names. */
  async image(id: string): Promise<IncomingMessage> {
    const response = await this.#client.stream(`/agent/v1/images/${encodeURIComponent(id)}`);
    if (response.statusCode === 200) return response;
    response.resume();
    throw new Error(
      `the controller at ${this.#client.url} does not give image ${id}: status ${response.statusCode}`,
    );
  }

  close(): void {
    this.#client.close();
  }

  #order(): MessageOrder {
    return { run: this.#run, number: ++this.#number };
  }

  async #post<T>(path: string, body: unknown): Promise<T> {
    const reply = await this.#client.request<T>('POST', path, body);
    if (reply.status === 200) return reply.body;
    const refusal = reply.body as Partial<RemovedReply> | null;
    if (reply.status === 410 && refusal?.removed) throw new RemovedFromCloud(refusal.message ?? 'removed');
    const reason = (reply.body as { message?: string } | null)?.message ?? `status ${reply.status}`;
    throw new PeerUnreachable(`controller at ${this.#client.url}: ${path}: ${reason}`, null);
  }
}

function clientOf(identity: Identity): PeerClient {
  return new PeerClient(identity.controller, 'controller', {
    ca: identity.ca,
    key: identity.key,
    cert: identity.certificate,
  });
}
