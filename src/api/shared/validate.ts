import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import ajvFormats from 'ajv-formats';
import { SECRET_NAME } from '../../core/audit/detail.js';
import { badRequest } from '../../core/errors.js';
import { MASK } from '../../protocol/config/secrets.js';
import type { Schema } from './operation.js';

const ajv = new Ajv2020({ strict: false, allErrors: false, verbose: true, allowUnionTypes: true });
ajvFormats.default(ajv);

const compiled = new WeakMap<Schema, ValidateFunction>();
/** ajv never forgets what it compiled: schemas that are put together per request must meet their first compilation again. */
const compiledByText = new Map<string, ValidateFunction>();

/**
 * Checks a value against a schema; throws a 400 whose message names the attribute, its value and what is wrong, in the
 * wording of the services' own validator (`Invalid input for field/attribute name. Value: 1. 1 is not of type 'string'`).
 */
export function validate(schema: Schema, value: unknown): void {
  let check = compiled.get(schema);
  if (!check) {
    const text = JSON.stringify(schema);
    check = compiledByText.get(text) ?? ajv.compile(schema);
    compiledByText.set(text, check);
    compiled.set(schema, check);
  }
  if (check(value)) return;
  throw badRequest(describe(check.errors?.[0]));
}

function describe(error: ErrorObject | undefined): string {
  if (!error) return 'Invalid request body';
  const fields = error.instancePath.split('/').filter(Boolean).map(decodePointer);
  // whatever its type, and whatever it is put into
  const value = fields.some(isSecretName) ? MASK : show(error.data);
  return `Invalid input for field/attribute ${fields.join('.').split('.').at(-1) || 'body'}. Value: ${value}. ${reason(error, value)}`;
}

function reason(error: ErrorObject, value: string): string {
  const params = error.params as Record<string, unknown>;
  switch (error.keyword) {
    case 'required':
      return `'${params.missingProperty}' is a required property`;
    case 'additionalProperties':
      return `Additional properties are not allowed ('${params.additionalProperty}' was unexpected)`;
    case 'type':
      return `${value} is not of type ${[params.type]
        .flat()
        .map((t) => `'${t}'`)
        .join(', ')}`;
    case 'enum':
      return `${value} is not one of ${JSON.stringify(params.allowedValues)}`;
    case 'minLength':
      return `${value} is too short`;
    case 'maxLength':
      return `${value} is too long`;
    case 'pattern':
      return `${value} does not match '${params.pattern}'`;
    case 'minimum':
      return `${value} is less than the minimum of ${params.limit}`;
    case 'maximum':
      return `${value} is greater than the maximum of ${params.limit}`;
    case 'format':
      return `${value} is not a '${params.format}'`;
    default:
      return `${value} ${error.message}`;
  }
}

/** Secrets must not come back in messages; long values are cut. */
function show(value: unknown): string {
  const text = JSON.stringify(value, (key, v) => (isSecretName(key) ? MASK : v)) ?? 'undefined';
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}

function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name) || /pass|secret|token|private/i.test(name);
}

function decodePointer(part: string): string {
  return part.replaceAll('~1', '/').replaceAll('~0', '~');
}
