import type { Config } from '../../config.js';
import { forbidden } from '../errors.js';
import type { TokenPayload } from './payload.js';

/** What a request for a token names as its scope. */
export type AskedScope = 'none' | 'unscoped' | 'project' | 'domain' | 'system' | 'trust';

/**
 * Refuses (403) to exchange a token for another where that would hand rights on: tokens of trusts and OAuth1 never, those
 * of the system not for a project or domain, those of application credentials only for their like, and scoped ones at all
 * when the configuration says so.
 */
export function refuseRescope(
  config: Pick<Config, 'allow_rescope_scoped_token'>,
  token: TokenPayload,
  asked: AskedScope,
): void {
  if (token.accessTokenId !== null) {
    throw denied('Using OAuth-scoped token to create another token. Create a new OAuth-scoped token instead');
  }
  if (token.trustId !== null) {
    throw denied('Using trust-scoped token to create another token. Create a new trust-scoped token instead');
  }
  refuseFromSystem(token, asked);
  if (token.applicationCredentialId !== null && asked !== 'none') {
    throw denied('Using an application credential token to create a scoped token is not allowed.');
  }
  if (!config.allow_rescope_scoped_token && token.scope.kind !== 'unscoped') {
    throw denied('rescope a scoped token');
  }
}

/** Refuses (403) to exchange a token of the system for one of a project or domain, whether it was named or is the default. */
export function refuseFromSystem(token: TokenPayload, scope: AskedScope): void {
  if (token.scope.kind === 'system' && (scope === 'project' || scope === 'domain')) {
    throw denied(
      'Using a system-scoped token to create a project-scoped or domain-scoped token is not allowed.',
    );
  }
}

function denied(action: string) {
  return forbidden(`You are not authorized to perform the requested action: ${action}.`);
}
