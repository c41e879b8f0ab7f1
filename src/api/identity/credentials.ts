import {
  type CredentialBody,
  createCredential,
  deleteCredential,
  getCredential,
  listCredentials,
  maySeeSecret,
  mayTouch,
  type OpenCredential,
  updateCredential,
} from '../../core/credential/credential.js';
import { MaruError } from '../../core/errors.js';
import { credentials } from '../../store/identity/delegations.js';
import type { Operation, OpRequest } from '../shared/operation.js';
import { collection, columnFilters } from './lists.js';
import { ANY_ADMIN, ANYBODY, policy } from './policy.js';
import { enveloped, ID, ID_OR_NULL } from './schemas.js';

const OWNER = 'user_id:%(target.credential.user_id)s';
const PROPERTIES = {
  user_id: ID,
  project_id: ID_OR_NULL,
  type: { type: 'string', minLength: 1, maxLength: 255 },
  blob: { type: 'string', maxLength: 65_536 },
};

type Body = { credential: CredentialBody };

/** Credentials of users: secrets of any kind, of which EC2 key pairs and TOTP seeds mean something here. */
export const credentialOperations: readonly Operation[] = [
  {
    method: 'POST',
    path: '/v3/credentials',
    policy: policy('create_credential', `${ANY_ADMIN} or ${OWNER}`),
    target: ({ body, ctx }) => ({
      'target.credential.user_id': (body as Partial<Body> | undefined)?.credential?.user_id ?? ctx.userId,
    }),
    summary: 'create a credential',
    body: enveloped('credential', PROPERTIES, ['type', 'blob']),
    status: 201,
    async handler(request: OpRequest<Body>) {
      const { app, ctx, body } = request;
      const { credential } = body;
      const owner = credential.user_id ?? ctx.userId;
      return {
        credential: view(request, await createCredential(app, ctx, { ...credential, user_id: owner })),
      };
    },
  },
  {
    method: 'GET',
    path: '/v3/credentials',
    policy: policy('list_credentials', ANYBODY),
    summary: 'list credentials',
    status: 200,
    async handler(request) {
      const { app, ctx } = request;
      const all = ctx.isAdmin || ctx.allows('system_reader');
      const filters = columnFilters(request, { text: ['user_id', 'type', 'project_id'] });
      const others = !all && (filters.user_id ?? ctx.userId) !== ctx.userId;
      const found = others
        ? []
        : await listCredentials(app, { ...filters, ...(!all && { user_id: ctx.userId }) });
      return collection(
        request,
        'credentials',
        found
          .filter((credential) => mayTouch(ctx, credential))
          .map((credential) => view(request, credential)),
      );
    },
  },
  {
    method: 'GET',
    path: '/v3/credentials/:credential_id',
    policy: policy('get_credential', `${ANY_ADMIN} or rule:system_reader or ${OWNER}`),
    target: credentialTarget,
    summary: 'show a credential',
    status: 200,
    async handler(request) {
      const { app, ctx, params } = request;
      return { credential: view(request, await getCredential(app, ctx, params.credential_id!)) };
    },
  },
  {
    method: 'PATCH',
    path: '/v3/credentials/:credential_id',
    policy: policy('update_credential', `${ANY_ADMIN} or ${OWNER}`),
    target: credentialTarget,
    summary: 'change a credential',
    body: enveloped('credential', PROPERTIES),
    status: 200,
    async handler(request: OpRequest<Body>) {
      const { app, ctx, params, body } = request;
      const owner = body.credential.user_id;
      if (owner !== undefined && owner !== ctx.userId && !ctx.isAdmin) {
        throw new MaruError('forbidden', 'A credential can only be given away by an administrator.');
      }
      return {
        credential: view(request, await updateCredential(app, ctx, params.credential_id!, body.credential)),
      };
    },
  },
  {
    method: 'DELETE',
    path: '/v3/credentials/:credential_id',
    policy: policy('delete_credential', `${ANY_ADMIN} or ${OWNER}`),
    target: credentialTarget,
    summary: 'delete a credential',
    status: 204,
    handler: ({ app, ctx, params }) => deleteCredential(app, ctx, params.credential_id!),
  },
];

async function credentialTarget({ app, params }: OpRequest) {
  const row = await credentials.get(app.store.read, params.credential_id!);
  return { 'target.credential.user_id': row?.user_id ?? '' };
}

/** The secret is for its owner and administrators: whoever else may read the rest could log in with it. */
function view({ ctx, baseUrl }: OpRequest, { id, user_id, project_id, type, blob }: OpenCredential) {
  const links = { self: `${baseUrl}/v3/credentials/${id}` };
  return { id, user_id, project_id, type, ...(maySeeSecret(ctx, user_id) && { blob }), links };
}
