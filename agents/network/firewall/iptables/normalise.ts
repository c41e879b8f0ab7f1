import { PRINTED_PROTOCOLS } from '../protocols.js';

/**
 * One spelling for rules that mean the same: what we write and what iptables-save prints (which differs between versions
 * and backends) are compared in it. Match loads and host masks go, protocols become numbers, options are put in order.
 */
export function normaliseRule(rule: string): string {
  const known = cache.get(rule);
  if (known !== undefined) return known;
  const text = normalise(rule);
  if (cache.size > 100_000) cache.clear();
  cache.set(rule, text);
  return text;
}

const cache = new Map<string, string>();

function normalise(rule: string): string {
  const words = rule.match(/"(?:[^"\\]|\\.)*"|\S+/g) ?? [];
  const options: string[] = [];
  for (let i = 0; i < words.length; i++) {
    const negated = words[i] === '!';
    if (negated) i++;
    const option = words[i]!;
    const values: string[] = [];
    while (i + 1 < words.length && words[i + 1] !== '!' && !/^--?[a-zA-Z]/.test(words[i + 1]!))
      values.push(words[++i]!);
    if (option === '-m' && values[0] !== 'comment') continue;
    options.push(
      `${negated ? '! ' : ''}${option} ${values.map((value) => normaliseValue(option, value)).join(' ')}`.trim(),
    );
  }
  return options.sort().join(' ');
}

function normaliseValue(option: string, value: string): string {
  if (option === '-p') return String(PRINTED_PROTOCOLS[value] ?? value);
  if (option === '-s' || option === '-d') return value.replace(/\/(32|128|255\.255\.255\.255)$/, '');
  return value;
}
