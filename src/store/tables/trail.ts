import type { Generated } from 'kysely';

/** One thing that happened to an object; rows are kept when the object is gone, until they are too old. */
export interface TrailTable {
  seq: Generated<number>;
  /** As in keys of objects and changes: `server`, `port`, `router`, `floating-ip` … */
  object_kind: string;
  object_id: string;
  at: string;
  /** action | ended | changed | task | placed | status | report | drift */
  what: string;
  detail: string;
  /** Host that it is about, or that said so. */
  host_id: string | null;
  /** Request that led to it. */
  request_id: string | null;
  /** Who made that request; only on entries written while it was served. */
  user_id: string | null;
  project_id: string | null;
}

export interface TrailTables {
  trail: TrailTable;
}
