/** A rule that an administrator has set through the API; it replaces the declared one and the policy file's. */
export interface PolicyOverrideTable {
  name: string;
  /** JSON: text in oslo.policy's language, or its older lists. */
  rule: string;
  /** 1: a name of the administrator's own, for other rules to refer to; no operation has it. */
  own: number;
  updated_at: string;
  /** Id of the user who set it; null when no user did. */
  updated_by: string | null;
}

export interface PolicyTables {
  policy_override: PolicyOverrideTable;
}
