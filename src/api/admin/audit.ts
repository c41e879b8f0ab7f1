import { lowestAuditId } from '../../core/audit/id.js';
import { listAuditRecords, showAuditRecord } from '../../core/audit/read.js';
import { badRequest } from '../../core/errors.js';
import type { Operation, OpRequest } from '../shared/operation.js';

const MOST = 1_000;
const USUAL = 100;
const ADMIN = 'rule:context_is_admin';
const TEXT = { type: 'string', minLength: 1, maxLength: 255 } as const;
const TIME = { type: 'string', maxLength: 40 } as const;

/** Who did what. */
export const auditOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/v1/audit',
    policy: { name: 'maru:audit:list', rule: ADMIN },
    summary: 'List who did what, the latest first',
    status: 200,
    query: {
      type: 'object',
      properties: {
        user: TEXT,
        project: TEXT,
        action: TEXT,
        service: TEXT,
        outcome: { enum: ['unfinished', 'succeeded', 'refused', 'failed'] },
        status: { type: 'string', pattern: '^[1-5]\\d\\d$' },
        target: TEXT,
        target_type: TEXT,
        request_id: TEXT,
        address: TEXT,
        since: TIME,
        until: TIME,
        limit: { type: 'string', pattern: '^[1-9]\\d{0,3}$' },
        marker: { type: 'string', pattern: '^[0-9a-f-]{36}$' },
      },
      additionalProperties: false,
    },
    handler: async ({ app, query }) => {
      const limit = Math.min(MOST, query.limit === undefined ? USUAL : Number(query.limit));
      return await listAuditRecords(app, filterOf(query), limit);
    },
  },
  {
    method: 'GET',
    path: '/v1/audit/:id',
    policy: { name: 'maru:audit:show', rule: ADMIN },
    summary: 'Show one record of who did what',
    status: 200,
    handler: async ({ app, params }) => ({ record: await showAuditRecord(app, params.id!) }),
  },
];

function filterOf(query: OpRequest['query']) {
  const one = (name: string) => (query[name] === undefined ? undefined : String(query[name]));
  const until = timeOf('until', one('until'));
  const below = [one('marker'), until === undefined ? undefined : lowestAuditId(until)].filter(
    (id) => id !== undefined,
  );
  const since = timeOf('since', one('since'));
  const outcome = one('outcome');
  const status = one('status');
  return {
    user: one('user'),
    project: one('project'),
    action: one('action'),
    service: one('service'),
    outcome: outcome === 'unfinished' ? 'begun' : outcome,
    status: status === undefined ? undefined : Number(status),
    target: one('target'),
    targetType: one('target_type'),
    requestId: one('request_id'),
    address: one('address'),
    from: since === undefined ? undefined : lowestAuditId(since),
    below: below.sort()[0],
  };
}

/** Milliseconds since 1970 of an ISO 8601 time; without a zone it is UTC. */
function timeOf(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const zoned = /(Z|[+-]\d\d:?\d\d)$/i.test(text) || !text.includes('T') ? text : `${text}Z`;
  const time = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(zoned) : Number.NaN;
  if (Number.isNaN(time)) throw badRequest(`${name} '${text}' is no time such as 2030-01-31T09:00:00Z.`);
  return time;
}
