import { PeerClient } from '../protocol/peer-client.js';
import type { Authorities } from './authorities.js';

/** What the controller shows to agents, and serves its agent listener with. */
export interface ControllerCredentials {
  readonly key: string;
  /** The certificate followed by its authority's, which joining agents look at. */
  readonly cert: string;
  /** All authorities whose certificates are accepted. */
  readonly ca: string;
}

/** Issues a new pair; the controller's key lives in memory only. */
export async function controllerCredentials(
  authorities: Authorities,
  names: readonly string[],
): Promise<ControllerCredentials> {
  const { key, pem } = await authorities.presenting.issuePair('controller', names);
  return { key, cert: `${pem.trim()}\n${authorities.presenting.pem}`, ca: authorities.bundle };
}

/** One client, with its kept-alive connections, for each host. */
export class AgentClients {
  readonly #clients = new Map<string, PeerClient>();
  #credentials: ControllerCredentials;

  constructor(credentials: ControllerCredentials) {
    this.#credentials = credentials;
  }

  for(host: { readonly id: string; readonly name: string; readonly agent_url: string }): PeerClient {
    const known = this.#clients.get(host.id);
    if (known && known.url === host.agent_url.replace(/\/$/, '') && known.peerName === host.name)
      return known;
    known?.close();
    const client = new PeerClient(host.agent_url, host.name, this.#credentials);
    this.#clients.set(host.id, client);
    return client;
  }

  /** Connections made from now on use these; the present ones end. */
  use(credentials: ControllerCredentials): void {
    this.#credentials = credentials;
    this.close();
  }

  forget(hostId: string): void {
    this.#clients.get(hostId)?.close();
    this.#clients.delete(hostId);
  }

  close(): void {
    for (const client of this.#clients.values()) client.close();
    this.#clients.clear();
  }
}
