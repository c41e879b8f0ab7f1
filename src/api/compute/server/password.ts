import { visibleServer } from '../../../core/server/find.js';
import type { Operation } from '../../shared/operation.js';
import { MEMBER, policy, READER } from '../policy.js';

/**
 * Passwords that guests encrypt with their key pair and post to the metadata service; ours takes none, so there never is one.
 * Clients that ask get an empty text, as for every guest that does not do so.
 */
export const serverPasswordOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/v2.1/servers/:server_id/os-server-password',
    policy: policy('os-server-password:show', READER),
    summary: "Show a server's encrypted password",
    status: 200,
    handler: async ({ app, ctx, params }) => {
      await visibleServer(app.store.read, ctx, params.server_id!);
      return { password: '' };
    },
  },
  {
    method: 'DELETE',
    path: '/v2.1/servers/:server_id/os-server-password',
    policy: policy('os-server-password:clear', MEMBER),
    summary: "Forget a server's encrypted password",
    status: 204,
    handler: async ({ app, ctx, params }) => {
      await visibleServer(app.store.read, ctx, params.server_id!);
    },
  },
];
