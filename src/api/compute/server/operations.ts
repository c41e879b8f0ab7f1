import { deleteServer } from '../../../core/server/delete.js';
import { visibleServer } from '../../../core/server/find.js';
import { type ServerChanges, updateServer } from '../../../core/server/update.js';
import { normaliseIp } from '../../../net/ip.js';
import { atLeast } from '../../shared/microversion.js';
import type { Operation, OpRequest, Schema } from '../../shared/operation.js';
import { MEMBER, policy, READER } from '../policy.js';
import { DESCRIPTION, envelope, NAME, object } from '../schemas.js';
import { createServer } from './create.js';
import { CREATE_SCHEMAS } from './create-schema.js';
import { listBrief, listDetail } from './list.js';
import { loadServer, viewerOf } from './load.js';
import { showServer, showUpdatedServer } from './view.js';

const UPDATE: Readonly<Record<string, Schema>> = {
  name: NAME,
  'OS-DCF:diskConfig': { type: 'string', enum: ['AUTO', 'MANUAL'] },
  accessIPv4: {
    anyOf: [
      { type: 'string', format: 'ipv4' },
      { type: 'string', maxLength: 0 },
    ],
  },
  accessIPv6: {
    anyOf: [
      { type: 'string', format: 'ipv6' },
      { type: 'string', maxLength: 0 },
    ],
  },
};
const HOSTNAME: Schema = { type: 'string', minLength: 1, maxLength: 255, pattern: '^[a-zA-Z0-9-._]*$' };

interface UpdateBody {
  server: {
    name?: string;
    'OS-DCF:diskConfig'?: 'AUTO' | 'MANUAL';
    accessIPv4?: string;
    accessIPv6?: string;
    description?: string | null;
    hostname?: string;
  };
}

/** Servers: create, lists, show, update, delete. */
export const serverOperations: readonly Operation[] = [
  {
    method: 'POST',
    path: '/v2.1/servers',
    policy: policy('servers:create', MEMBER),
    summary: 'Create servers',
    body: CREATE_SCHEMAS,
    status: 202,
    handler: createServer,
  },
  {
    method: 'GET',
    path: '/v2.1/servers',
    policy: policy('servers:index', READER),
    summary: 'List servers',
    status: 200,
    handler: listBrief,
  },
  {
    method: 'GET',
    path: '/v2.1/servers/detail',
    policy: policy('servers:detail', READER),
    summary: 'List servers with details',
    status: 200,
    handler: listDetail,
  },
  {
    method: 'GET',
    path: '/v2.1/servers/:server_id',
    policy: policy('servers:show', READER),
    summary: 'Show a server',
    status: 200,
    handler: async (request) => {
      const row = await visibleServer(request.app.store.read, request.ctx, request.params.server_id!);
      return { server: showServer(viewerOf(request), await loadServer(request.app, row)) };
    },
  },
  {
    method: 'PUT',
    path: '/v2.1/servers/:server_id',
    policy: policy('servers:update', MEMBER),
    summary: 'Change the name, description and the like of a server',
    body: [
      ['2.1', envelope('server', object(UPDATE))],
      ['2.19', envelope('server', object({ ...UPDATE, description: DESCRIPTION }))],
      ['2.90', envelope('server', object({ ...UPDATE, description: DESCRIPTION, hostname: HOSTNAME }))],
    ],
    status: 200,
    handler: update,
  },
  {
    method: 'DELETE',
    path: '/v2.1/servers/:server_id',
    policy: policy('servers:delete', MEMBER),
    summary: 'Delete a server',
    status: 204,
    handler: ({ app, ctx, params }) => deleteServer(app, ctx, params.server_id!),
  },
];

async function update(request: OpRequest<UpdateBody>) {
  const { app, ctx, version, params, body } = request;
  const { server } = body;
  const changes: ServerChanges = {
    ...(server.name === undefined ? {} : { name: server.name.trim() }),
    ...(server['OS-DCF:diskConfig'] === undefined ? {} : { disk_config: server['OS-DCF:diskConfig'] }),
    ...(server.accessIPv4 === undefined ? {} : { access_ip_v4: server.accessIPv4 || null }),
    ...(server.accessIPv6 === undefined
      ? {}
      : { access_ip_v6: server.accessIPv6 ? normaliseIp(server.accessIPv6) : null }),
    ...(server.description === undefined ? {} : { description: server.description }),
    ...(server.hostname === undefined ? {} : { hostname: server.hostname }),
  };
  const row = await updateServer(app, ctx, params.server_id!, changes);
  const shown = await loadServer(app, row);
  const view = atLeast(version, '2.75') ? showServer : showUpdatedServer;
  return { server: view(viewerOf(request), shown) };
}
