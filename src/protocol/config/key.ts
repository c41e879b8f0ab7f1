import type { SectionName } from './document.js';
import type { ConfigType } from './types.js';

/** What was read or completed so far, for defaults that follow other keys. */
export type Values = Readonly<Record<string, unknown>>;

/** One key of the configuration file: everything that is known of it is said here, once. */
export interface Key<T> {
  readonly type: ConfigType<T>;
  /** May follow keys that are declared before it. */
  readonly default: NoInfer<T> | ((values: Values) => NoInfer<T>);
  /** What the documented file says in place of the value of a default that this machine determines. */
  readonly defaultWords?: string;
  /** A sentence or some, for operators. */
  readonly description: string;
  /** What numbers count. */
  readonly unit?: string;
  /** SIGHUP brings a change into force; otherwise a restart does. */
  readonly reload?: boolean;
  /**
   * Never shown or logged. `KEY_file` may be given instead: the name of a file that holds the value, which nobody but owner and
   * group may read.
   */
  readonly secret?: boolean;
}

export type KeyTable = Readonly<Record<string, Key<unknown>>>;

/** The values of a section with this table. */
export type ValuesOf<T extends Record<string, { readonly type: ConfigType<unknown> }>> = {
  readonly [K in keyof T]: T[K]['type'] extends ConfigType<infer V> ? V : never;
};

/** A section of the file: its keys, and what has to agree among them. */
export interface Section<T extends KeyTable = KeyTable> {
  readonly name: SectionName;
  /** A sentence for the documented file. */
  readonly description: string;
  readonly keys: T;
  /** Notes, with the key to blame, what cannot be together; called with values that are each right. */
  readonly check?: (
    values: ValuesOf<T>,
    complain: (key: keyof T, message: string, hint?: string) => void,
  ) => void;
}

/** Declares a key. */
export function key<T>(type: ConfigType<T>, more: Omit<Key<T>, 'type'>): Key<T> {
  return { type, ...more };
}

/** `database_password` of `database_password_file`, when that is a secret of the table; otherwise null. */
export function secretOf(table: KeyTable, name: string): string | null {
  if (!name.endsWith('_file')) return null;
  const base = name.slice(0, -'_file'.length);
  return table[base]?.secret ? base : null;
}

/** Every name that a section may have: its keys, and the files of its secrets. */
export function namesOf(table: KeyTable): string[] {
  return Object.entries(table).flatMap(([name, { secret }]) => (secret ? [name, `${name}_file`] : [name]));
}

/** The default of a key, given what is known of those before it. */
export function defaultOf(one: Key<unknown>, values: Values): unknown {
  return typeof one.default === 'function' ? (one.default as (v: Values) => unknown)(values) : one.default;
}
