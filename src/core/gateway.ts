import type { Plan } from '../protocol/messages.js';

/** What core asks of a host directly. Implemented by src/hosts; each rejects with MaruError `unavailable` when the host does not answer. */
export interface HostGateway {
  /** False when the host counts as down: no heartbeat for `host_down_after` seconds. Never waits. */
  isUp(hostId: string): boolean;
  /** The last `length` lines of a server's serial console (all when null). */
  consoleOutput(hostId: string, serverId: string, length: number | null): Promise<string>;
  /** What apply would do on the host now. */
  plan(hostId: string): Promise<Plan>;
}
