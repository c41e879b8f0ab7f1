/**
 * One request that was to change something, or one thing that the controller did by itself. Nothing refers to other rows, and names are
 * kept beside ids: a record can be read when what it is about is gone.
 */
export interface AuditTable {
  /** A UUID of version 7: sorts by time. */
  id: string;
  at: string;
  /** Of several that are kept as one: the time of the last, and how many. */
  last_at: string;
  repeats: number;
  service: string;
  /** Name of the policy that it is subject to, such as `identity:create_user`. */
  action: string;
  /** begun | succeeded | refused | failed */
  outcome: string;
  /** 0: it changed nothing, as it was refused, has failed or only gave a token. */
  changed: number;
  /** HTTP status of the answer; null: not known. */
  status: number | null;
  /** Why it was refused or failed. */
  reason: string | null;
  method: string | null;
  /** Without the query. */
  path: string | null;
  request_id: string | null;
  /** The id that the client gave its request, which can be anybody's. */
  global_request_id: string | null;
  user_id: string | null;
  user_name: string | null;
  user_domain_id: string | null;
  user_domain_name: string | null;
  /** project | domain | system | unscoped; null without a valid token. */
  scope: string | null;
  project_id: string | null;
  project_name: string | null;
  /** Domain of the project, or of the scope. */
  domain_id: string | null;
  domain_name: string | null;
  application_credential_id: string | null;
  trust_id: string | null;
  /** Audit id of the token: the same for all that was done with it. */
  token_audit_id: string | null;
  /** Where the request came from. */
  address: string | null;
  target_type: string | null;
  target_id: string | null;
  target_name: string | null;
  target_project_id: string | null;
  /** JSON of what else is worth knowing. */
  detail: string | null;
}

export interface AuditTables {
  audit: AuditTable;
}
