import type { Config } from '../../config.js';
import type { TrustRow } from '../../store/identity/delegations.js';
import type { Reader } from '../../store/store.js';
import { badRequest, forbidden } from '../errors.js';
import { missing } from '../identity/rows.js';
import { trustChain } from './chain.js';
import type { TrustBody } from './trust.js';

/** What a new trust has of the one by whose token it is made; null for a first one. */
export interface Redelegation {
  readonly parent: TrustRow | null;
  /** Whose roles are handed on in the end. */
  readonly trustorId: string;
  readonly count: number;
  readonly expiresAt: string | null;
}

/**
 * Checks whether a trust may be made and how often what it gives may be handed on. Throws 403 when it would give more than
 * the trust it comes from, for longer, or further.
 */
export async function checkRedelegation(
  db: Reader,
  { max_redelegation_count: most }: Pick<Config, 'max_redelegation_count'>,
  body: TrustBody,
  given: {
    readonly parent: TrustRow | null;
    readonly roleIds: readonly string[];
    readonly expiresAt: string | null;
  },
): Promise<Redelegation> {
  const asked = body.redelegation_count ?? undefined;
  const further = body.allow_redelegation === true && asked !== 0;
  if (further && asked !== undefined && asked > most) {
    throw forbidden(`Requested redelegation depth of ${asked} is greater than allowed ${most}`);
  }
  if (further && (body.remaining_uses ?? null) !== null) {
    throw badRequest('remaining_uses must not be set if redelegation is allowed');
  }
  const { parent } = given;
  if (!parent) {
    const count = further ? (asked ?? most) : 0;
    return { parent, trustorId: body.trustor_user_id, count, expiresAt: given.expiresAt };
  }
  const left = parent.redelegation_count - 1;
  if (further && asked !== undefined && asked !== left) {
    throw forbidden(
      'Modifying "redelegation_count" upon redelegation is forbidden. Omitting this parameter is advised.',
    );
  }
  const chain = await trustChain(db, parent);
  if (!chain) throw missing('trust', parent.id);
  let expiresAt = given.expiresAt;
  for (const trust of chain) {
    refuseMore(trust, body, most, given.roleIds);
    expiresAt = within(trust, expiresAt);
  }
  return { parent, trustorId: chain.at(-1)!.trustor_user_id, count: further ? left : 0, expiresAt };
}

function refuseMore(trust: TrustRow, body: TrustBody, most: number, roleIds: readonly string[]): void {
  const depth = trust.redelegation_count;
  if (depth <= 0 || depth > most) {
    throw forbidden(`Remaining redelegation depth of ${depth} out of allowed range of [0..${most}]`);
  }
  if ((body.remaining_uses ?? null) !== null) {
    throw forbidden(
      `Field "remaining_uses" is set to ${body.remaining_uses} while it must not be set in order to redelegate a trust`,
    );
  }
  const entrusted = JSON.parse(trust.roles) as string[];
  if (!roleIds.every((id) => entrusted.includes(id))) {
    throw forbidden('Some of requested roles are not in redelegated trust');
  }
  if (body.project_id !== trust.project_id) {
    throw forbidden('A redelegated trust is for the project of the trust that it comes from');
  }
  if (!trust.impersonation && body.impersonation) {
    throw forbidden(
      `Impersonation is not allowed because redelegated trust does not specify impersonation. Redelegated trust id: ${trust.id}`,
    );
  }
}

/** The expiry of a trust below another: no later than that one's. */
function within(trust: TrustRow, expiresAt: string | null): string | null {
  if (trust.expires_at === null) return expiresAt;
  if (expiresAt === null) return trust.expires_at;
  if (Date.parse(expiresAt) > Date.parse(trust.expires_at)) {
    throw forbidden('Requested expiration time is more than redelegated trust can provide');
  }
  return expiresAt;
}
