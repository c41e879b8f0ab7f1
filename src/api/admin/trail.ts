import { badRequest } from '../../core/errors.js';
import { isTrailKind, TRAIL_KINDS } from '../../core/trail/kinds.js';
import { readTrail } from '../../core/trail/trail.js';
import type { Operation } from '../shared/operation.js';

const MOST = 2_000;
const USUAL = 500;

/** What happened to objects. */
export const trailOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/v1/trail',
    policy: { name: 'maru:trail:show', rule: 'rule:context_is_admin' },
    summary: 'Show what happened to an object, also after it is gone',
    status: 200,
    query: {
      type: 'object',
      required: ['object'],
      properties: {
        object: { type: 'string', pattern: '^[a-z-]{1,32}/.{1,255}$' },
        limit: { type: 'string', pattern: '^[1-9]\\d{0,3}$' },
        before: { type: 'string', pattern: '^\\d{1,15}$' },
      },
      additionalProperties: false,
    },
    handler: async ({ app, query }) => {
      const [, kind = '', id = ''] = /^([a-z-]+)\/(.+)$/.exec(String(query.object)) ?? [];
      if (!isTrailKind(kind)) {
        throw badRequest(
          `'${kind}' leaves no trail; what does: ${TRAIL_KINDS.join(', ')}. ` +
            `Which requests changed it, and whose, is in the audit: maru audit list --target ${id}`,
        );
      }
      const limit = Math.min(MOST, query.limit === undefined ? USUAL : Number(query.limit));
      const before = query.before === undefined ? {} : { before: Number(query.before) };
      return { trail: await readTrail(app, kind, id, { limit, ...before }) };
    },
  },
];
