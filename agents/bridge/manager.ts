import type { AddressState, Snapshot } from './model.js';

/*
 * What a takeover asks of the program that runs the uplink's addresses (netplan, networkd, ifupdown, NetworkManager).
 * The implementations are in managers/, chosen by
 *   managers/detect.ts: detectManager(host: Host, snapshot: Snapshot, uplink: string): Promise<UplinkManager>
 *
 * In which order what they give is used:
 *   trial:    originals of `permanent` read and kept, revert.sh and `pending` on disk, watchdog armed
 *             → trialFiles → dhcp.before → the ip batches → handOver → dhcp.after → checks bound to the bridge
 *   confirm:  permanent written (or removed) → trialFiles removed → confirmCommands → committed
 *   revert:   permanent's originals restored, trialFiles removed → handBackFirst → addresses and routes back on the uplink
 *             → handBack → the lease is waited for → addresses and routes once more (a manager may have flushed them)
 *   boot with a change pending: originals restored, before the network's services start; no command is run
 * Commands are run without a shell, as root, with a time limit of 30 s; every one must be repeatable. In revert.sh the
 * same commands are rendered with quoted arguments, and their failure is noted but stops nothing.
 */

/** What runs the uplink's addresses now and at boot. */
export interface UplinkManager {
  readonly name: 'netplan' | 'networkd' | 'ifupdown' | 'NetworkManager' | 'none';
  /** Files and commands of a takeover; throws BridgeRefusal(reason, wayOut) when it cannot work. Changes nothing. */
  plan(takeover: TakeoverPlan): Promise<ManagerPlan>;
  /** The same for giving the uplink back. */
  planRelease(release: TakeoverPlan): Promise<ManagerPlan>;
}

/** A change of who holds the host's addresses. */
export interface TakeoverPlan {
  readonly bridge: string;
  readonly uplink: string;
  /** Of the uplink before a takeover, of the bridge before a release (`snapshot.device` says which). */
  readonly snapshot: Snapshot;
  /** Release only: files of /etc as they were before the takeover; empty when it was not made by this program. */
  readonly originals: readonly OriginalFile[];
}

/** A file before it was changed; content null: it was not there. */
export interface OriginalFile {
  readonly path: string;
  readonly content: string | null;
  readonly mode: number;
}

export interface ManagerFile {
  readonly path: string;
  readonly content: string;
  readonly mode: number;
}

export interface ManagerPlan {
  /** Below /run, written before handOver; removed by revert, by confirm, and by a reboot anyway. */
  readonly trialFiles: readonly ManagerFile[];
  /** argv, run after the ip batches; each must be repeatable. */
  readonly handOver: readonly (readonly string[])[];
  /**
   * argv, rendered into revert.sh before the addresses go back: a manager that still believed in the trial would take the uplink
   * into the bridge again at once, and a DHCP client of the bridge would take the address with it.
   */
  readonly handBackFirst: readonly (readonly string[])[];
  /** argv, rendered into revert.sh after the addresses are back on the uplink. */
  readonly handBack: readonly (readonly string[])[];
  /** In /etc, written on confirm (content null: removed); the originals are kept for revert and release. */
  readonly permanent: readonly OriginalFile[];
  readonly confirmCommands: readonly (readonly string[])[];
  /** A client that must not stay on the uplink: what ends it, what starts it on the bridge. */
  readonly dhcp: {
    readonly before: readonly (readonly string[])[];
    readonly after: readonly (readonly string[])[];
  } | null;
  /** What the manager asks for anew when it is told of a revert; null when there is nothing, or it finds it again by itself. */
  readonly lease: Lease | null;
  readonly warnings: readonly string[];
}

/**
 * An IPv4 address of the snapshot's device that came by DHCP, of a manager that takes over an address that is there when the lease
 * comes, but not its metric. So a revert has another one stand in for it until the manager has brought it.
 */
export interface Lease {
  readonly address: AddressState;
  /** argv that makes the manager ask for it at once if it holds it still; does nothing otherwise. */
  readonly renew: readonly string[];
}

/** A change that is refused before anything was touched: why, and what the operator can do about it. */
export class BridgeRefusal extends Error {
  readonly reason: string;
  readonly wayOut: string;

  constructor(reason: string, wayOut: string) {
    super(`${reason}\n  ${wayOut}`);
    this.name = 'BridgeRefusal';
    this.reason = reason;
    this.wayOut = wayOut;
  }
}
