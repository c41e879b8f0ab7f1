import { countOfUser, type OwnedTable } from '../../store/identity/delegations.js';
import type { Tx } from '../../store/store.js';
import { forbidden } from '../errors.js';

const NAMES: Readonly<Record<OwnedTable, string>> = {
  credential: 'credentials',
  application_credential: 'application credentials',
  trust: 'trusts',
};

/** Refuses (403) a user one more than `limit` of what everybody may make; null: there is no limit. */
export async function refuseMore(
  tx: Tx,
  what: OwnedTable,
  userId: string,
  limit: number | null,
): Promise<void> {
  if (limit === null || (await countOfUser(tx, what, userId)) < limit) return;
  throw forbidden(
    `Unable to create additional ${NAMES[what]}, maximum of ${limit} already exceeded for user.`,
  );
}
