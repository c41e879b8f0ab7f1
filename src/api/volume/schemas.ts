/** Request schemas of the volume API. */

const TEXT = { type: ['string', 'null'], maxLength: 255 };
const METADATA_MAP = {
  type: 'object',
  patternProperties: { '^[\\s\\S]{1,255}$': { type: 'string', maxLength: 255 } },
  additionalProperties: false,
};

export const CREATE_VOLUME = {
  type: 'object',
  properties: {
    volume: {
      type: 'object',
      properties: {
        size: {
          anyOf: [
            { type: 'integer', minimum: 1, maximum: 2_147_483_647 },
            { type: 'string', pattern: '^[1-9][0-9]{0,9}$' },
            { type: 'null' },
          ],
        },
        name: TEXT,
        display_name: TEXT,
        description: TEXT,
        display_description: TEXT,
        volume_type: TEXT,
        availability_zone: TEXT,
        metadata: { ...METADATA_MAP, type: ['object', 'null'] },
        imageRef: { type: ['string', 'null'] },
        image_id: { type: ['string', 'null'] },
        multiattach: { type: ['boolean', 'null'] },
        snapshot_id: { type: ['string', 'null'] },
        source_volid: { type: ['string', 'null'] },
        backup_id: { type: ['string', 'null'] },
        consistencygroup_id: { type: ['string', 'null'] },
        group_id: { type: ['string', 'null'] },
      },
    },
    'OS-SCH-HNT:scheduler_hints': { type: ['object', 'null'] },
  },
  required: ['volume'],
  additionalProperties: false,
} as const;

export const UPDATE_VOLUME = {
  type: 'object',
  properties: {
    volume: {
      type: 'object',
      properties: {
        name: TEXT,
        display_name: TEXT,
        description: TEXT,
        display_description: TEXT,
        metadata: { ...METADATA_MAP, type: ['object', 'null'] },
      },
      additionalProperties: false,
      minProperties: 1,
    },
  },
  required: ['volume'],
  additionalProperties: false,
} as const;

export const METADATA = {
  type: 'object',
  properties: { metadata: METADATA_MAP },
  required: ['metadata'],
  additionalProperties: false,
} as const;

export const METADATA_ITEM = {
  type: 'object',
  properties: { meta: { ...METADATA_MAP, minProperties: 1, maxProperties: 1 } },
  required: ['meta'],
  additionalProperties: false,
} as const;
