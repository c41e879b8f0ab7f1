import { key } from './protocol/config/key.js';
import { boolean, integer, optional, seconds, text } from './protocol/config/types.js';

const DAYS = integer({ min: 1, max: 36_500 });

/** Keys of the configuration about passwords, logins and what everybody may make, under the names that Keystone has for them. */
export const SECURITY_COMPLIANCE_KEYS = {
  credential_user_limit: key(optional(integer({ min: 1, max: 1_000_000 })), {
    default: 1000,
    description:
      'How many credentials of any kind, EC2 key pairs among them, a user may have. null: any number.',
  }),
  application_credential_user_limit: key(optional(integer({ min: 1, max: 1_000_000 })), {
    default: 200,
    description: 'How many application credentials a user may have. null: any number.',
  }),
  trust_user_limit: key(optional(integer({ min: 1, max: 1_000_000 })), {
    default: 1000,
    description: 'How many trusts a user may have. null: any number.',
  }),
  lockout_failure_attempts: key(optional(integer({ min: 1, max: 10_000 })), {
    default: null,
    reload: true,
    description:
      'After so many wrong passwords or passcodes in a row an account is locked. null: none is; guessing is slowed all the same.',
  }),
  lockout_duration: key(optional(seconds({ min: 1, max: 365 * 86_400 })), {
    default: 1800,
    unit: 'seconds',
    reload: true,
    description: 'How long an account is locked. null: until an administrator enables it again.',
  }),
  password_expires_days: key(optional(DAYS), {
    default: null,
    unit: 'days',
    reload: true,
    description:
      'How long new passwords are good for. null: for ever. Those that exist keep the end they have.',
  }),
  unique_last_password_count: key(integer({ min: 0, max: 100 }), {
    default: 0,
    reload: true,
    description:
      'Of how many last passwords, the present one included, a user who chooses a new one may take none. 0: any will do.',
  }),
  minimum_password_age: key(integer({ min: 0, max: 36_500 }), {
    default: 0,
    unit: 'days',
    reload: true,
    description:
      'How long users must keep a password that they chose. Administrators may replace it at any time.',
  }),
  password_regex: key(optional(regularExpression()), {
    default: null,
    reload: true,
    description:
      'What new passwords must match from their beginning on: a regular expression as in JavaScript. null: any password will do.',
  }),
  password_regex_description: key(optional(text()), {
    default: null,
    reload: true,
    description: 'password_regex in words; users whose password does not match are told.',
  }),
  change_password_upon_first_use: key(boolean(), {
    default: false,
    reload: true,
    description:
      'Passwords that an administrator gave are good for nothing but for choosing another. Users with the option ' +
      'ignore_change_password_upon_first_use are exempt.',
  }),
  disable_user_account_days_inactive: key(optional(DAYS), {
    default: null,
    unit: 'days',
    reload: true,
    description:
      'Users who have not authenticated for so long are disabled, when they try again or by housekeeping, but for those with the option ignore_user_inactivity. null: nobody is.',
  }),
  auth_receipt_lifetime: key(seconds({ min: 1, max: 86_400 }), {
    default: 300,
    unit: 'seconds',
    reload: true,
    description: 'How long users with several factors have for the next one.',
  }),
  totp_included_previous_windows: key(integer({ min: 0, max: 10 }), {
    default: 1,
    unit: 'windows of 30 seconds',
    reload: true,
    description: 'How old one-time passcodes may be, besides those of the present window.',
  }),
};

function regularExpression() {
  return text('a regular expression', (value) => {
    try {
      new RegExp(value, 'u');
      return null;
    } catch (error) {
      return (error as Error).message;
    }
  });
}
