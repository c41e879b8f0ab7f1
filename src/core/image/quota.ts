/** Limits of a project that has none of its own; -1 is unlimited. Sizes in MiB, as Glance's registered limits have them. */
export const IMAGE_QUOTA_DEFAULTS = {
  image_count_total: 1000,
  image_size_total: 1_048_576,
} as const;
