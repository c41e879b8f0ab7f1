import { type PolicyRow, policies } from '../../store/identity/catalog.js';
import { removePolicyAssociations } from '../../store/identity/policy-associations.js';
import type { App } from '../app.js';
import { extraOf, mustGet, newId, storing } from '../identity/rows.js';

const KNOWN = ['id', 'type', 'blob'];

/** What clients may set on a policy document. Identity keeps it for others; the rules of this cloud are in its policy file. */
export interface PolicyBody {
  readonly type?: string;
  readonly blob?: string;
}

export async function createPolicy(app: App, body: PolicyBody): Promise<PolicyRow> {
  return await storing(app, 'policy', async (tx) => {
    const row = { id: newId(), type: body.type!, blob: body.blob!, extra: extraOf({ ...body }, KNOWN) };
    await policies.insert(tx, row);
    return row;
  });
}

export async function updatePolicy(app: App, id: string, body: PolicyBody): Promise<PolicyRow> {
  return await storing(app, 'policy', async (tx) => {
    const row = await mustGet(policies, tx, id, 'policy');
    const changed = {
      ...row,
      type: body.type ?? row.type,
      blob: body.blob ?? row.blob,
      extra: extraOf({ ...body }, KNOWN, row.extra),
    };
    await policies.update(tx, id, changed);
    return changed;
  });
}

export async function deletePolicy(app: App, id: string): Promise<void> {
  await app.identity.write(async (tx) => {
    await mustGet(policies, tx, id, 'policy');
    await removePolicyAssociations(tx, { policy_id: id });
    await policies.remove(tx, id);
  });
}
