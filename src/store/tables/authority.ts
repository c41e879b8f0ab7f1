/** A host that was removed: whoever comes with one of its certificates is told so. */
export interface RemovedHostTable {
  host_id: string;
  name: string;
  /** Number of the last certificate that it was given; later ones of this name belong to a host that joined anew. */
  certificate_issue: number;
  /** 1: it was declared lost with what was on it. */
  lost: number;
  removed_at: string;
}

/** The states of this database that hosts have been told of; the newest is the one in force. */
export interface IncarnationTable {
  id: string;
  /** What made it, in words for operators. */
  reason: string;
  created_at: string;
}

/** Since when a host has something that no object names; what it is stands in the host's `orphans`. */
export interface OrphanTable {
  host_id: string;
  kind: string;
  name: string;
  first_seen: string;
}

export interface AuthorityTables {
  removed_host: RemovedHostTable;
  incarnation: IncarnationTable;
  orphan: OrphanTable;
}
