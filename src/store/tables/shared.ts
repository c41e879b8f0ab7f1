import type { Generated } from 'kysely';

/** A row whose effect on hosts has yet to be worked out; written in the transaction that changed the row. */
export interface ChangeTable {
  seq: Generated<number>;
  /** Kind of the changed row, such as `server`, `port`, `subnet`. */
  kind: string;
  id: string;
  request_id: string | null;
}

/** Small facts about the installation: incarnation, key material ids, schema notes. */
export interface SettingTable {
  name: string;
  value: string;
}

/** Limits that differ from the defaults, per project and resource (`instances`, `network`, `volumes` …). */
export interface QuotaTable {
  project_id: string;
  service: string;
  resource: string;
  hard_limit: number;
}

export interface SharedTables {
  change: ChangeTable;
  setting: SettingTable;
  quota: QuotaTable;
}
