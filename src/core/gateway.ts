import type { Plan } from '../protocol/messages.js';

export interface JoinTokenRequest {
  /** Only a host of this name may use the token; needed to let a known host join again. null: any new host. */
  readonly hostName: string | null;
  readonly ttlSeconds: number;
  /** URL of the agent listener to put into the token; without it the agent's configuration has to say. */
  readonly url?: string;
}

/**
 * What core and the admin API ask of and about hosts directly. Implemented by src/hosts; questions to a host reject with MaruError `unavailable`
 * when it does not answer.
 */
export interface HostGateway {
  /** The last `length` lines of a server's serial console (all when null). */
  consoleOutput(hostId: string, serverId: string, length: number | null): Promise<string>;
  /** What apply would do on the host now. */
  plan(hostId: string): Promise<Plan>;
  /** True when the host was heard of within `host_down_after`. */
  isUp(hostId: string): boolean;
  /** True when the host was silent for `host_down_after`; not the opposite of isUp right after a start. */
  isDown(hostId: string): boolean;
  /** Milliseconds since the host was last heard of; null when it was not in this process's life. */
  silence(hostId: string): number | null;
  /** Why the host's spec could not be delivered at the last attempt; null when it was. */
  deliveryFault(hostId: string): string | null;
  /** Lets the next push destroy more guests than the agent's max_removal_share allows. */
  confirmRemoval(hostId: string): void;
  /** A one-time token with which a host joins. */
  createJoinToken(
    request: JoinTokenRequest,
  ): Promise<{ readonly token: string; readonly expires_at: string }>;
  /** Forgets a host and ends its right to connect. The caller makes sure that nothing runs on it. */
  removeHost(hostId: string): Promise<void>;
}
