import type { Context } from '../context.js';
import { forbidden } from '../errors.js';

/** True for tokens that act for somebody by a delegation: an application credential, a trust or OAuth1. */
export function isDelegated({ token }: Context): boolean {
  return (
    token.application_credential !== undefined || token.trust !== undefined || token.oauth1 !== undefined
  );
}

/** Refuses tokens of trusts and OAuth1, which must leave nothing behind that outlives them. */
export function refuseTrustOrOauth({ token }: Context, what: string): void {
  if (token.trust || token.oauth1) {
    throw forbidden(`Cannot manage ${what} with a token issued via delegation.`);
  }
}

/** Refuses application credentials that were not made `unrestricted`. */
export function refuseRestricted({ token }: Context, what: string): void {
  if (token.application_credential?.restricted) {
    throw forbiddenAction(`Using method 'application_credential' is not allowed for managing ${what}`);
  }
}

/** Refuses every application credential. */
export function refuseApplicationCredential({ token }: Context, what: string): void {
  if (token.application_credential) {
    throw forbiddenAction(`Using method 'application_credential' is not allowed for managing ${what}`);
  }
}

/** A refusal in the words of a policy's. */
export function forbiddenAction(action: string) {
  return forbidden(`You are not authorized to perform the requested action: ${action}.`);
}
