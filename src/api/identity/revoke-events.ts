import { badRequest, MaruError } from '../../core/errors.js';
import { timeText } from '../../core/token/times.js';
import { listRevocations, type RevocationRow } from '../../store/identity/tokens.js';
import type { Operation } from '../shared/operation.js';
import { parameter } from './lists.js';
import { policy } from './policy.js';

/** Attribute of an event by what its revocation is about. */
const SUBJECTS = {
  token: 'audit_id',
  user: 'user_id',
  project: 'project_id',
  domain: 'domain_id',
} as const satisfies Record<RevocationRow['kind'], string>;

/** What was revoked and may still be in somebody's cache; and the operations of PKI tokens, which Keystone has taken away. */
export const revokeEventOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/v3/OS-REVOKE/events',
    policy: policy('list_revoke_events', 'rule:admin_required or role:service'),
    summary: 'list revocations of tokens',
    status: 200,
    async handler(request) {
      const since = parameter(request, 'since');
      const rows = await listRevocations(
        request.app.store.read,
        since === undefined ? undefined : timeOf(since),
      );
      const self = `${request.baseUrl}/v3/OS-REVOKE/events`;
      return { events: rows.map(view), links: { next: null, self, previous: null } };
    },
  },
  ...['/v3/OS-SIMPLE-CERT/ca', '/v3/OS-SIMPLE-CERT/certificates'].map((path) =>
    gone(path, 'This API is no longer available due to the removal of support for PKI tokens.'),
  ),
  gone('/v3/auth/tokens/OS-PKI/revoked', 'The resource is no longer available at this server.'),
];

function gone(path: string, message: string): Operation {
  return {
    method: 'GET',
    path,
    policy: null,
    summary: 'refuse: Keystone no longer has it',
    status: 410,
    handler() {
      throw new MaruError('not-found', message, { status: 410 });
    },
  };
}

function view({ kind, subject, issued_until }: RevocationRow) {
  const until = timeText(Date.parse(issued_until));
  return { [SUBJECTS[kind]]: subject, issued_before: until, revoked_at: until };
}

function timeOf(text: string): string {
  const time = Date.parse(/(Z|[+-]\d\d:?\d\d)$/i.test(text) ? text : `${text}Z`);
  if (Number.isNaN(time)) throw badRequest(`invalidate date format ${text}`);
  return new Date(time).toISOString();
}
