import type { Schema } from '../../shared/operation.js';
import { BOOLEAN, DESCRIPTION, integer, METADATA, NAME, object, TAG, UUID } from '../schemas.js';

const NETWORK = {
  fixed_ip: { type: 'string', anyOf: [{ format: 'ipv4' }, { format: 'ipv6' }] },
  port: { anyOf: [UUID, { type: 'null' }] },
  uuid: { type: 'string' },
};
const DEVICE = {
  virtual_name: { type: 'string', maxLength: 255 },
  volume_id: UUID,
  snapshot_id: UUID,
  volume_size: integer(1),
  device_name: { type: 'string', minLength: 1, maxLength: 255, pattern: '^[a-zA-Z0-9._\\-r/]*$' },
  delete_on_termination: BOOLEAN,
  no_device: {},
  connection_info: { type: 'string', maxLength: 16_777_215 },
};
const DEVICE_V2 = {
  ...DEVICE,
  source_type: { type: 'string', enum: ['volume', 'image', 'snapshot', 'blank'] },
  uuid: { type: 'string', minLength: 1, maxLength: 255, pattern: '^[a-zA-Z0-9._-]*$' },
  image_id: UUID,
  destination_type: { type: 'string', enum: ['local', 'volume'] },
  guest_format: { type: 'string', maxLength: 255 },
  device_type: { type: 'string', maxLength: 255 },
  disk_bus: { type: 'string', maxLength: 255 },
  boot_index: { type: ['integer', 'string', 'null'], pattern: '^-?[0-9]+$' },
};
const HOST = { type: 'string', minLength: 1, maxLength: 255, pattern: '^[a-zA-Z0-9-._]*$' };
const BASE64 = { type: 'string', maxLength: 65_535, pattern: '^[A-Za-z0-9+/=\\s]*$' };

const BASE: Readonly<Record<string, Schema>> = {
  name: NAME,
  imageRef: { anyOf: [UUID, { type: 'string', maxLength: 0 }] },
  flavorRef: { type: ['string', 'integer'], minLength: 1 },
  adminPass: { type: 'string' },
  metadata: METADATA,
  networks: list(object(NETWORK)),
  'OS-DCF:diskConfig': { type: 'string', enum: ['AUTO', 'MANUAL'] },
  accessIPv4: { type: 'string', format: 'ipv4' },
  accessIPv6: { type: 'string', format: 'ipv6' },
  personality: list(object({ path: { type: 'string' }, contents: { type: 'string' } })),
  availability_zone: NAME,
  block_device_mapping: list(object(DEVICE)),
  block_device_mapping_v2: list(object(DEVICE_V2)),
  config_drive: BOOLEAN,
  key_name: NAME,
  min_count: integer(1),
  max_count: integer(1),
  return_reservation_id: BOOLEAN,
  security_groups: list(object({ name: NAME })),
  user_data: BASE64,
};

const TAGGED = { ...NETWORK, tag: TAG };
const ZERO_OR_ONE = { type: 'string', enum: ['none', 'auto'] };

/** What each microversion adds to the one before, and takes away (null). */
const STEPS: readonly (readonly [since: string, changes: Readonly<Record<string, Schema | null>>])[] = [
  ['2.1', {}],
  ['2.19', { description: DESCRIPTION }],
  [
    '2.32',
    { networks: list(object(TAGGED)), block_device_mapping_v2: list(object({ ...DEVICE_V2, tag: TAG })) },
  ],
  ['2.33', { block_device_mapping_v2: list(object(DEVICE_V2)) }],
  ['2.37', { networks: { anyOf: [list(object({ ...NETWORK, uuid: UUID })), ZERO_OR_ONE] } }],
  [
    '2.42',
    {
      networks: { anyOf: [list(object({ ...TAGGED, uuid: UUID })), ZERO_OR_ONE] },
      block_device_mapping_v2: list(object({ ...DEVICE_V2, tag: TAG })),
    },
  ],
  ['2.52', { tags: { type: 'array', items: TAG, maxItems: 50 } }],
  ['2.57', { personality: null }],
  [
    '2.63',
    {
      trusted_image_certificates: {
        type: ['array', 'null'],
        minItems: 1,
        maxItems: 50,
        uniqueItems: true,
        items: { type: 'string', minLength: 1 },
      },
    },
  ],
  [
    '2.67',
    {
      block_device_mapping_v2: list(
        object({ ...DEVICE_V2, tag: TAG, volume_type: { type: ['string', 'null'], maxLength: 255 } }),
      ),
    },
  ],
  ['2.74', { host: HOST, hypervisor_hostname: HOST }],
  ['2.90', { hostname: { type: 'string', minLength: 1, maxLength: 63, pattern: '^[a-zA-Z0-9-._]*$' } }],
  ['2.94', { hostname: { type: 'string', minLength: 1, maxLength: 255, pattern: '^[a-zA-Z0-9-._]*$' } }],
];

const HINTS: Schema = {
  type: 'object',
  properties: {
    group: UUID,
    different_host: { anyOf: [UUID, list(UUID)] },
    same_host: { anyOf: [UUID, list(UUID)] },
  },
};

/** Schemas of POST /servers by microversion. */
export const CREATE_SCHEMAS: readonly (readonly [string, Schema])[] = STEPS.map(([since], i) => {
  const properties: Record<string, Schema> = { ...BASE };
  for (const [, changes] of STEPS.slice(0, i + 1)) {
    for (const [name, schema] of Object.entries(changes)) {
      if (schema === null) delete properties[name];
      else properties[name] = schema;
    }
  }
  const required = [
    'name',
    'flavorRef',
    ...(i >= STEPS.findIndex(([v]) => v === '2.37') ? ['networks'] : []),
  ];
  const body = object(
    {
      server: object(properties, required),
      'os:scheduler_hints': HINTS,
      'OS-SCH-HNT:scheduler_hints': HINTS,
    },
    ['server'],
  );
  return [since, body] as const;
});

function list(items: Schema): Schema {
  return { type: 'array', items };
}
