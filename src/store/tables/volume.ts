/** A block volume: a file in the volume directory of one host. */
export interface VolumeTable {
  id: string;
  project_id: string;
  user_id: string;
  name: string | null;
  description: string | null;
  size_gb: number;
  volume_type_id: string;
  availability_zone: string;
  /** JSON object of strings. */
  metadata: string;
  multiattach: number;
  /** The host that holds it; null when no host could. */
  host_id: string | null;
  /** JSON of protocol ImageRef; null for an empty volume. */
  image: string | null;
  /** JSON of what the API shows as volume_image_metadata; null for an empty volume. */
  image_metadata: string | null;
  bootable: number;
  /** creating, available, error, deleting …; follows what the host reports. */
  status: string;
  /** JSON {message, …} of the host's error or the scheduler's refusal. */
  fault: string | null;
  /** Host id once the scheduler refused, JSON of every host's verdict. */
  placement: string | null;
  delete_requested_at: string | null;
  created_at: string;
  updated_at: string | null;
}

/** A kind of volume. `__DEFAULT__` always exists. */
export interface VolumeTypeTable {
  id: string;
  name: string;
  description: string | null;
  is_public: number;
  /** JSON object of strings. */
  extra_specs: string;
  created_at: string;
}

/** Tables of the volume service. */
export interface VolumeTables {
  volume: VolumeTable;
  volume_type: VolumeTypeTable;
}
