import { badRequest } from '../../core/errors.js';
import { collectLogs } from '../../core/log/collect.js';
import { LOG_LEVELS, type LogLevel } from '../../protocol/log.js';
import { type LogQuery, MOST_LOG_LINES } from '../../protocol/log-query.js';
import type { Operation } from '../shared/operation.js';

const DEFAULT_LIMIT = 1_000;

/** What programs have logged about a request or an object. */
export const logOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/v1/logs',
    policy: { name: 'maru:logs:list', rule: 'rule:context_is_admin' },
    summary: 'What this controller and the agents have logged, by request, object, host, time and weight',
    status: 200,
    query: {
      type: 'object',
      properties: {
        request_id: { type: 'string', pattern: '^req-[0-9a-f-]{36}$' },
        /** Id of a server or anything else that lines name. */
        object_id: { type: 'string', pattern: '^[A-Za-z0-9-]{8,64}$' },
        host: { type: 'string', maxLength: 255 },
        since: { type: 'string', maxLength: 40 },
        level: { enum: LOG_LEVELS },
        limit: { type: 'string', pattern: '^[0-9]{1,5}$' },
      },
      additionalProperties: false,
    },
    handler: async ({ app, query }) =>
      await collectLogs(
        app,
        readQuery(query as Record<string, string>),
        (query.host as string) ?? null,
        (query.request_id as string) ?? null,
      ),
  },
];

function readQuery(query: Readonly<Record<string, string | undefined>>): LogQuery {
  const { object_id, since = null, level = 'debug' } = query;
  if (since !== null && Number.isNaN(Date.parse(since))) throw badRequest(`since '${since}' is not a time.`);
  const limit = Number(query.limit ?? DEFAULT_LIMIT);
  if (limit < 1 || limit > MOST_LOG_LINES) throw badRequest(`limit must be from 1 to ${MOST_LOG_LINES}.`);
  return {
    mentions: [object_id].filter((id) => id !== undefined),
    since,
    level: level as LogLevel,
    limit,
  };
}
