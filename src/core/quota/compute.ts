/** Limits of the compute service for projects that have none of their own. */
export const COMPUTE_QUOTAS = {
  instances: 10,
  cores: 20,
  ram: 51_200,
  key_pairs: 100,
  metadata_items: 128,
  server_groups: 10,
  server_group_members: 10,
  injected_files: 5,
  injected_file_content_bytes: 10_240,
  injected_file_path_bytes: 255,
  // the network service has the say on these; old clients may still set and read them here
  fixed_ips: -1,
  floating_ips: -1,
  security_groups: -1,
  security_group_rules: -1,
} as const;

export type ComputeQuota = keyof typeof COMPUTE_QUOTAS;
