import {
  associatePolicy,
  checkPolicyAssociation,
  dissociatePolicy,
  endpointsOfPolicy,
  type PolicyPlace,
  policyOfEndpoint,
} from '../../core/endpoint-policy/endpoint-policy.js';
import type { Operation, OpRequest } from '../shared/operation.js';
import { collection } from './lists.js';
import { policyView } from './policies.js';
import { ADMIN, ADMIN_OR_READER, policy } from './policy.js';
import { endpointView } from './views.js';

const BASE = '/v3/policies/:policy_id/OS-ENDPOINT-POLICY';

/** Which policy document is that of which endpoint, service, or service in a region. */
export const endpointPolicyOperations: readonly Operation[] = [
  ...association('endpoint', 'endpoints/:endpoint_id', ({ params }) => ({
    endpoint_id: params.endpoint_id!,
  })),
  ...association('service', 'services/:service_id', ({ params }) => ({ service_id: params.service_id! })),
  ...association('region_and_service', 'services/:service_id/regions/:region_id', ({ params }) => ({
    service_id: params.service_id!,
    region_id: params.region_id!,
  })),
  {
    method: 'GET',
    path: `${BASE}/endpoints`,
    policy: policy('list_endpoints_for_policy', ADMIN_OR_READER),
    summary: 'list the endpoints of a policy document',
    status: 200,
    async handler(request) {
      const rows = await endpointsOfPolicy(request.app.store.read, request.params.policy_id!);
      return collection(
        request,
        'endpoints',
        rows.map((row) => endpointView(request.baseUrl, row)),
      );
    },
  },
  {
    method: 'GET',
    path: '/v3/endpoints/:endpoint_id/OS-ENDPOINT-POLICY/policy',
    policy: policy('get_policy_for_endpoint', ADMIN_OR_READER),
    summary: 'show the policy document of an endpoint',
    status: 200,
    async handler({ app, params, baseUrl }) {
      return { policy: policyView(baseUrl, await policyOfEndpoint(app.store.read, params.endpoint_id!)) };
    },
  },
];

function association(name: string, path: string, placeOf: (request: OpRequest) => PolicyPlace): Operation[] {
  const what = name.replaceAll('_', ' ');
  return [
    {
      method: 'PUT',
      path: `${BASE}/${path}`,
      policy: policy(`create_policy_association_for_${name}`, ADMIN),
      summary: `make a policy document that of a ${what}`,
      status: 204,
      handler: (request) => associatePolicy(request.app, request.params.policy_id!, placeOf(request)),
    },
    {
      method: 'GET',
      path: `${BASE}/${path}`,
      policy: policy(`check_policy_association_for_${name}`, ADMIN_OR_READER),
      summary: `check that a policy document is that of a ${what}`,
      status: 204,
      handler: (request) =>
        checkPolicyAssociation(request.app.store.read, request.params.policy_id!, placeOf(request)),
    },
    {
      method: 'DELETE',
      path: `${BASE}/${path}`,
      policy: policy(`delete_policy_association_for_${name}`, ADMIN),
      summary: `take a policy document from a ${what}`,
      status: 204,
      handler: (request) => dissociatePolicy(request.app, request.params.policy_id!, placeOf(request)),
    },
  ];
}
