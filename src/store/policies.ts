import type { Selectable } from 'kysely';
import { readSetting, writeSetting } from './settings.js';
import type { Reader, Store, Tx } from './store.js';
import type { PolicyOverrideTable } from './tables/policy.js';

export type PolicyOverrideRow = Selectable<PolicyOverrideTable>;

/** Rises with every change of the stored rules. */
const REVISION = 'policy.revision';

/** Holds up other changes of the stored rules until the transaction ends, so that they are judged as a whole. */
export async function lockPolicies(store: Store, tx: Tx): Promise<void> {
  await store.lockFamily(tx, '', 'policy');
}

/** Every stored rule, by name. */
export async function listPolicyOverrides(db: Reader): Promise<PolicyOverrideRow[]> {
  return await db.selectFrom('policy_override').selectAll().orderBy('name').execute();
}

/** Number of the last change; 0 before the first. */
export async function policyRevision(db: Reader): Promise<number> {
  return Number((await readSetting(db, REVISION)) ?? 0);
}

/** Stores rules, and removes those by the names given. */
export async function changePolicyOverrides(
  tx: Tx,
  put: readonly PolicyOverrideRow[],
  removed: readonly string[],
): Promise<void> {
  for (const row of put) {
    const { name: _, ...values } = row;
    await tx
      .insertInto('policy_override')
      .values(row)
      .onConflict((conflict) => conflict.column('name').doUpdateSet(values))
      .execute();
  }
  for (const name of removed) await tx.deleteFrom('policy_override').where('name', '=', name).execute();
  await writeSetting(tx, REVISION, String((await policyRevision(tx)) + 1));
}
