/** An object that a host found changed by other hands; what stands, and the last that was healed. */
export interface DriftTable {
  host_id: string;
  object_key: string;
  first_seen: string;
  /** What the agent does, or would do, about it. */
  action: string;
  /** What was found and what was expected, in words. */
  detail: string;
  /** reported | healed */
  state: string;
  healed_at: string | null;
}

export interface DriftTables {
  drift: DriftTable;
}
