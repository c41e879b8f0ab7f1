import { key } from './protocol/config/key.js';
import { boolean, integer, oneOf, seconds } from './protocol/config/types.js';

/** The longest lifetime that tokens can be given, in seconds. */
export const MOST_TOKEN_LIFETIME = 7 * 86_400;

/** Keys of the configuration about tokens, delegation and the hierarchy of projects; Keystone has most of them, under these names. */
export const IDENTITY_KEYS = {
  token_lifetime_seconds: key(seconds({ min: 1, max: MOST_TOKEN_LIFETIME }), {
    default: 3600,
    unit: 'seconds',
    description: 'How long a token is good for.',
  }),
  token_allow_expired_window_seconds: key(seconds({ min: 0, max: 30 * 86_400 }), {
    default: 172_800,
    unit: 'seconds',
    description:
      'For how long services can still validate a token that has expired (allow_expired), to finish what it began.',
  }),
  allow_rescope_scoped_token: key(boolean(), {
    default: true,
    description: 'Whether a token of one project, domain or the system can be exchanged for one of another.',
  }),
  max_redelegation_count: key(integer({ min: 0, max: 10 }), {
    default: 3,
    description: 'How often what a trust gives may be handed on.',
  }),
  oauth1_request_token_seconds: key(seconds({ min: 0, max: 366 * 86_400 }), {
    default: 28_800,
    unit: 'seconds',
    description: 'How long an OAuth1 request token may be authorized and exchanged; 0: without end.',
  }),
  oauth1_access_token_seconds: key(seconds({ min: 0, max: 3660 * 86_400 }), {
    default: 86_400,
    unit: 'seconds',
    description: 'How long an OAuth1 access token is good for; 0: without end.',
  }),
  credential_auth_ttl_minutes: key(integer({ min: 1, max: 1440 }), {
    default: 15,
    unit: 'minutes',
    description: 'How old a signed EC2 or S3 request may be.',
  }),
  max_project_tree_depth: key(integer({ min: 1, max: 30 }), {
    default: 5,
    reload: true,
    description: 'How deep projects may nest below their domain.',
  }),
  unified_limit_model: key(oneOf('flat', 'strict_two_level'), {
    default: 'flat',
    description:
      'How limits (/v3/limits) of a project relate to those of its domain: not at all, or never above them, with projects at ' +
      'most two deep.',
  }),
};
