import { type TrustRow, trusts } from '../../store/identity/delegations.js';
import { users } from '../../store/identity/users.js';
import type { Reader } from '../../store/store.js';
import { hasExpired } from '../token/times.js';

/** The trust, that by whose token it was made, and so on up to the first; null when one of them is gone. */
export async function trustChain(db: Reader, trust: TrustRow): Promise<TrustRow[] | null> {
  const chain = [trust];
  for (let parentId = trust.redelegated_trust_id; parentId !== null; ) {
    const parent = await trusts.get(db, parentId);
    if (!parent || chain.length > 100) return null;
    chain.push(parent);
    parentId = parent.redelegated_trust_id;
  }
  return chain;
}

/** True while every trust of the chain is in force and everybody in it is there and enabled. */
export async function isChainGood(db: Reader, chain: readonly TrustRow[]): Promise<boolean> {
  if (chain.some((trust) => trust.deleted_at !== null || hasExpired(trust.expires_at))) return false;
  const ids = new Set(chain.flatMap((trust) => [trust.trustor_user_id, trust.trustee_user_id]));
  return (await users.list(db, { id: [...ids], enabled: 1 })).length === ids.size;
}

/** True when the trust gives no more tokens. */
export function isOver(trust: TrustRow): boolean {
  return isEnded(trust) || trust.remaining_uses === 0;
}

/** True when the tokens that the trust gave have ended too. */
export function isEnded(trust: TrustRow): boolean {
  return trust.deleted_at !== null || hasExpired(trust.expires_at);
}
