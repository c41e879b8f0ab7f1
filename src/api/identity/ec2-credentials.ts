import {
  createEc2Credential,
  deleteEc2Credential,
  getEc2Credential,
  listEc2Credentials,
  type ShownEc2Credential,
} from '../../core/credential/ec2.js';
import { MaruError } from '../../core/errors.js';
import type { Operation, OpRequest } from '../shared/operation.js';
import { collection } from './lists.js';
import { ADMIN, ADMIN_OR_READER, policy } from './policy.js';
import { ID } from './schemas.js';
import { userTarget } from './users.js';

const EC2 = '/v3/users/:user_id/credentials/OS-EC2';
const OWNER = 'user_id:%(target.user.id)s';
const READ = `${ADMIN_OR_READER} or ${OWNER}`;
const WRITE = `${ADMIN} or (role:member and ${OWNER})`;

/** EC2 key pairs of users, which are one kind of credential. */
export const ec2CredentialOperations: readonly Operation[] = [
  {
    method: 'POST',
    path: EC2,
    policy: policy('ec2_create_credential', WRITE),
    target: userTarget,
    summary: 'create an EC2 key pair',
    body: { type: 'object', required: ['tenant_id'], properties: { tenant_id: ID } },
    status: 201,
    async handler({ app, ctx, params, body, baseUrl }: OpRequest<{ tenant_id: string }>) {
      if (!ctx.isAdmin && body.tenant_id !== ctx.projectId) {
        throw new MaruError('forbidden', 'EC2 key pairs are made for the project of the token.');
      }
      const made = await createEc2Credential(app, ctx, params.user_id!, body.tenant_id);
      return { credential: view(baseUrl, made) };
    },
  },
  {
    method: 'GET',
    path: EC2,
    policy: policy('ec2_list_credentials', READ),
    target: userTarget,
    summary: 'list the EC2 key pairs of a user',
    status: 200,
    async handler(request) {
      const { app, ctx, params } = request;
      const found = await listEc2Credentials(app, ctx, params.user_id!);
      return collection(
        request,
        'credentials',
        found.map((pair) => view(request.baseUrl, pair)),
      );
    },
  },
  {
    method: 'GET',
    path: `${EC2}/:access`,
    policy: policy('ec2_get_credential', READ),
    target: userTarget,
    summary: 'show an EC2 key pair',
    status: 200,
    async handler({ app, ctx, params, baseUrl }) {
      const pair = await getEc2Credential(app, ctx, params.user_id!, params.access!);
      return { credential: view(baseUrl, pair) };
    },
  },
  {
    method: 'DELETE',
    path: `${EC2}/:access`,
    policy: policy('ec2_delete_credential', WRITE),
    target: userTarget,
    summary: 'delete an EC2 key pair',
    status: 204,
    handler: ({ app, ctx, params }) => deleteEc2Credential(app, ctx, params.user_id!, params.access!),
  },
];

function view(base: string, pair: ShownEc2Credential) {
  const self = `${base}/v3/users/${pair.user_id}/credentials/OS-EC2/${pair.access}`;
  return { ...pair, links: { self } };
}
