import type { AgentConfig } from '../../../agents/config.js';

/** The configuration of an agent on a pretended machine. */
export const agentConfig: AgentConfig = {
  name: 'host1',
  state_dir: '/var/lib/maru-agent',
  controller: '',
  listen: '127.0.0.1:0',
  underlay_ip: '192.0.2.1',
  physical_networks: { extnet: 'br-ex' },
  virt_type: 'auto',
  libvirt_uri: 'qemu:///system',
  log_level: 'info',
  log_file: null,
  log_file_size_mb: 50,
  log_files_kept: 5,
  heartbeat_interval: 5,
  full_sync_interval: 60,
  max_removal_share: 0.5,
  image_cache_days: 0,
  boot_wait: 15,
};
