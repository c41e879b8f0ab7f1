import type { Generated } from 'kysely';

/** How a user's logins went. Apart from the user's row, since failures must not make tokens be looked up anew. */
export interface UserLoginTable {
  /** Empty: all attempts on accounts that do not exist, so that they cost what others do. */
  user_id: string;
  /** Failures since the last success. */
  failed_auth_count: Generated<number>;
  failed_auth_at: string | null;
  /** Day (`2026-01-31`, UTC) of the last success. */
  last_active_on: string | null;
}

/** A password that a user had before the one it has. */
export interface PasswordHistoryTable {
  user_id: string;
  password_hash: string;
  replaced_at: string;
}

/** The newest time step for which a TOTP credential was used: each passcode works once. */
export interface TotpUseTable {
  credential_id: string;
  user_id: string;
  /** Number of the 30-second step since 1970. */
  step: number;
}

/** An option that a domain has set for itself. */
export interface DomainConfigTable {
  domain_id: string;
  group_name: string;
  option_name: string;
  /** JSON. */
  value: string;
}

/** An option of a domain whose value is a secret: never shown. */
export interface DomainConfigSecretTable {
  /** Domain, group and option. */
  id: string;
  domain_id: string;
  group_name: string;
  option_name: string;
  /** JSON, sealed for the id. */
  secret: string;
}

export interface UserTables {
  user_login: UserLoginTable;
  password_history: PasswordHistoryTable;
  totp_use: TotpUseTable;
  domain_config: DomainConfigTable;
  domain_config_secret: DomainConfigSecretTable;
}
