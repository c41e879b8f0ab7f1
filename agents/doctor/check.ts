import type { DoctorFinding, Role } from '../../src/protocol/doctor.js';
import type { Fact, Facts } from './facts.js';

export type Found = Omit<DoctorFinding, 'check'>;

/** Names of facts that may be unknown. */
export type FactName = { [K in keyof Facts]: Facts[K] extends Fact<unknown> ? K : never }[keyof Facts];
type ValueOf<K extends FactName> = Extract<Facts[K], { known: true }>['value'];

/** One thing that doctor looks for. */
export interface Check {
  readonly id: string;
  readonly title: string;
  readonly roles: readonly Role[];
  /** Only asked in this phase; in both when absent. */
  readonly phase?: Facts['phase'];
  /** What it goes by: where one of them is not known, neither is the outcome. */
  readonly needs: readonly FactName[];
  readonly find: (facts: Facts) => readonly Found[];
}

/** Declares a check: `find` is pure, and is given the values of what it needs. */
export function check<const K extends FactName>(declared: {
  readonly id: string;
  readonly title: string;
  readonly roles: readonly Role[];
  readonly phase?: Facts['phase'];
  readonly needs: readonly K[];
  readonly find: (known: { readonly [P in K]: ValueOf<P> }, facts: Facts) => readonly Found[];
}): Check {
  const { find, ...rest } = declared;
  return {
    ...rest,
    find: (facts) => {
      const values = rest.needs.map((name) => {
        const one = facts[name] as Fact<unknown>;
        if (!one.known) throw new Error(`${rest.id} is asked without ${name}`);
        return [name, one.value];
      });
      return find(Object.fromEntries(values) as { [P in K]: ValueOf<P> }, facts);
    },
  };
}

export function wrong(what: string, why: string, ...mend: readonly string[]): Found {
  return { severity: 'wrong', what, why, mend };
}

export function warning(what: string, why: string, ...mend: readonly string[]): Found {
  return { severity: 'warning', what, why, mend };
}

/** A word for a shell, in quotes where it needs them. */
export function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** `a, b, c and 4 more`. */
export function some(names: readonly string[], most = 5): string {
  if (names.length <= most) return names.join(', ');
  return `${names.slice(0, most).join(', ')} and ${names.length - most} more`;
}

/** Commands that set a kernel setting now and at boot. */
export function setSysctl(name: string, value: string | number): string[] {
  return [
    `sysctl -w ${name}=${value}`,
    `echo '${name} = ${value}' > /etc/sysctl.d/90-maru-${name.split('.').at(-1)}.conf`,
  ];
}
