/** What an administrator may set for one user, as Keystone names it. */
export interface UserOptions {
  readonly ignore_change_password_upon_first_use?: boolean;
  readonly ignore_password_expiry?: boolean;
  readonly ignore_lockout_failure_attempts?: boolean;
  readonly lock_password?: boolean;
  readonly ignore_user_inactivity?: boolean;
  /** Without it, the rules hold. */
  readonly multi_factor_auth_enabled?: boolean;
  /** Each a list of methods, which together are enough. */
  readonly multi_factor_auth_rules?: readonly (readonly string[])[];
}

/** One option of a user; undefined when it is not set. */
export function optionOf<N extends keyof UserOptions>(
  user: { readonly options: string },
  name: N,
): UserOptions[N] {
  return (JSON.parse(user.options) as UserOptions)[name];
}
