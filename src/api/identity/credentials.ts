import {
  type CredentialBody,
  createCredential,
  createEc2Credential,
  deleteCredential,
  deleteEc2Credential,
  type Ec2Credential,
  getCredential,
  getEc2Credential,
  listCredentials,
  listEc2Credentials,
  type OpenCredential,
  updateCredential,
} from '../../core/credential/credential.js';
import { MaruError } from '../../core/errors.js';
import { credentials } from '../../store/identity/delegations.js';
import { type Operation, OpReply, type OpRequest } from '../shared/operation.js';
import { collection, columnFilters } from './lists.js';
import { ADMIN_OR_READER, ANYBODY, policy } from './policy.js';
import { enveloped, ID, ID_OR_NULL } from './schemas.js';
import { userTarget } from './users.js';

const OWNER = 'user_id:%(target.credential.user_id)s';
const EC2 = '/v3/users/:user_id/credentials/OS-EC2';
const SELF = 'rule:admin_required or user_id:%(target.user.id)s';
const PROPERTIES = {
  user_id: ID,
  project_id: ID_OR_NULL,
  type: { type: 'string', minLength: 1, maxLength: 255 },
  blob: { type: 'string', maxLength: 65_536 },
};

type Body = { credential: CredentialBody };

/** Credentials of users, and EC2 key pairs, which are one kind of them. */
export const credentialOperations: readonly Operation[] = [
  {
    method: 'POST',
    path: '/v3/credentials',
    policy: policy('create_credential', `rule:admin_required or ${OWNER}`),
    target: ({ body, ctx }) => ({
      'target.credential.user_id': (body as Partial<Body> | undefined)?.credential?.user_id ?? ctx.userId,
    }),
    summary: 'create a credential',
    body: enveloped('credential', PROPERTIES, ['type', 'blob']),
    status: 201,
    async handler({ app, ctx, body, baseUrl }: OpRequest<Body>) {
      const { credential } = body;
      const owner = credential.user_id ?? ctx.userId;
      return { credential: view(baseUrl, await createCredential(app, { ...credential, user_id: owner })) };
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
      const found = await listCredentials(app, { ...filters, ...(!all && { user_id: ctx.userId }) });
      return collection(
        request,
        'credentials',
        found.map((credential) => view(request.baseUrl, credential)),
      );
    },
  },
  {
    method: 'GET',
    path: '/v3/credentials/:credential_id',
    policy: policy('get_credential', `${ADMIN_OR_READER} or ${OWNER}`),
    target: credentialTarget,
    summary: 'show a credential',
    status: 200,
    async handler({ app, params, baseUrl }) {
      return { credential: view(baseUrl, await getCredential(app, params.credential_id!)) };
    },
  },
  {
    method: 'PATCH',
    path: '/v3/credentials/:credential_id',
    policy: policy('update_credential', `rule:admin_required or ${OWNER}`),
    target: credentialTarget,
    summary: 'change a credential',
    body: enveloped('credential', PROPERTIES),
    status: 200,
    async handler({ app, ctx, params, body, baseUrl }: OpRequest<Body>) {
      const owner = body.credential.user_id;
      if (owner !== undefined && owner !== ctx.userId && !ctx.isAdmin) {
        throw new MaruError('forbidden', 'A credential can only be given away by an administrator.');
      }
      return {
        credential: view(baseUrl, await updateCredential(app, params.credential_id!, body.credential)),
      };
    },
  },
  {
    method: 'DELETE',
    path: '/v3/credentials/:credential_id',
    policy: policy('delete_credential', `rule:admin_required or ${OWNER}`),
    target: credentialTarget,
    summary: 'delete a credential',
    status: 204,
    handler: ({ app, params }) => deleteCredential(app, params.credential_id!),
  },
  {
    method: 'POST',
    path: EC2,
    policy: policy('ec2_create_credential', SELF),
    target: userTarget,
    summary: 'create an EC2 key pair',
    body: { type: 'object', required: ['tenant_id'], properties: { tenant_id: ID } },
    status: 201,
    async handler({ app, ctx, params, body, baseUrl }: OpRequest<{ tenant_id: string }>) {
      if (!ctx.isAdmin && body.tenant_id !== ctx.projectId) {
        throw new MaruError('forbidden', 'EC2 key pairs are made for the project of the token.');
      }
      const made = await createEc2Credential(app, params.user_id!, body.tenant_id);
      return new OpReply(201, { credential: ec2View(baseUrl, made) });
    },
  },
  {
    method: 'GET',
    path: EC2,
    policy: policy('ec2_list_credentials', SELF),
    target: userTarget,
    summary: 'list the EC2 key pairs of a user',
    status: 200,
    async handler(request) {
      const found = await listEc2Credentials(request.app, request.params.user_id!);
      return collection(
        request,
        'credentials',
        found.map((pair) => ec2View(request.baseUrl, pair)),
      );
    },
  },
  {
    method: 'GET',
    path: `${EC2}/:access`,
    policy: policy('ec2_get_credential', SELF),
    target: userTarget,
    summary: 'show an EC2 key pair',
    status: 200,
    async handler({ app, params, baseUrl }) {
      return { credential: ec2View(baseUrl, await getEc2Credential(app, params.user_id!, params.access!)) };
    },
  },
  {
    method: 'DELETE',
    path: `${EC2}/:access`,
    policy: policy('ec2_delete_credential', SELF),
    target: userTarget,
    summary: 'delete an EC2 key pair',
    status: 204,
    handler: ({ app, params }) => deleteEc2Credential(app, params.user_id!, params.access!),
  },
];

async function credentialTarget({ app, params }: OpRequest) {
  const row = await credentials.get(app.store.read, params.credential_id!);
  return { 'target.credential.user_id': row?.user_id ?? '' };
}

function view(base: string, { id, user_id, project_id, type, blob }: OpenCredential) {
  return { id, user_id, project_id, type, blob, links: { self: `${base}/v3/credentials/${id}` } };
}

function ec2View(base: string, pair: Ec2Credential) {
  const self = `${base}/v3/users/${pair.user_id}/credentials/OS-EC2/${pair.access}`;
  return { ...pair, trust_id: null, links: { self } };
}
