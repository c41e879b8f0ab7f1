/** Limits of a project that has none of its own, as Cinder's; -1 is unlimited. */
export const VOLUME_QUOTA_DEFAULTS = {
  volumes: 10,
  per_volume_gigabytes: -1,
  snapshots: 10,
  gigabytes: 1000,
  backups: 10,
  backup_gigabytes: 1000,
  groups: 10,
} as const;
