/** JSON schemas of the image API: what requests are checked against and what `/v2/schemas/…` publishes. */

const UUID = '^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$';

export const CONTAINER_FORMATS = [
  null,
  'ami',
  'ari',
  'aki',
  'bare',
  'ovf',
  'ova',
  'docker',
  'compressed',
] as const;
export const DISK_FORMATS = [
  null,
  'ami',
  'ari',
  'aki',
  'vhd',
  'vhdx',
  'vmdk',
  'raw',
  'qcow2',
  'vdi',
  'iso',
  'ploop',
] as const;

const TAGS = { type: 'array', items: { type: 'string', maxLength: 255 }, maxItems: 128 };
const SIZE_LIMIT = { type: 'integer', minimum: 0, maximum: 2_147_483_647 };

/** Attributes that a client may set at creation; everything else is a custom property. */
export const SETTABLE = {
  id: { type: 'string', description: 'An identifier for the image', pattern: UUID },
  name: { type: ['null', 'string'], description: 'Descriptive name for the image', maxLength: 255 },
  visibility: {
    type: 'string',
    description: 'Scope of image accessibility',
    enum: ['community', 'public', 'private', 'shared'],
  },
  protected: { type: 'boolean', description: 'If true, image will not be deletable.' },
  os_hidden: {
    type: 'boolean',
    description: 'If true, image will not appear in default image list response.',
  },
  owner: { type: ['null', 'string'], description: 'Owner of the image', maxLength: 255 },
  container_format: {
    type: ['null', 'string'],
    description: 'Format of the container',
    enum: CONTAINER_FORMATS,
  },
  disk_format: { type: ['null', 'string'], description: 'Format of the disk', enum: DISK_FORMATS },
  min_disk: { ...SIZE_LIMIT, description: 'Amount of disk space (in GB) required to boot image.' },
  min_ram: { ...SIZE_LIMIT, description: 'Amount of ram (in MB) required to boot image.' },
  tags: { ...TAGS, description: 'List of strings related to the image' },
} as const;

const READ_ONLY = {
  status: {
    type: 'string',
    readOnly: true,
    description: 'Status of the image',
    enum: [
      'queued',
      'saving',
      'active',
      'killed',
      'deleted',
      'uploading',
      'importing',
      'pending_delete',
      'deactivated',
    ],
  },
  checksum: {
    type: ['null', 'string'],
    readOnly: true,
    description: 'md5 hash of image contents.',
    maxLength: 32,
  },
  os_hash_algo: {
    type: ['null', 'string'],
    readOnly: true,
    description: 'Algorithm to calculate the os_hash_value',
    maxLength: 64,
  },
  os_hash_value: {
    type: ['null', 'string'],
    readOnly: true,
    description: 'Hexdigest of the image contents using the algorithm specified by the os_hash_algo',
    maxLength: 128,
  },
  size: { type: ['null', 'integer'], readOnly: true, description: 'Size of image file in bytes' },
  virtual_size: { type: ['null', 'integer'], readOnly: true, description: 'Virtual size of image in bytes' },
  created_at: { type: 'string', readOnly: true, description: 'Date and time of image registration' },
  updated_at: { type: 'string', readOnly: true, description: 'Date and time of the last image modification' },
  self: { type: 'string', readOnly: true, description: 'An image self url' },
  file: { type: 'string', readOnly: true, description: 'An image file url' },
  schema: { type: 'string', readOnly: true, description: 'An image schema url' },
} as const;

/** Properties with a meaning that is common to all clouds. */
const COMMON = {
  kernel_id: { type: ['null', 'string'], pattern: UUID, is_base: false },
  ramdisk_id: { type: ['null', 'string'], pattern: UUID, is_base: false },
  instance_uuid: { type: 'string', is_base: false },
  architecture: { type: 'string', is_base: false },
  os_distro: { type: 'string', is_base: false },
  os_version: { type: 'string', is_base: false },
  description: { type: 'string', is_base: false },
} as const;

export const CREATE_IMAGE = {
  type: 'object',
  properties: { ...SETTABLE, ...COMMON },
  additionalProperties: { type: 'string' },
  maxProperties: 160,
} as const;

export const IMAGE_SCHEMA = {
  name: 'image',
  properties: { ...SETTABLE, ...READ_ONLY, ...COMMON },
  additionalProperties: { type: 'string' },
  links: [
    { rel: 'self', href: '{self}' },
    { rel: 'enclosure', href: '{file}' },
    { rel: 'describedby', href: '{schema}' },
  ],
} as const;

export const IMAGES_SCHEMA = {
  name: 'images',
  properties: {
    images: { type: 'array', items: IMAGE_SCHEMA },
    first: { type: 'string' },
    next: { type: 'string' },
    schema: { type: 'string' },
  },
  links: [
    { rel: 'first', href: '{first}' },
    { rel: 'next', href: '{next}' },
    { rel: 'describedby', href: '{schema}' },
  ],
} as const;

export const MEMBER_SCHEMA = {
  name: 'member',
  properties: {
    member_id: { type: 'string', description: 'An identifier for the image member (tenantId)' },
    image_id: { type: 'string', description: 'An identifier for the image', pattern: UUID },
    created_at: { type: 'string', description: 'Date and time of image member creation' },
    updated_at: { type: 'string', description: 'Date and time of last modification of image member' },
    status: {
      type: 'string',
      description: 'The status of this image member',
      enum: ['pending', 'accepted', 'rejected'],
    },
    schema: { readOnly: true, type: 'string' },
  },
} as const;

export const MEMBERS_SCHEMA = {
  name: 'members',
  properties: { members: { type: 'array', items: MEMBER_SCHEMA }, schema: { type: 'string' } },
  links: [{ rel: 'describedby', href: '{schema}' }],
} as const;

export const ADD_MEMBER = {
  type: 'object',
  properties: { member: { type: 'string', minLength: 1, maxLength: 255 } },
  required: ['member'],
} as const;

export const ANSWER_OFFER = {
  type: 'object',
  properties: { status: { type: 'string', enum: ['pending', 'accepted', 'rejected'] } },
  required: ['status'],
} as const;

/** A list of JSON-patch operations (v2.1: op, path, value). */
export const PATCH_IMAGE = {
  type: 'array',
  items: {
    type: 'object',
    properties: {
      op: { type: 'string', enum: ['add', 'replace', 'remove'] },
      path: { type: 'string', pattern: '^/' },
    },
    required: ['op', 'path'],
  },
} as const;
