import type { Candidate, PlacementRequest } from './candidate.js';

const PREFIX = 'aggregate_instance_extra_specs:';

/** Why a flavor's wishes about aggregates keep its servers from a host; null when the host's aggregates meet them. */
export function aggregateReason(host: Candidate, { extra_specs }: PlacementRequest): string | null {
  const missing: string[] = [];
  for (const [name, wanted] of Object.entries(extra_specs)) {
    if (!name.startsWith(PREFIX)) continue;
    const key = name.slice(PREFIX.length);
    const values = host.aggregates.flatMap(({ metadata }) => list(metadata[key]));
    if (values.some((value) => matches(value, wanted))) continue;
    missing.push(`${key} ${wanted}${values.length ? ` (it is ${values.join(', ')})` : ''}`);
  }
  return missing.length === 0 ? null : `none of its aggregates has ${missing.join(' and ')}`;
}

/** Why a host is kept for other projects (`filter_tenant_id` of an aggregate of it); null when it is not. */
export function tenantReason(host: Candidate, { project_id }: PlacementRequest): string | null {
  for (const { name, metadata } of host.aggregates) {
    const tenants = Object.entries(metadata).flatMap(([key, value]) =>
      key.startsWith('filter_tenant_id') ? list(value) : [],
    );
    if (tenants.length > 0 && (project_id === null || !tenants.includes(project_id))) {
      return `its aggregate ${name} is kept for certain projects, this one is not among them`;
    }
  }
  return null;
}

function list(text: string | undefined): string[] {
  return text === undefined ? [] : text.split(',').map((value) => value.trim());
}

type Comparison = (value: string, wanted: string) => boolean;

const compare =
  (test: (a: number, b: number) => boolean): Comparison =>
  (value, wanted) =>
    test(Number(value), Number(wanted));

/** Operators of extra specs, as Nova has them; `=` means "at least". */
const OPERATORS: Readonly<Record<string, Comparison>> = {
  '=': compare((a, b) => a >= b),
  '==': compare((a, b) => a === b),
  '!=': compare((a, b) => a !== b),
  '>=': compare((a, b) => a >= b),
  '<=': compare((a, b) => a <= b),
  's==': (value, wanted) => value === wanted,
  's!=': (value, wanted) => value !== wanted,
  '<in>': (value, wanted) => value.includes(wanted),
};

/** Whether a value is what an extra spec asks for: `text`, `<or> a <or> b`, or an operator and an operand. */
export function matches(value: string, wanted: string): boolean {
  const words = wanted.trim().split(/\s+/);
  if (words[0] === '<or>') {
    return wanted
      .split('<or>')
      .map((word) => word.trim())
      .filter(Boolean)
      .includes(value);
  }
  const operator = OPERATORS[words[0] ?? ''];
  if (!operator || words.length < 2) return value === wanted.trim();
  return operator(value, words.slice(1).join(' '));
}
