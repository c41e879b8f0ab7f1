import { badRequest, type MaruError } from '../../core/errors.js';
import { invalidInput } from '../../core/network/problems.js';
import { normaliseCidr, tryParseCidr } from '../../net/cidr.js';
import { ipVersion, normaliseIp } from '../../net/ip.js';
import { normaliseMac } from '../../net/mac.js';

/** Turns a value of a request body into what core takes, or throws in Neutron's words. */
export type Converter = (value: unknown, attribute: string) => unknown;

const TRUE = new Set<unknown>([true, 'true', 1, '1']);
const FALSE = new Set<unknown>([false, 'false', 0, '0']);
const UUID = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;

export function toBoolean(value: unknown): boolean {
  const known = typeof value === 'string' ? value.toLowerCase() : value;
  if (TRUE.has(known)) return true;
  if (FALSE.has(known)) return false;
  throw invalidInput(`'${show(value)}' cannot be converted to boolean`);
}

export function toInteger(value: unknown): number {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isInteger(number)) {
    throw invalidInput(`'${show(value)}' is not an integer`);
  }
  return number;
}

/** A text of at most `max` characters. */
export function text(max = 255): Converter {
  return (value, attribute) => {
    if (typeof value !== 'string') throw invalid(attribute, `'${show(value)}' is not a valid string.`);
    if (value.length > max) throw invalid(attribute, `'${value}' exceeds maximum length of ${max}.`);
    return value;
  };
}

/** A text, where null stands for the empty one. */
export function textOrEmpty(max = 255): Converter {
  return (value, attribute) => (value === null ? '' : text(max)(value, attribute));
}

/** The name of a domain, or the empty text: it ends in configuration files of hosts, so nothing else may get through. */
export function domainOrEmpty(value: unknown, attribute: string): string {
  const name = textOrEmpty()(value, attribute) as string;
  if (name === '' || /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?\.?$/i.test(name)) return name;
  throw invalid(attribute, `'${show(value)}' is not a valid domain name.`);
}

export function uuid(value: unknown, attribute: string): string {
  if (typeof value !== 'string' || !UUID.test(value)) {
    throw invalid(attribute, `'${show(value)}' is not a valid UUID.`);
  }
  return value;
}

/** One of some words. */
export function oneOf(...words: readonly (string | number)[]): Converter {
  return (value, attribute) => {
    if (words.includes(value as string)) return value;
    const list = words.map((word) => (typeof word === 'string' ? `'${word}'` : word)).join(', ');
    throw invalid(attribute, `'${show(value)}' is not in [${list}].`);
  };
}

export function ip(value: unknown, attribute: string): string {
  if (typeof value !== 'string' || ipVersion(value) === null) {
    throw invalid(attribute, `'${show(value)}' is not a valid IP address.`);
  }
  return normaliseIp(value);
}

/** A block of addresses without host bits. */
export function subnetCidr(value: unknown, attribute: string): string {
  const parsed = typeof value === 'string' && value.includes('/') ? tryParseCidr(value) : null;
  if (!parsed) throw invalid(attribute, `'${show(value)}' is not a valid IP subnet.`);
  const normal = normaliseCidr(value as string);
  if (parsed.address !== normal.split('/')[0]) {
    throw invalid(attribute, `'${value}' isn't a recognized IP subnet cidr, '${normal}' is recommended.`);
  }
  return normal;
}

export function mac(value: unknown, attribute: string): string {
  try {
    return normaliseMac(String(value));
  } catch {
    throw invalid(attribute, `'${show(value)}' is not a valid MAC address.`);
  }
}

export function orNull(convert: Converter): Converter {
  return (value, attribute) => (value === null ? null : convert(value, attribute));
}

export function listOf(convert: Converter): Converter {
  return (value, attribute) => {
    if (value === null) return [];
    if (!Array.isArray(value)) throw invalid(attribute, `'${show(value)}' is not a list.`);
    return value.map((item) => convert(item, attribute));
  };
}

/** An object with exactly the given keys, those marked `required` present. */
export function object(
  keys: Readonly<Record<string, { readonly convert: Converter; readonly required?: boolean }>>,
): Converter {
  return (value, attribute) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw invalid(attribute, `'${show(value)}' is not a dictionary.`);
    }
    const given = value as Record<string, unknown>;
    const unknown = Object.keys(given).filter((key) => !(key in keys));
    if (unknown.length) {
      throw invalid(
        attribute,
        `Validation of dictionary's keys failed. Unexpected keys: ${unknown.map((k) => `'${k}'`).join(', ')}.`,
      );
    }
    const result: Record<string, unknown> = {};
    for (const [key, { convert, required }] of Object.entries(keys)) {
      if (given[key] !== undefined) result[key] = convert(given[key], attribute);
      else if (required) {
        throw invalid(attribute, `Validation of dictionary's keys failed. Expected keys: '${key}'.`);
      }
    }
    return result;
  };
}

export function anyObject(value: unknown, attribute: string): unknown {
  if (value === null) return {};
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw invalid(attribute, `'${show(value)}' is not a dictionary.`);
  }
  return value;
}

export function invalid(attribute: string, reason: string): MaruError {
  return badRequest(`Invalid input for ${attribute}. Reason: ${reason}`, 'HTTPBadRequest');
}

function show(value: unknown): string {
  const shown = typeof value === 'string' ? value : (JSON.stringify(value) ?? 'None');
  return shown.length > 300 ? `${shown.slice(0, 300)}…` : shown;
}
