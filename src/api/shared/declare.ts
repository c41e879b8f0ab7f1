import type { RulePolicy } from '../../core/policy/engine.js';
import type { Service } from './service.js';

/** Makes the policies of a service known with their default rules and what they govern. Throws when one is declared in two ways. */
export function declarePolicies(policy: RulePolicy, service: Service): void {
  for (const operation of service.operations) {
    if (!operation.policy) continue;
    const { method, path, summary } = operation;
    const use = { service: service.name, method, path: service.prefix + path, summary };
    policy.register(operation.policy.name, operation.policy.rule, use);
  }
  for (const [name, rule] of Object.entries(service.rules ?? {})) policy.register(name, rule);
  for (const { name, rule, use } of service.actionPolicies ?? []) {
    policy.register(name, rule, { service: service.name, ...use, path: service.prefix + use.path });
  }
}
