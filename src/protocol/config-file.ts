import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

/**
 * Reads one section (`controller` or `agent`) of a configuration file and completes it with defaults, which may depend on
 * what was given. Throws with the file, the key and what is wrong with it: unknown keys and other types are errors.
 */
export function readSection<T extends object>(
  file: string,
  name: 'controller' | 'agent',
  defaults: (given: Readonly<Record<string, unknown>>) => T,
): T {
  const given = section(file, name);
  return complete(file, name, given, defaults(given));
}

function section(file: string, name: string): Record<string, unknown> {
  const all: unknown = parse(readFileSync(file, 'utf8')) ?? {};
  if (typeof all !== 'object' || Array.isArray(all)) throw new Error(`${file}: expected a mapping`);
  const unknown = Object.keys(all as object).filter((k) => k !== 'controller' && k !== 'agent');
  if (unknown.length) throw new Error(`${file}: unknown section '${unknown[0]}' (known: controller, agent)`);
  const found = (all as Record<string, unknown>)[name] ?? {};
  if (typeof found !== 'object' || Array.isArray(found))
    throw new Error(`${file}: '${name}' must be a mapping`);
  return found as Record<string, unknown>;
}

function complete<T extends object>(
  file: string,
  name: string,
  given: Record<string, unknown>,
  defaults: T,
): T {
  for (const [key, value] of Object.entries(given)) {
    if (!(key in defaults)) {
      const known = Object.keys(defaults).join(', ');
      throw new Error(`${file}: unknown key '${name}.${key}' (known: ${known})`);
    }
    const expected = (defaults as Record<string, unknown>)[key];
    if (expected !== null && typeOf(value) !== typeOf(expected)) {
      throw new Error(
        `${file}: '${name}.${key}' must be a ${typeOf(expected)}, not ${JSON.stringify(value)}`,
      );
    }
  }
  return { ...defaults, ...given } as T;
}

function typeOf(value: unknown): string {
  return Array.isArray(value)
    ? 'list'
    : value === null
      ? 'null'
      : typeof value === 'object'
        ? 'mapping'
        : typeof value;
}
