import { badRequest } from '../../core/errors.js';
import { showNetwork } from '../../core/trace/show.js';
import { traceNetwork } from '../../core/trace/trace.js';
import { tryParseCidr } from '../../net/cidr.js';
import type { Operation } from '../shared/operation.js';

const ADMIN = 'rule:context_is_admin';
const FLAG = { enum: ['true', 'false'] } as const;

/** What there is of networks on hosts, and where a way is interrupted. Tenants' objects: for administrators only. */
export const traceOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/v1/trace',
    policy: { name: 'maru:network:trace', rule: ADMIN },
    summary: 'Trace the way to a floating IP, port or server, hop by hop',
    status: 200,
    query: {
      type: 'object',
      required: ['target'],
      properties: {
        target: { type: 'string', minLength: 1, maxLength: 255 },
        protocol: { type: 'string', pattern: '^[a-z0-9-]{1,32}$' },
        port: { type: 'string', pattern: '^\\d{1,5}$' },
        from: { type: 'string', maxLength: 64 },
        probe: FLAG,
      },
      additionalProperties: false,
    },
    handler: async ({ app, query }) => {
      const from = query.from === undefined ? null : String(query.from);
      if (from !== null && tryParseCidr(from) === null)
        throw badRequest(`'${from}' is neither an address nor a block.`);
      const port = query.port === undefined ? null : Number(query.port);
      if (port !== null && port > 65_535) throw badRequest(`${port} is no port.`);
      const traffic = { protocol: query.protocol ? String(query.protocol) : null, port, from };
      return { traces: await traceNetwork(app, String(query.target), traffic, query.probe === 'true') };
    },
  },
  {
    method: 'GET',
    path: '/v1/networks/:network',
    policy: { name: 'maru:network:show', rule: ADMIN },
    summary: 'Show what exists for a network on each host',
    status: 200,
    query: {
      type: 'object',
      properties: { host: { type: 'string', minLength: 1, maxLength: 255 } },
      additionalProperties: false,
    },
    handler: async ({ app, params, query }) => ({
      network: await showNetwork(app, params.network!, query.host === undefined ? null : String(query.host)),
    }),
  },
];
