import type { AccessRule } from '../../core/context.js';
import type { ServiceName } from './operation.js';

/** Service types under which rules may name a service, besides its own. */
const TYPES: Readonly<Partial<Record<ServiceName, readonly string[]>>> = {
  volume: ['volumev3', 'block-storage', 'volumev2', 'volume'],
};

/** Paths of the APIs are far shorter; bounds the time that matching takes. */
const LONGEST_PATH = 1024;

/** True when one of the rules of an application credential covers the request. `path` is that below the service's prefix. */
export function coveredByRules(
  rules: readonly AccessRule[],
  service: ServiceName,
  method: string,
  path: string,
): boolean {
  if (path.length > LONGEST_PATH) return false;
  const types = TYPES[service] ?? [service];
  return rules.some(
    (rule) =>
      types.includes(rule.service) && rule.method.toUpperCase() === method && pattern(rule.path).test(path),
  );
}

const compiled = new Map<string, RegExp>();

/** `*` and `{name}` stand for one segment of the path, `**` for anything. */
function pattern(path: string): RegExp {
  let regexp = compiled.get(path);
  if (!regexp) {
    const source = path
      .split(/(\*\*|\*|\{[^}]*\})/)
      .map((part, i) => (i % 2 === 0 ? escapeRegExp(part) : part === '**' ? '.*' : '[^/]+'))
      .join('');
    regexp = new RegExp(`^${source}$`);
    if (compiled.size >= 1000) compiled.clear();
    compiled.set(path, regexp);
  }
  return regexp;
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
