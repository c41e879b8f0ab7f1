import { hostname } from 'node:os';
import { readSection } from '../src/protocol/config-file.js';
import type { LogLevel } from '../src/protocol/log.js';

/** The agent's configuration: section `agent` of /etc/maru/maru.yaml, completed with defaults. */
export interface AgentConfig {
  readonly name: string;
  readonly state_dir: string;
  /** URL of the controller's agent listener; empty: the one that the join token named. */
  readonly controller: string;
  /** Address the agent's own HTTPS listener binds to. */
  readonly listen: string;
  /** Address of this host in the network between hosts: VXLAN endpoint. */
  readonly underlay_ip: string;
  /** Provider network aliases and their bridges, e.g. {extnet: br-ex}. */
  readonly physical_networks: Readonly<Record<string, string>>;
  readonly virt_type: 'auto' | 'kvm' | 'qemu';
  readonly libvirt_uri: string;
  readonly log_level: LogLevel;
  /** Seconds between heartbeats. */
  readonly heartbeat_interval: number;
  /** Seconds between full observations of the host. */
  readonly full_sync_interval: number;
  /** Largest share of its guests (0–1) that one spec may remove. */
  readonly max_removal_share: number;
  /** Days after which a base image that no disk is based on is removed from this host; 0: never. */
  readonly image_cache_days: number;
  /** After a boot of the host: seconds to wait for the controller's word before guests start from the spec on disk. */
  readonly boot_wait: number;
}

/** Reads and checks the agent section of a file. Throws with the file, the key and what is wrong with it. */
export function loadAgentConfig(file: string): AgentConfig {
  return readSection<AgentConfig>(file, 'agent', () => ({
    name: hostname(),
    state_dir: '/var/lib/maru-agent',
    controller: '',
    listen: '0.0.0.0:5444',
    underlay_ip: '127.0.0.1',
    physical_networks: { extnet: 'br-ex' },
    virt_type: 'auto',
    libvirt_uri: 'qemu:///system',
    log_level: 'info',
    heartbeat_interval: 5,
    full_sync_interval: 60,
    max_removal_share: 0.5,
    image_cache_days: 7,
    boot_wait: 15,
  }));
}
