import { edits } from '../../protocol/config/suggest.js';
import { badRequest, notFound } from '../errors.js';
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

/**
 * The same; also by the request that it governs (`GET /compute/v2.1/servers`). 404 with a near name, or where to look, when there is
 * none (`refuse`: another status); 400 when several govern the request.
 */
export function policyName(policy: RulePolicy, name: string, refuse = notFound): string {
  const found = findPolicyName(policy, name);
  if (found !== null) return found;
  const governing = governedBy(policy, name);
  if (governing?.length === 1) return governing[0]!;
  if (governing && governing.length > 1) {
    throw badRequest(`Several policies govern ${name}: ${governing.join(', ')}; name the one that you mean.`);
  }
  const hint = hintFor(name, [...policy.effective().keys()]);
  throw refuse(`There is no policy named '${name}'; ${hint}`);
}

/** Policies of the operations that a text such as `GET /compute/v2.1/servers/ID` asks for; null when it is no request. */
function governedBy(policy: RulePolicy, text: string): string[] | null {
  const [, method = '', path = ''] = /^([A-Za-z]+)\s+(\/[^\s?]*)/.exec(text) ?? [];
  if (path === '') return null;
  let best = -1;
  const found = new Set<string>();
  for (const { name, uses } of policy.list()) {
    for (const use of uses) {
      const fixed = use.method === method.toUpperCase() ? fixedParts(use.path, path) : null;
      if (fixed === null || fixed < best) continue;
      // `/servers/detail` is no server
      if (fixed > best) found.clear();
      best = fixed;
      found.add(name);
    }
  }
  return [...found];
}

/** How many parts of a path are those of the pattern, letter by letter; null when it is another path. */
function fixedParts(pattern: string, path: string): number | null {
  const [wanted, given] = [pattern, path].map((one) => one.replace(/\/$/, '').split('/'));
  if (wanted!.length !== given!.length) return null;
  const same = wanted!.filter((part, i) => part === given![i]).length;
  return wanted!.every((part, i) => part === given![i] || part.startsWith(':')) ? same : null;
}

/** The nearest name, also with what the service's policies begin with; else how to find it. */
function hintFor(name: string, known: readonly string[]): string {
  const [, service = '', rest = ''] = /^([a-z]+):(.+)$/.exec(name) ?? [];
  const typed = [name, ...(PREFIXES[service] ?? []).map((prefix) => prefix + rest)];
  const ending = known.filter((one) => one.endsWith(`:${name}`));
  let least = Math.max(1, Math.floor((name.split(':').at(-1) ?? '').length / 3)) + 1;
  let best = ending.length === 1 ? ending[0] : undefined;
  for (const one of best === undefined ? known : []) {
    const distance = Math.min(...typed.map((text) => edits(text, one)));
    if (distance >= least) continue;
    least = distance;
    best = one;
  }
  if (best !== undefined) return `did you mean '${best}'?`;
  const word = name.startsWith('/') || /\s/.test(name) ? '' : ` ${(rest || name).split(':')[0]}`;
  return `\`maru policy list${word}\` shows those there are`;
}
