import type { Host } from '../host/host.js';

/** What the network part needs of the agent's configuration. */
export interface NetworkConfig {
  /** Address of this host in the network between hosts: VXLAN endpoint. */
  readonly underlay_ip: string;
  /** Provider network aliases and their bridges, e.g. {extnet: br-ex}. */
  readonly physical_networks: Readonly<Record<string, string>>;
  readonly state_dir: string;
}

/** The part of a logger that is used here. */
export interface Log {
  debug(msg: string, fields?: Record<string, unknown>): void;
  info(msg: string, fields?: Record<string, unknown>): void;
  warn(msg: string, fields?: Record<string, unknown>): void;
  error(msg: string, fields?: Record<string, unknown>): void;
}

/** Where everything here works: the machine, the configuration and the log. */
export interface NetworkContext {
  readonly host: Host;
  readonly config: NetworkConfig;
  readonly log: Log;
}
