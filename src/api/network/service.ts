import type { Operation } from '../shared/operation.js';
import type { Service } from '../shared/service.js';
import { AGENT_RULE, agentOperations } from './agents.js';
import { availabilityOperations } from './availability.js';
import { discoveryOperations } from './discovery.js';
import { extensionOperations } from './extensions.js';
import { floatingIps } from './floatingips.js';
import { networkProblem } from './format.js';
import { networks } from './networks.js';
import { ports } from './ports.js';
import { quotaOperations } from './quotas.js';
import { attributePolicies, resourceOperations } from './resource.js';
import { gatewayPolicies, routerOperations, routers } from './routers.js';
import { securityGroupRules, securityGroups } from './security-groups.js';
import { subnets } from './subnets.js';
import { tagOperations } from './tags.js';
import { isSharedResource, networkTarget } from './target.js';

const operations: readonly Operation[] = [
  ...discoveryOperations([
    networks,
    subnets,
    ports,
    routers,
    floatingIps,
    securityGroups,
    securityGroupRules,
  ]),
  ...extensionOperations,
  ...resourceOperations(networks),
  ...resourceOperations(subnets),
  ...resourceOperations(ports),
  ...resourceOperations(routers),
  ...routerOperations,
  ...resourceOperations(floatingIps),
  ...resourceOperations(securityGroups),
  ...resourceOperations(securityGroupRules),
  ...[networks, subnets, ports, routers, floatingIps, securityGroups].flatMap(tagOperations),
  ...quotaOperations,
  ...availabilityOperations,
  ...agentOperations,
];

/** The network API: OpenStack Networking 2.0. */
export const networkService: Service = {
  name: 'network',
  prefix: '/network',
  operations,
  objectTarget: networkTarget,
  isShared: isSharedResource,
  format: networkProblem,
  rules: {
    ...AGENT_RULE,
    ...Object.fromEntries(
      [
        ...attributePolicies(networks),
        ...attributePolicies(subnets),
        ...attributePolicies(ports),
        ...attributePolicies(routers),
        ...gatewayPolicies,
        ...attributePolicies(floatingIps),
        ...attributePolicies(securityGroups),
        ...attributePolicies(securityGroupRules),
      ].map(({ name, rule }) => [name, rule]),
    ),
  },
  // clients ask for `…/quotas/ID/details.json`
  aliases: (path) =>
    path.startsWith('/v2.0/quotas/') && /\/(details|tenant)$/.test(path) ? [`${path}.json`] : [],
};
