import type { Generated } from 'kysely';

/** A size that servers can have. What a server was created with is copied to it, so flavors may go at any time. */
export interface FlavorTable {
  id: string;
  name: string;
  vcpus: number;
  memory_mb: number;
  root_gb: number;
  ephemeral_gb: number;
  swap_mb: number;
  rxtx_factor: number;
  is_public: number;
  description: string | null;
  /** JSON object of strings. */
  extra_specs: string;
  created_at: string;
}

/** A project that may use a private flavor. */
export interface FlavorAccessTable {
  flavor_id: string;
  project_id: string;
}

/** A public key of a user; the private half is never kept. */
export interface KeypairTable {
  internal_id: Generated<number>;
  user_id: string;
  name: string;
  type: string;
  public_key: string;
  fingerprint: string;
  created_at: string;
}

/** A guest: what it should be, what its host sees of it, and the API status that follows from both. */
export interface ServerTable {
  id: string;
  /** Number in the domain's name `instance-%08x`. */
  internal_id: Generated<number>;
  project_id: string;
  user_id: string;
  name: string;
  description: string | null;
  hostname: string;
  reservation_id: string;
  launch_index: number;
  /** Zone asked for; null: any. */
  availability_zone: string | null;

  // what it is made from, copied at creation
  image_id: string | null;
  /** JSON of core ServerImage; null when it boots from a volume. */
  image: string | null;
  /** JSON of core ServerFlavor. */
  flavor: string;
  flavor_id: string;
  vcpus: number;
  memory_mb: number;
  key_name: string | null;
  /** JSON {name, type, data} of the public key. */
  key: string | null;
  user_data: string | null;
  config_drive: number;
  admin_pass: string | null;
  /** JSON object of strings. */
  metadata: string;
  access_ip_v4: string | null;
  access_ip_v6: string | null;
  disk_config: string;
  /** JSON object of the hardware choices made by image and flavor. */
  hardware: string;

  // what should be
  host_id: string | null;
  run_epoch: number;
  power: string;
  soft_reboots: number;
  hard_reboots: number;
  locked: number;
  locked_by: string | null;
  locked_reason: string | null;
  delete_requested_at: string | null;

  // the operation under way
  task_state: string | null;
  /** Action that the task belongs to. */
  task_request_id: string | null;
  build_attempts: number;
  /** JSON list of host ids on which the build failed. */
  failed_hosts: string;
  /** JSON of the last placement: every host's verdict. */
  placement: string | null;

  // what is
  observed_power: string | null;
  launched_at: string | null;
  deleted_at: string | null;
  /** 1: an operator has to look, for the reason in `fault`. */
  failed: number;
  /** JSON {code, message, details, created}. */
  fault: string | null;

  // computed from the above in every transaction that changes it
  vm_state: string;
  status: string;

  created_at: string;
  updated_at: string;
  /** Rises with every change of what the API shows of it, also of its ports. */
  revision: number;
}

export interface ServerTagTable {
  server_id: string;
  tag: string;
}

/** What was done to a server: `os-instance-actions`. */
export interface ServerActionTable {
  request_id: string;
  server_id: string;
  action: string;
  user_id: string;
  project_id: string;
  start_time: string;
  updated_at: string;
  finish_time: string | null;
  message: string | null;
  /** Name of the step that the host carried out, such as `compute__do_build_and_run_instance`. */
  event: string;
  host: string | null;
  result: string | null;
  details: string | null;
}

/** How much of a resource class a host offers. */
export interface InventoryTable {
  host_id: string;
  resource_class: string;
  total: number;
  reserved: number;
  allocation_ratio: number;
  min_unit: number;
  max_unit: number;
  step_size: number;
  /** What guests may take altogether: (total - reserved) * allocation_ratio, rounded down. */
  capacity: number;
  /** Sum of the allocations: triggers of their table keep it, so that the scheduler need not add them up. */
  used: number;
}

/** The generation of a host's inventories and allocations; its row is what claims lock. */
export interface ResourceProviderTable {
  host_id: string;
  generation: number;
  updated_at: string;
}

/** What a consumer (a server) takes of a host. */
export interface AllocationTable {
  host_id: string;
  consumer_id: string;
  resource_class: string;
  used: number;
  project_id: string;
  user_id: string;
  created_at: string;
}

export interface AggregateTable {
  id: Generated<number>;
  uuid: string;
  name: string;
  availability_zone: string | null;
  /** JSON object of strings. */
  metadata: string;
  created_at: string;
  updated_at: string | null;
}

export interface AggregateHostTable {
  aggregate_id: number;
  host_id: string;
}

export interface ServerGroupTable {
  id: string;
  project_id: string;
  user_id: string;
  name: string;
  policy: string;
  /** JSON object, such as {"max_server_per_host": 3}. */
  rules: string;
  created_at: string;
}

export interface ServerGroupMemberTable {
  group_id: string;
  server_id: string;
}

/** Small integer ids that old microversions show for hosts. */
export interface HostNumberTable {
  host_id: string;
  number: Generated<number>;
  /** Id of the host's entry in os-services from 2.53. */
  service_id: string;
  forced_down: number;
}

/** Tables of the compute service. */
export interface ComputeTables {
  flavor: FlavorTable;
  flavor_access: FlavorAccessTable;
  keypair: KeypairTable;
  server: ServerTable;
  server_tag: ServerTagTable;
  server_action: ServerActionTable;
  inventory: InventoryTable;
  resource_provider: ResourceProviderTable;
  allocation: AllocationTable;
  aggregate: AggregateTable;
  aggregate_host: AggregateHostTable;
  server_group: ServerGroupTable;
  server_group_member: ServerGroupMemberTable;
  host_number: HostNumberTable;
}
