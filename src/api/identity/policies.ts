import { mustGet } from '../../core/identity/rows.js';
import {
  createPolicy,
  deletePolicy,
  type PolicyBody,
  updatePolicy,
} from '../../core/policy-document/policy-document.js';
import { type PolicyRow, policies } from '../../store/identity/catalog.js';
import type { Operation, OpRequest } from '../shared/operation.js';
import { collection, columnFilters } from './lists.js';
import { ADMIN, ADMIN_OR_READER, policy } from './policy.js';
import { enveloped } from './schemas.js';

const PROPERTIES = {
  type: { type: 'string', minLength: 1, maxLength: 255 },
  blob: { type: 'string', maxLength: 512 * 1024 },
};

type Body = { policy: PolicyBody };

/** Policy documents, which identity keeps for other services. */
export const policyOperations: readonly Operation[] = [
  {
    method: 'POST',
    path: '/v3/policies',
    policy: policy('create_policy', ADMIN),
    summary: 'create a policy document',
    body: enveloped('policy', PROPERTIES, ['type', 'blob']),
    status: 201,
    async handler({ app, body, baseUrl }: OpRequest<Body>) {
      return { policy: policyView(baseUrl, await createPolicy(app, body.policy)) };
    },
  },
  {
    method: 'GET',
    path: '/v3/policies',
    policy: policy('list_policies', ADMIN_OR_READER),
    summary: 'list policy documents',
    status: 200,
    async handler(request) {
      const filters = columnFilters(request, { text: ['type'] });
      const rows = await policies.list(request.app.store.read, filters);
      return collection(
        request,
        'policies',
        rows.map((row) => policyView(request.baseUrl, row)),
      );
    },
  },
  {
    method: 'GET',
    path: '/v3/policies/:policy_id',
    policy: policy('get_policy', ADMIN_OR_READER),
    summary: 'show a policy document',
    status: 200,
    async handler({ app, params, baseUrl }) {
      return {
        policy: policyView(baseUrl, await mustGet(policies, app.store.read, params.policy_id!, 'policy')),
      };
    },
  },
  {
    method: 'PATCH',
    path: '/v3/policies/:policy_id',
    policy: policy('update_policy', ADMIN),
    summary: 'change a policy document',
    body: enveloped('policy', PROPERTIES),
    status: 200,
    async handler({ app, params, body, baseUrl }: OpRequest<Body>) {
      return { policy: policyView(baseUrl, await updatePolicy(app, params.policy_id!, body.policy)) };
    },
  },
  {
    method: 'DELETE',
    path: '/v3/policies/:policy_id',
    policy: policy('delete_policy', ADMIN),
    summary: 'delete a policy document',
    status: 204,
    handler: ({ app, params }) => deletePolicy(app, params.policy_id!),
  },
];

/** A policy document as Keystone shows it. */
export function policyView(base: string, row: PolicyRow) {
  const { id, type, blob } = row;
  const extra = JSON.parse(row.extra) as Record<string, unknown>;
  return { ...extra, id, type, blob, links: { self: `${base}/v3/policies/${id}` } };
}
