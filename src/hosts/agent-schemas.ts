/** What agents send, as JSON Schema: malformed messages of a damaged or hostile agent stop here. */

const text = { type: 'string', maxLength: 65_536 };
const line = { type: 'string', maxLength: 1024 };
const addresses = { type: 'array', maxItems: 64, items: { type: 'string', maxLength: 64 } };
const key = {
  type: 'string',
  maxLength: 300,
  pattern: '^(network|dhcp|port|security-group|group-members|router|server|volume)/.+$',
};

const report = {
  type: 'object',
  required: ['key', 'revision', 'state'],
  properties: {
    key,
    revision: { type: ['string', 'null'], maxLength: 64 },
    state: { enum: ['applied', 'error', 'gone', 'held'] },
    error: {
      type: 'object',
      required: ['message'],
      properties: {
        message: text,
        command: text,
        exit_code: { type: ['integer', 'null'] },
        stderr: text,
        hint: text,
      },
    },
    observed: {
      type: 'object',
      required: ['power_state'],
      properties: {
        power_state: { enum: ['running', 'paused', 'shutdown', 'crashed', 'suspended', 'nostate'] },
        launched_at: { type: ['string', 'null'], maxLength: 64 },
      },
    },
  },
} as const;
const order = {
  type: 'object',
  required: ['run', 'number'],
  properties: { run: line, number: { type: 'integer', minimum: 0 } },
} as const;
const reports = { type: 'array', maxItems: 200_000, items: report };

const ips = { type: 'array', maxItems: 1024, items: { type: 'string', maxLength: 64 } } as const;
const providerNetwork = {
  type: 'object',
  required: ['name', 'bridge', 'present', 'addresses', 'gateways', 'neighbours'],
  properties: {
    name: line,
    bridge: line,
    present: { type: 'boolean' },
    unknown: { const: true },
    addresses: ips,
    gateways: ips,
    neighbours: ips,
  },
} as const;

const facts = {
  type: 'object',
  required: [
    'hostname',
    'vcpus',
    'memory_mb',
    'disk_gb',
    'virt_type',
    'physical_networks',
    'underlay_ip',
    'simulated',
  ],
  properties: {
    hostname: line,
    architecture: line,
    vcpus: { type: 'integer', minimum: 0 },
    memory_mb: { type: 'integer', minimum: 0 },
    disk_gb: { type: 'number', minimum: 0 },
    virt_type: { enum: ['kvm', 'qemu', 'fake'] },
    physical_networks: { type: 'array', maxItems: 256, items: line },
    provider_networks: { type: 'array', maxItems: 256, items: providerNetwork },
    underlay_ip: { type: 'string', maxLength: 64 },
    simulated: { type: 'boolean' },
  },
} as const;

export const joinSchema = {
  type: 'object',
  required: ['protocol', 'secret', 'name', 'csr', 'addresses', 'agent_url', 'underlay_ip'],
  properties: {
    protocol: { type: 'integer' },
    secret: line,
    name: line,
    csr: text,
    addresses,
    agent_url: { type: 'string', maxLength: 512, pattern: '^https://' },
    underlay_ip: { type: 'string', maxLength: 64 },
  },
} as const;

export const certificateSchema = {
  type: 'object',
  required: ['csr', 'addresses'],
  properties: { csr: text, addresses },
} as const;

export const reportsSchema = {
  type: 'object',
  required: ['protocol', 'reports'],
  properties: { protocol: { type: 'integer' }, order, reports },
} as const;

export const heartbeatSchema = {
  type: 'object',
  required: [
    'protocol',
    'boot_id',
    'agent_url',
    'incarnation',
    'sequence',
    'digest',
    'reports',
    'orphans',
    'usage',
  ],
  properties: {
    protocol: { type: 'integer' },
    order,
    boot_id: line,
    agent_url: { type: 'string', maxLength: 512, pattern: '^https://' },
    incarnation: { type: ['string', 'null'], maxLength: 64 },
    sequence: { type: 'integer', minimum: 0 },
    as_of: { type: 'integer', minimum: 0 },
    digest: { type: 'string', maxLength: 64 },
    authorities: { type: 'array', maxItems: 16, items: { type: 'string', pattern: '^[0-9a-f]{64}$' } },
    awaiting_confirmation: { const: true },
    facts,
    reports,
    orphans: {
      type: 'array',
      maxItems: 100_000,
      items: {
        type: 'object',
        required: ['kind', 'name', 'detail'],
        properties: { kind: line, name: line, detail: text, object: key },
      },
    },
    drift: {
      type: 'array',
      maxItems: 10_000,
      items: {
        type: 'object',
        required: ['object', 'action', 'detail', 'first_seen', 'state', 'healed_at'],
        properties: {
          object: key,
          action: line,
          detail: text,
          first_seen: { type: 'string', maxLength: 64 },
          state: { enum: ['reported', 'healed'] },
          healed_at: { type: ['string', 'null'], maxLength: 64 },
        },
      },
    },
    usage: {
      type: 'object',
      required: ['memory_used_mb', 'disk_used_gb', 'running_guests'],
      properties: {
        memory_used_mb: { type: 'number' },
        disk_used_gb: { type: 'number' },
        running_guests: { type: 'integer' },
      },
    },
  },
} as const;
