import type { Schema } from '../shared/operation.js';

/** Pieces of the request schemas of identity. Unknown attributes are allowed where Keystone keeps them as extras. */
export const ID: Schema = { type: 'string', minLength: 1, maxLength: 64 };
export const ID_OR_NULL: Schema = { type: ['string', 'null'], minLength: 1, maxLength: 64 };
export const NAME: Schema = { type: 'string', minLength: 1, maxLength: 255, pattern: '\\S' };
/** Names of projects and domains. */
export const SHORT_NAME: Schema = { ...NAME, maxLength: 64 };
export const TAGS: Schema = {
  type: 'array',
  maxItems: 80,
  uniqueItems: true,
  items: { type: 'string', minLength: 1, maxLength: 255, pattern: '^[^,/]*$' },
};
export const TEXT_OR_NULL: Schema = { type: ['string', 'null'] };
export const BOOLEAN: Schema = { type: 'boolean' };

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

const domainRef = {
  type: 'object',
  properties: { id: { type: 'string' }, name: { type: 'string' } },
};
const scopedRef = {
  type: 'object',
  properties: { id: { type: 'string' }, name: { type: 'string' }, domain: domainRef },
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
            methods: { type: 'array', items: { type: 'string' } },
            password: {
              type: 'object',
              required: ['user'],
              properties: {
                user: {
                  ...scopedRef,
                  required: ['password'],
                  properties: { ...scopedRef.properties, password: { type: 'string' } },
                },
              },
            },
            token: { type: 'object', required: ['id'], properties: { id: { type: 'string' } } },
            application_credential: {
              type: 'object',
              required: ['secret'],
              properties: {
                id: { type: 'string' },
                name: { type: 'string' },
                secret: { type: 'string' },
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
                  properties: { id: { type: 'string' } },
                },
              },
            },
          ],
        },
      },
    },
  },
};
