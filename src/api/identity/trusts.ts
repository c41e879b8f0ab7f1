import { missing } from '../../core/identity/rows.js';
import { refuseApplicationCredential } from '../../core/token/guards.js';
import { expiryText } from '../../core/token/times.js';
import { isEnded, isOver } from '../../core/trust/chain.js';
import {
  createTrust,
  deleteTrust,
  getTrust,
  isOwnTrust,
  listTrusts,
  type TrustBody,
  trustRoles,
} from '../../core/trust/trust.js';
import { type TrustRow, trusts } from '../../store/identity/delegations.js';
import type { Operation, OpRequest } from '../shared/operation.js';
import { collection, parameter } from './lists.js';
import { ADMIN, ADMIN_OR_READER, policy } from './policy.js';
import { BOOLEAN, enveloped, ID, ID_OR_NULL, TEXT_OR_NULL } from './schemas.js';
import { roleView } from './views.js';

const PATH = '/v3/OS-TRUST/trusts';
const ROLE = `${PATH}/:trust_id/roles/:role_id`;
const TRUSTOR = 'user_id:%(target.trust.trustor_user_id)s';
const TRUSTEE = 'user_id:%(target.trust.trustee_user_id)s';
const READ = `${ADMIN_OR_READER} or ${TRUSTOR} or ${TRUSTEE}`;

/** Policies of lists of one trustor's or trustee's trusts, with their rules. */
export const TRUST_RULES: Readonly<Record<string, string>> = {
  'identity:list_trusts_for_trustor': `${ADMIN_OR_READER} or ${TRUSTOR}`,
  'identity:list_trusts_for_trustee': `${ADMIN_OR_READER} or ${TRUSTEE}`,
};

const BODY = enveloped(
  'trust',
  {
    trustor_user_id: ID,
    trustee_user_id: ID,
    project_id: ID_OR_NULL,
    impersonation: BOOLEAN,
    expires_at: TEXT_OR_NULL,
    remaining_uses: { type: ['integer', 'null'], minimum: 1 },
    roles: {
      type: 'array',
      maxItems: 50,
      items: { type: 'object', properties: { id: { type: 'string' }, name: { type: 'string' } } },
    },
    allow_redelegation: BOOLEAN,
    redelegation_count: { type: ['integer', 'null'], minimum: 0 },
  },
  ['trustor_user_id', 'trustee_user_id', 'impersonation'],
);

type Body = { trust: TrustBody };

/** Trusts: users who let others act with some of their roles. */
export const trustOperations: readonly Operation[] = [
  {
    method: 'POST',
    path: PATH,
    policy: policy('create_trust', TRUSTOR),
    target: ({ body }) => ({
      'target.trust.trustor_user_id': (body as Partial<Body> | undefined)?.trust?.trustor_user_id ?? '',
    }),
    summary: 'create a trust',
    body: BODY,
    status: 201,
    async handler(request: OpRequest<Body>) {
      const row = await createTrust(request.app, request.ctx, request.body.trust);
      return { trust: await view(request, row) };
    },
  },
  {
    method: 'GET',
    path: PATH,
    policy: policy('list_trusts', ADMIN_OR_READER),
    otherPolicy: listPolicy,
    target: listTarget,
    summary: 'list trusts',
    status: 200,
    async handler(request) {
      refuseApplicationCredential(request.ctx, 'trusts.');
      const of = {
        trustor_user_id: parameter(request, 'trustor_user_id'),
        trustee_user_id: parameter(request, 'trustee_user_id'),
      };
      const asked = Object.fromEntries(Object.entries(of).filter(([, id]) => id !== undefined));
      const found = await listTrusts(request.app.store.read, asked);
      const rows = found.filter((row) => isOwnTrust(request.ctx, row));
      return collection(
        request,
        'trusts',
        rows.map((row) => fields(request.baseUrl, row)),
      );
    },
  },
  {
    method: 'GET',
    path: `${PATH}/:trust_id`,
    policy: policy('get_trust', READ),
    target: trustTarget,
    summary: 'show a trust',
    status: 200,
    async handler(request) {
      refuseApplicationCredential(request.ctx, 'trusts.');
      const row = await getTrust(request.app.store.read, request.params.trust_id!);
      return { trust: await view(request, row) };
    },
  },
  {
    method: 'DELETE',
    path: `${PATH}/:trust_id`,
    policy: policy('delete_trust', `${ADMIN} or ${TRUSTOR}`),
    target: trustTarget,
    summary: 'delete a trust',
    status: 204,
    handler: ({ app, ctx, params }) => deleteTrust(app, ctx, params.trust_id!),
  },
  {
    method: 'GET',
    path: `${PATH}/:trust_id/roles`,
    policy: policy('list_roles_for_trust', READ),
    target: trustTarget,
    summary: 'list the roles of a trust',
    status: 200,
    async handler(request) {
      refuseApplicationCredential(request.ctx, 'trusts.');
      const trust = await getTrust(request.app.store.read, request.params.trust_id!);
      const rows = await trustRoles(request.app.store.read, trust);
      return collection(
        request,
        'roles',
        rows.map((row) => roleView(request.baseUrl, row)),
      );
    },
  },
  {
    method: 'GET',
    path: ROLE,
    policy: policy('get_role_for_trust', READ),
    target: trustTarget,
    summary: 'show a role of a trust',
    status: 200,
    handler: async (request) => ({ role: roleView(request.baseUrl, await roleOf(request)) }),
  },
];

async function roleOf({ app, ctx, params }: OpRequest) {
  refuseApplicationCredential(ctx, 'trusts.');
  const trust = await getTrust(app.store.read, params.trust_id!);
  const role = (await trustRoles(app.store.read, trust)).find((row) => row.id === params.role_id);
  if (!role) throw missing('role', params.role_id!);
  return role;
}

/** Lists of all trusts are for administrators; others list those that they gave or got: of a list of both kinds, by what they are. */
function listPolicy(request: OpRequest): string | undefined {
  const [trustor, trustee] = [parameter(request, 'trustor_user_id'), parameter(request, 'trustee_user_id')];
  const asTrustee = trustee !== undefined && (trustor === undefined || trustee === request.ctx.userId);
  if (asTrustee) return 'identity:list_trusts_for_trustee';
  return trustor === undefined ? undefined : 'identity:list_trusts_for_trustor';
}

function listTarget(request: OpRequest) {
  return {
    'target.trust.trustor_user_id': parameter(request, 'trustor_user_id') ?? '',
    'target.trust.trustee_user_id': parameter(request, 'trustee_user_id') ?? '',
  };
}

/** A trust that is over is a 404 for everybody; one that is used up can be deleted, which ends its tokens. */
async function trustTarget({ app, ctx, params, raw }: OpRequest) {
  const row = await trusts.get(app.store.read, params.trust_id!);
  const over = row && (raw.method === 'DELETE' ? isEnded(row) : isOver(row));
  if (!row || over) throw missing('trust', params.trust_id!);
  // that the trustor is a party to them is of no use to who only acts as the trustor
  if (!isOwnTrust(ctx, row)) return {};
  return {
    'target.trust.trustor_user_id': row.trustor_user_id,
    'target.trust.trustee_user_id': row.trustee_user_id,
  };
}

function fields(base: string, row: TrustRow) {
  return {
    id: row.id,
    trustor_user_id: row.trustor_user_id,
    trustee_user_id: row.trustee_user_id,
    project_id: row.project_id,
    impersonation: row.impersonation === 1,
    expires_at: expiryText(row.expires_at, 'Z'),
    remaining_uses: row.remaining_uses,
    redelegated_trust_id: row.redelegated_trust_id,
    redelegation_count: row.redelegation_count,
    deleted_at: row.deleted_at,
    links: { self: `${base}/v3/OS-TRUST/trusts/${row.id}` },
  };
}

async function view({ app, baseUrl }: OpRequest, row: TrustRow) {
  const self = `${baseUrl}/v3/OS-TRUST/trusts/${row.id}/roles`;
  return {
    ...fields(baseUrl, row),
    roles: (await trustRoles(app.store.read, row)).map((role) => roleView(baseUrl, role)),
    roles_links: { next: null, self, previous: null },
  };
}
