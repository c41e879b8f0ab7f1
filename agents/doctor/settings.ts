import { type AgentConfig, loadAgentConfig } from '../config.js';
import type { HostSettings } from './facts.js';

/** The agent's part of a configuration file; throws when it cannot be used. Without a file (null): the defaults. */
export function hostSettings(file: string | null): HostSettings {
  return settingsOf(loadAgentConfig(file ?? '/dev/null'));
}

/** What doctor goes by, of a configuration that is loaded. */
export function settingsOf(config: AgentConfig): HostSettings {
  return {
    name: config.name,
    state_dir: config.state_dir,
    controller: config.controller,
    listen: config.listen,
    underlay_ip: config.underlay_ip,
    physical_networks: config.physical_networks,
    virt_type: config.virt_type,
    libvirt_uri: config.libvirt_uri,
    log_file: config.log_file,
  };
}
