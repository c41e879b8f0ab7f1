import type { Schema } from '../shared/operation.js';

/** Pieces of the request schemas of identity. Unknown attributes are allowed where Keystone keeps them as extras. */
export const ID: Schema = { type: 'string', minLength: 1, maxLength: 64 };
export const ID_OR_NULL: Schema = { type: ['string', 'null'], minLength: 1, maxLength: 64 };
export const NAME: Schema = { type: 'string', minLength: 1, maxLength: 255, pattern: '\\S' };
/** Names of projects and domains. */
export const SHORT_NAME: Schema = { ...NAME, maxLength: 64 };
export const TAG: Schema = { type: 'string', minLength: 1, maxLength: 255, pattern: '^[^,/]*$' };
export const TAGS: Schema = {
  type: 'array',
  maxItems: 80,
  uniqueItems: true,
  items: TAG,
};
export const TEXT_OR_NULL: Schema = { type: ['string', 'null'] };
export const BOOLEAN: Schema = { type: 'boolean' };

export const SHORT_TEXT_OR_NULL: Schema = { ...TEXT_OR_NULL, maxLength: 255 };
export const REGION_OR_NULL: Schema = { type: ['string', 'null'], minLength: 1, maxLength: 255 };
/** -1 stands for no limit. */
export const LIMIT_VALUE: Schema = { type: 'integer', minimum: -1, maximum: 0x7fff_ffff };
/** Options of projects, domains and roles; null takes one away. */
export const OPTIONS: Schema = {
  type: 'object',
  properties: { immutable: { type: ['boolean', 'null'] } },
  additionalProperties: false,
};

/** `{"<name>": [{…}]}`, at least one, with the given properties and no others. */
export function envelopedList(
  name: string,
  properties: Readonly<Record<string, Schema>>,
  required: readonly string[],
  further: Schema = {},
): Schema {
  const items = { type: 'object', properties, required, additionalProperties: false, ...further };
  return {
    type: 'object',
    required: [name],
    properties: { [name]: { type: 'array', minItems: 1, items } },
    additionalProperties: false,
  };
}

/** `{"<name>": {…}}` with the given properties. */
export function enveloped(
  name: string,
  properties: Readonly<Record<string, Schema>>,
  required: readonly string[] = [],
  extra = true,
): Schema {
  return {
    type: 'object',
    required: [name],
    properties: { [name]: { type: 'object', properties, required, additionalProperties: extra } },
  };
}

/** What anybody may send without a token is bounded; an empty text names nothing, which is a refusal as any other. */
const LOGIN_ID: Schema = { type: 'string', maxLength: 64 };
const LOGIN_NAME: Schema = { type: 'string', maxLength: 255 };
const SECRET: Schema = { type: 'string', maxLength: 4096 };

const domainRef = {
  type: 'object',
  properties: { id: LOGIN_ID, name: LOGIN_NAME },
};
const scopedRef = {
  type: 'object',
  properties: { id: LOGIN_ID, name: LOGIN_NAME, domain: domainRef },
};

/** POST /v3/auth/tokens. */
export const AUTH: Schema = {
  type: 'object',
  required: ['auth'],
  properties: {
    auth: {
      type: 'object',
      required: ['identity'],
      properties: {
        identity: {
          type: 'object',
          required: ['methods'],
          properties: {
            methods: { type: 'array', maxItems: 20, items: { type: 'string', maxLength: 64 } },
            password: {
              type: 'object',
              required: ['user'],
              properties: {
                user: {
                  ...scopedRef,
                  required: ['password'],
                  properties: { ...scopedRef.properties, password: SECRET },
                },
              },
            },
            totp: {
              type: 'object',
              required: ['user'],
              properties: {
                user: {
                  ...scopedRef,
                  required: ['passcode'],
                  properties: { ...scopedRef.properties, passcode: { type: 'string', maxLength: 64 } },
                },
              },
            },
            token: { type: 'object', required: ['id'], properties: { id: SECRET } },
            application_credential: {
              type: 'object',
              required: ['secret'],
              properties: {
                id: LOGIN_ID,
                name: LOGIN_NAME,
                secret: SECRET,
                user: scopedRef,
              },
            },
          },
        },
        scope: {
          anyOf: [
            { type: 'string', enum: ['unscoped'] },
            {
              type: 'object',
              properties: {
                project: scopedRef,
                domain: domainRef,
                system: { type: 'object', required: ['all'], properties: { all: { type: 'boolean' } } },
                unscoped: { type: 'object' },
                'OS-TRUST:trust': {
                  type: 'object',
                  required: ['id'],
                  properties: { id: LOGIN_ID },
                },
              },
            },
          ],
        },
      },
    },
  },
};
