import { didYouMean } from '../../protocol/config/suggest.js';
import { notFound } from '../errors.js';
import type { RulePolicy } from './engine.js';

/** What the policies of a service begin with, by the service's name: OpenStack's projects do not agree on one form. */
const PREFIXES: Readonly<Record<string, readonly string[]>> = {
  compute: ['os_compute_api:'],
  network: [''],
  image: [''],
  volume: ['volume_extension:', 'scheduler_extension:', ''],
  admin: ['maru:'],
};

/**
 * The policy that is meant by a name: itself, or its name after the service's (`compute:servers:create` is
 * `os_compute_api:servers:create`, `image:get_images` is `get_images`). Null when there is none.
 */
export function findPolicyName(policy: RulePolicy, name: string): string | null {
  const known = policy.effective();
  if (known.has(name)) return name;
  const [, service = '', rest = ''] = /^([a-z]+):(.+)$/.exec(name) ?? [];
  const found = PREFIXES[service]?.map((prefix) => prefix + rest).find((one) => known.has(one));
  return found ?? null;
}

/** The same; 404 with a near name when there is none. */
export function policyName(policy: RulePolicy, name: string): string {
  const found = findPolicyName(policy, name);
  if (found !== null) return found;
  const hint = didYouMean(name, policy.effective().keys());
  throw notFound(`There is no policy named '${name}'${hint && `; ${hint}`}`);
}
