import type { Selectable } from 'kysely';
import type { Reader, Tx } from '../store.js';
import type { PolicyAssociationTable } from '../tables/delegation.js';

export type PolicyAssociationRow = Selectable<PolicyAssociationTable>;

/** Associations that match all given columns. */
export async function listPolicyAssociations(
  db: Reader,
  filter: Partial<PolicyAssociationRow>,
): Promise<PolicyAssociationRow[]> {
  let query = db.selectFrom('policy_association').selectAll();
  for (const [column, value] of Object.entries(filter)) {
    query = query.where(column as 'policy_id', '=', value);
  }
  return await query.orderBy('service_id').orderBy('region_id').orderBy('endpoint_id').execute();
}

/** Associates; a policy that was associated with the same before gives way. */
export async function putPolicyAssociation(tx: Tx, row: PolicyAssociationRow): Promise<void> {
  await tx
    .insertInto('policy_association')
    .values(row)
    .onConflict((c) =>
      c.columns(['endpoint_id', 'service_id', 'region_id']).doUpdateSet({ policy_id: row.policy_id }),
    )
    .execute();
}

/** Removes the associations that match all given columns; returns how many there were. */
export async function removePolicyAssociations(
  tx: Tx,
  filter: Partial<PolicyAssociationRow>,
): Promise<number> {
  let query = tx.deleteFrom('policy_association');
  for (const [column, value] of Object.entries(filter)) {
    query = query.where(column as 'policy_id', '=', value);
  }
  return Number((await query.executeTakeFirst()).numDeletedRows);
}
