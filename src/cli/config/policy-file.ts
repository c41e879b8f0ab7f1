import { allServices } from '../../api/services.js';
import { declarePolicies } from '../../api/shared/declare.js';
import type { Config } from '../../config.js';
import { RulePolicy } from '../../core/policy/engine.js';

/**
 * Reads the policy file as the controller does when it starts: against the policies of every operation. Throws with what keeps the
 * controller from starting; returns the names in it that nothing here has.
 */
export function checkPolicyFile(config: Config): readonly string[] {
  const policy = new RulePolicy(config.policy_file);
  for (const service of allServices({ config })) declarePolicies(policy, service);
  policy.verify();
  return policy.unusedFileNames();
}
