import type { Config } from '../../config.js';
import { showVersion } from '../shared/microversion.js';
import type { Service } from '../shared/service.js';
import { discoveryOperations, MAX_VERSION, MIN_VERSION } from './discovery.js';
import { extensionOperations } from './extensions.js';
import { flavorDetailOperations, REMOVE_ACCESS } from './flavor/details.js';
import { flavorOperations } from './flavor/operations.js';
import { computeFormat } from './format.js';
import { AGGREGATE_ACTIONS, aggregateOperations } from './hosts/aggregates.js';
import { hypervisorOperations } from './hosts/hypervisors.js';
import { serviceOperations } from './hosts/services.js';
import { zoneOperations } from './hosts/zones.js';
import { keypairOperations } from './keypairs.js';
import { floatingIpOperations } from './network/floating-ips.js';
import { networkOperations } from './network/networks.js';
import { securityGroupOperations } from './network/security-groups.js';
import { ADMIN } from './policy.js';
import { limitOperations } from './quota/limits.js';
import { quotaOperations } from './quota/quota-sets.js';
import { SERVER_ACTIONS, serverActionOperation } from './server/actions.js';
import { serverDetailOperations } from './server/details.js';
import { instanceActionOperations } from './server/instance-actions.js';
import { serverMetadataOperations } from './server/metadata.js';
import { serverOperations } from './server/operations.js';
import { serverPasswordOperations } from './server/password.js';
import { serverTagOperations } from './server/tags.js';
import { serverTarget } from './server/target.js';
import { serverGroupOperations } from './server-groups.js';
import { usageOperations } from './tenant-usage.js';

/** Policies that handlers check themselves: parts of replies, and requests with special wishes. */
const RULES: Readonly<Record<string, string>> = {
  'os_compute_api:os-extended-server-attributes': ADMIN,
  'os_compute_api:servers:show:host_status': ADMIN,
  'os_compute_api:servers:allow_all_filters': ADMIN,
  'os_compute_api:servers:index:get_all_tenants': ADMIN,
  'os_compute_api:servers:detail:get_all_tenants': ADMIN,
  'os_compute_api:os-server-groups:index:all_projects': ADMIN,
  'os_compute_api:servers:create:forced_host': ADMIN,
  'compute:servers:create:requested_destination': ADMIN,
  'os_compute_api:os-lock-server:unlock:unlock_override': ADMIN,
  'os_compute_api:os-instance-actions:events:details': ADMIN,
  'os_compute_api:limits:other_project': ADMIN,
};

/** Policies that count for some bodies of an operation, and what they govern. */
const ACTION_POLICIES = [
  ...Object.entries(SERVER_ACTIONS).map(([action, { policy }]) => ({
    ...policy,
    use: { method: 'POST', path: serverActionOperation.path, summary: `Act on a server: ${action}` },
  })),
  ...Object.entries(AGGREGATE_ACTIONS).map(([action, policy]) => ({
    ...policy,
    use: {
      method: 'POST',
      path: '/v2.1/os-aggregates/:id/action',
      summary: `Act on an aggregate: ${action}`,
    },
  })),
  {
    ...REMOVE_ACCESS,
    use: {
      method: 'POST',
      path: '/v2.1/flavors/:flavor_id/action',
      summary: 'Let a project no longer use a private flavor',
    },
  },
];

/** The compute service (Nova's v2.1 API), mounted under `/compute`. */
export function computeService(config: Config): Service {
  return {
    name: 'compute',
    prefix: '/compute',
    operations: [
      ...discoveryOperations,
      ...flavorOperations,
      ...flavorDetailOperations,
      ...keypairOperations,
      ...serverOperations,
      serverActionOperation,
      ...serverMetadataOperations,
      ...serverTagOperations,
      ...serverDetailOperations,
      ...instanceActionOperations,
      ...serverPasswordOperations,
      ...serverGroupOperations,
      ...securityGroupOperations,
      ...floatingIpOperations,
      ...networkOperations,
      ...limitOperations,
      ...quotaOperations,
      ...usageOperations,
      ...hypervisorOperations,
      ...serviceOperations,
      ...zoneOperations,
      ...aggregateOperations,
      ...extensionOperations,
    ],
    microversions: {
      type: 'compute',
      min: MIN_VERSION,
      max: MAX_VERSION,
      legacyHeader: 'x-openstack-nova-api-version',
    },
    format: computeFormat(`${config.public_url}/identity`),
    rules: RULES,
    actionPolicies: ACTION_POLICIES,
    objectTarget: serverTarget,
    headers: (requestId, version) => ({
      'openstack-api-version': `compute ${showVersion(version)}`,
      'x-openstack-nova-api-version': showVersion(version),
      'x-compute-request-id': requestId,
      vary: 'OpenStack-API-Version, X-OpenStack-Nova-API-Version',
    }),
  };
}
