import { statSync } from 'node:fs';
import { isIP } from 'node:net';
import { userInfo } from 'node:os';
import { isAbsolute } from 'node:path';
import { isAlias, isMap, isScalar, isSeq, type Node } from 'yaml';
import { didYouMean } from './suggest.js';

/** Notes what is wrong with a part of a value. */
export type Complain = (node: Node, message: string, hint?: string) => void;

/** What a key's value may be. */
export interface ConfigType<out T> {
  /** For messages and the documented file: `a port, 1–65535`. */
  readonly words: string;
  /** The value of a node; undefined after a complaint. */
  readonly read: (node: Node, complain: Complain) => T | undefined;
}

/** Text of which `problem` may find something wrong. */
export function text(
  words = 'a text',
  problem: (value: string) => string | Refusal | null = () => null,
): ConfigType<string> {
  return {
    words,
    read: (node, complain) => {
      const value = isScalar(node) ? node.value : undefined;
      if (typeof value !== 'string') return wrongType(node, words, complain);
      const found = value === '' ? 'it is empty' : problem(value);
      if (found === null) return value;
      const { why, hint } = typeof found === 'string' ? { why: found, hint: '' } : found;
      return refuse(node, words, complain, why, hint);
    },
  };
}

/** Why a value cannot be, and what would do. */
export interface Refusal {
  readonly why: string;
  readonly hint: string;
}

export function number(limits: Limits = {}): ConfigType<number> {
  return numeric(`a number${range(limits)}`, limits, () => null);
}

export function integer(limits: Limits = {}): ConfigType<number> {
  return numeric(`a whole number${range(limits)}`, limits, (value) =>
    Number.isSafeInteger(value) ? null : 'it has a fraction',
  );
}

export interface Limits {
  readonly min?: number;
  readonly max?: number;
  /** Exclusive. */
  readonly above?: number;
}

const UNITS = { ms: 0.001, s: 1, min: 60, m: 60, h: 3600, d: 86_400 } as const;

/** A length of time as a number of seconds, or with a unit (`90s`, `5 min`, `2h`, `1d`); the value is in seconds. */
export function seconds(limits: Limits = {}): ConfigType<number> {
  const words = `a number of seconds, or a time like 90s, 5min, 2h${range(limits)}`;
  const plainNumber = numeric(words, limits, () => null);
  return {
    words,
    read: (node, complain) => {
      const given = isScalar(node) ? node.value : null;
      const bare = typeof given === 'string' && /^\s*\d+(\.\d+)?\s*$/.test(given);
      if (typeof given !== 'string' || bare) return plainNumber.read(node, complain);
      const [, amount, unit] = /^(\d+(?:\.\d+)?)\s*([a-z]+)$/.exec(given.trim()) ?? [];
      if (amount === undefined || unit === undefined) return wrongType(node, words, complain);
      const factor = UNITS[unit as keyof typeof UNITS];
      if (factor === undefined) {
        const known = Object.keys(UNITS).join(', ');
        return refuse(node, words, complain, `'${unit}' is no unit of time`, `units are ${known}`);
      }
      const value = Number((Number(amount) * factor).toFixed(6));
      const problem = outside(value, limits);
      return problem === null ? value : refuse(node, words, complain, problem);
    },
  };
}

export function boolean(): ConfigType<boolean> {
  return {
    words: 'true or false',
    read: (node, complain) => {
      const value = isScalar(node) ? node.value : null;
      if (typeof value === 'boolean') return value;
      const meant = { yes: 'true', on: 'true', no: 'false', off: 'false' }[String(value).toLowerCase()];
      return wrongType(node, 'true or false', complain, meant ? `did you mean ${meant}?` : '');
    },
  };
}

export function oneOf<const T extends string>(...allowed: readonly T[]): ConfigType<T> {
  const words = allowed.length === 2 ? allowed.join(' or ') : `one of ${allowed.join(', ')}`;
  return {
    words,
    read: (node, complain) => {
      const value = isScalar(node) ? node.value : undefined;
      const found = allowed.find((one) => one === value);
      return found ?? wrongType(node, words, complain, didYouMean(String(value ?? ''), allowed));
    },
  };
}

/** Null (nothing) is allowed as well. */
export function optional<T>(type: ConfigType<T>): ConfigType<T | null> {
  return {
    words: `${type.words}; null: none`,
    read: (node, complain) => (isScalar(node) && node.value === null ? null : type.read(node, complain)),
  };
}

/** A host name or address and a port: `127.0.0.1:5000`, `[::1]:5000`, `:5000` (every address). */
export function listenAddress(): ConfigType<string> {
  return text('an address with a port, such as 127.0.0.1:5000 or "[::1]:5000"', (value) => {
    const [, v6, host, port] = /^(?:\[([^\]]*)\]|([^:]*)):(\d+)$/.exec(value) ?? [];
    if (port === undefined) {
      if (isIP(value) === 6) return { why: 'it has no port', hint: `did you mean "[${value}]:5000"?` };
      const bare = /^[\w.-]+$/.test(value) && !/^\d+$/.test(value);
      return bare ? { why: 'it has no port', hint: `did you mean '${value}:5000'?` } : 'it is not';
    }
    if (Number(port) > 65_535) return 'ports end at 65535';
    if (v6 !== undefined && isIP(v6) !== 6) return `'${v6}' is no IPv6 address`;
    if (host && !isHost(host)) return `'${host}' is neither an address nor a host name`;
    return null;
  });
}

/** An IP address. */
export function ipAddress(): ConfigType<string> {
  return text('an IP address', (value) => {
    if (isIP(value) !== 0) return null;
    const [, address] = /^(.+)\/\d+$/.exec(value) ?? [];
    return address !== undefined && isIP(address)
      ? { why: 'it has a prefix length', hint: `did you mean '${address}'?` }
      : 'it is not';
  });
}

/** A name of a machine, or an address. */
export function hostNameOrAddress(): ConfigType<string> {
  return text('a host name or an address', (value) =>
    isIP(value) !== 0 || isHost(value) ? null : 'it is not',
  );
}

/** A URL of one of the schemes (without colon), without user, query and fragment. */
export function url(...schemes: readonly string[]): ConfigType<string> {
  const words = `a URL such as ${schemes[0]}://cloud.example.org:5000`;
  return text(words, (value) => {
    const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(value)?.[1]?.toLowerCase();
    if (scheme === undefined)
      return { why: 'it has no scheme', hint: `did you mean '${schemes[0]}://${value}'?` };
    if (!schemes.includes(scheme)) {
      return {
        why: `it begins with ${scheme}://`,
        hint: `use ${schemes.map((s) => `${s}://`).join(' or ')}`,
      };
    }
    if (!URL.canParse(value)) return 'it cannot be read as one';
    const { username, search, hash } = new URL(value);
    if (username) return 'it names a user';
    return search || hash ? 'it has a query or a fragment' : null;
  });
}

/** A path from the root; relative ones would depend on where the program was started. */
export function path(words = 'a path from the root, such as /var/lib/maru'): ConfigType<string> {
  return text(words, (value) => {
    if (isAbsolute(value)) return null;
    return value.startsWith('~') ? 'a home directory is not looked up here' : 'it does not begin with /';
  });
}

/** A path of a file or directory that has to be there. */
export function existingPath(): ConfigType<string> {
  const any = path('a path from the root, of a file that exists');
  return {
    words: any.words,
    read: (node, complain) => {
      const value = any.read(node, complain);
      if (value === undefined) return undefined;
      const problem = absence(value);
      return problem === null ? value : refuse(node, any.words, complain, problem.why, problem.hint);
    },
  };
}

/** Why a path leads to nothing for the user that this program runs as; null: there is something. */
function absence(path: string): Refusal | null {
  try {
    statSync(path);
    return null;
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return { why: 'there is no such file', hint: '' };
    if (code !== 'EACCES') return { why: message, hint: '' };
    return {
      why: `this user (${userName()}) may not look there (${code})`,
      hint: `sudo namei -l ${path} shows whether it is there, and which directory is closed`,
    };
  }
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // without an entry in the user database
    return `uid ${process.geteuid?.()}`;
  }
}

/** A list of values of a type. */
export function listOf<T>(type: ConfigType<T>): ConfigType<readonly T[]> {
  const words = `a list, each entry ${type.words}`;
  return {
    words,
    read: (node, complain) => {
      if (!isSeq(node)) {
        const one = isScalar(node) && typeof node.value === 'string' ? `did you mean [${node.value}]?` : '';
        return wrongType(node, words, complain, one);
      }
      return whole(node.items.map((item) => type.read(item as Node, complain)));
    },
  };
}

/** A list of exactly two numbers, the lower first. */
export function rangeOf(type: ConfigType<number>): ConfigType<readonly [number, number]> {
  const words = `two numbers, the lower first, such as [1, 4096]; each ${type.words}`;
  return {
    words,
    read: (node, complain) => {
      if (!isSeq(node) || node.items.length !== 2) return wrongType(node, words, complain);
      const [from, to] = node.items.map((item) => type.read(item as Node, complain));
      if (from === undefined || to === undefined) return undefined;
      if (from > to)
        return refuse(node, words, complain, `${from} is above ${to}`, `did you mean [${to}, ${from}]?`);
      return [from, to];
    },
  };
}

/** Names, each with a value; `known`: the only names there are. */
export function mapOf<T>(
  words: string,
  type: ConfigType<T>,
  known?: readonly string[],
): ConfigType<Readonly<Record<string, T>>> {
  return {
    words,
    read: (node, complain) => {
      if (!isMap(node)) return wrongType(node, words, complain);
      const entries = node.items.map(({ key: name, value }) => {
        const word = String(isScalar(name) ? name.value : name);
        if (known && !known.includes(word)) {
          const hint = didYouMean(word, known) || `known: ${known.join(', ')}`;
          complain(name as Node, `cannot have '${word}'`, hint);
          return undefined;
        }
        const read = value
          ? type.read(value as Node, complain)
          : wrongType(name as Node, type.words, complain);
        return read === undefined ? undefined : ([word, read] as const);
      });
      const all = whole(entries);
      return all && Object.fromEntries(all);
    },
  };
}

function numeric(words: string, limits: Limits, also: (value: number) => string | null): ConfigType<number> {
  return {
    words,
    read: (node, complain) => {
      const value = isScalar(node) ? node.value : undefined;
      if (typeof value !== 'number') {
        const meant = typeof value === 'string' && value.trim() !== '' && Number.isFinite(Number(value));
        return wrongType(node, words, complain, meant ? `take the quotes away: ${value}` : '');
      }
      const problem = Number.isFinite(value) ? (outside(value, limits) ?? also(value)) : 'it is not finite';
      return problem === null ? value : refuse(node, words, complain, problem);
    },
  };
}

function outside(value: number, { min, max, above }: Limits): string | null {
  if (above !== undefined && value <= above) return `it is not above ${above}`;
  if (min !== undefined && value < min) return `the least is ${min}`;
  if (max !== undefined && value > max) return `the most is ${max}`;
  return null;
}

function range({ min, max, above }: Limits): string {
  if (above !== undefined) return max === undefined ? `, above ${above}` : `, above ${above}, at most ${max}`;
  if (min !== undefined) return max === undefined ? `, at least ${min}` : ` from ${min} to ${max}`;
  return max === undefined ? '' : `, at most ${max}`;
}

function isHost(name: string): boolean {
  // digits and dots alone are an address that is none
  if (/^[\d.]+$/.test(name)) return isIP(name) === 4;
  return (
    name.length <= 253 && name.split('.').every((label) => /^(?!-)[A-Za-z0-9_-]{1,63}(?<!-)$/.test(label))
  );
}

/** The list, when no entry of it was refused. */
function whole<T>(values: readonly (T | undefined)[]): T[] | undefined {
  return values.includes(undefined) ? undefined : (values as T[]);
}

function wrongType(node: Node, words: string, complain: Complain, hint = ''): undefined {
  complain(node, `must be ${words}, not ${shown(node)}`, hint);
  return undefined;
}

function refuse(node: Node, words: string, complain: Complain, why: string, hint = ''): undefined {
  complain(node, `must be ${words}, not ${shown(node)}: ${why}`, hint);
  return undefined;
}

function shown(node: Node): string {
  if (isMap(node)) return 'a mapping';
  if (isSeq(node)) return `a list of ${node.items.length}`;
  if (isAlias(node)) return `*${node.source}`;
  const value = isScalar(node) ? node.value : null;
  if (value === null) return 'nothing';
  if (typeof value === 'string') return `'${value}'`;
  return typeof value === 'number' || typeof value === 'boolean'
    ? `the ${typeof value} ${value}`
    : String(value);
}
