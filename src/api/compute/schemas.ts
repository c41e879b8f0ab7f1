import type { Schema } from '../shared/operation.js';

/** Pieces that many request bodies of the compute API are made of. */

/** A name: something printable, not beginning or ending with white space. */
export const NAME: Schema = {
  type: 'string',
  minLength: 1,
  maxLength: 255,
  pattern: '^(?!\\s)[^\\u0000-\\u001f\\u007f]*[^\\s\\u0000-\\u001f\\u007f]$',
};

export const DESCRIPTION: Schema = { type: ['string', 'null'], minLength: 0, maxLength: 255 };

export const BOOLEAN: Schema = {
  type: ['boolean', 'string'],
  enum: [
    ...[true, 'True', 'TRUE', 'true', '1', 'ON', 'On', 'on', 'YES', 'Yes', 'yes', 'y', 't'],
    ...[false, 'False', 'FALSE', 'false', '0', 'OFF', 'Off', 'off', 'NO', 'No', 'no', 'n', 'f'],
  ],
};

export const UUID: Schema = { type: 'string', format: 'uuid' };

/** Key–value pairs as servers and aggregates have them. */
export const METADATA: Schema = {
  type: 'object',
  patternProperties: { '^[a-zA-Z0-9-_:. ]{1,255}$': { type: 'string', maxLength: 255 } },
  additionalProperties: false,
};

export const TAG: Schema = { type: 'string', minLength: 1, maxLength: 60, pattern: '^[^,/]*$' };

/** A whole number, also written as text. */
export function integer(minimum: number, maximum = 2_147_483_647): Schema {
  return { type: ['integer', 'string'], pattern: '^[0-9]+$', minimum, maximum };
}

/** An object with exactly these properties, some required. */
export function object(
  properties: Readonly<Record<string, Schema>>,
  required: readonly string[] = [],
): Schema {
  return { type: 'object', properties, required, additionalProperties: false };
}

/** A body `{"<key>": {…}}`. */
export function envelope(key: string, schema: Schema): Schema {
  return object({ [key]: schema }, [key]);
}

/** The truth of a value that BOOLEAN accepted. */
export function isTrue(value: unknown): boolean {
  return value === true || ['true', '1', 'on', 'yes', 'y', 't'].includes(String(value).toLowerCase());
}
