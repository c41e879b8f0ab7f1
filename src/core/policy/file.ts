import { readFileSync } from 'node:fs';
import { parseSecretYaml } from '../../protocol/secret-text.js';
import { parseRule } from './parse.js';
import type { Rules } from './problems.js';

/** The rules of a policy file (YAML or JSON, as oslo.policy's); none without a file. Throws with the file and the rule. */
export function readPolicyFile(file: string | null): Rules {
  if (file === null) return new Map();
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new Error(`policy file ${file} cannot be read: ${(error as Error).message}`, { cause: error });
  }
  const rules = parsePolicies(text, `policy file ${file}`);
  for (const [name, rule] of rules) {
    try {
      parseRule(rule);
    } catch (error) {
      throw new Error(`policy file ${file}, ${name}: ${(error as Error).message}`, { cause: error });
    }
  }
  return rules;
}

/** The rules in a text of that format, not yet looked at. `what` names the text in errors. */
export function parsePolicies(text: string, what: string): Rules {
  let content: unknown;
  try {
    // it has no secrets, but a file that was named by mistake may
    content = parseSecretYaml(text) ?? {};
  } catch (error) {
    throw new Error(`${what} cannot be read: ${(error as Error).message}`, { cause: error });
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    throw new Error(`${what}: expected a mapping of policy names to rules`);
  }
  return new Map(Object.entries(content));
}
