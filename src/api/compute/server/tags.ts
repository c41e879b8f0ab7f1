import { notFound } from '../../../core/errors.js';
import { visibleServer } from '../../../core/server/find.js';
import { changeTags } from '../../../core/server/update.js';
import { tagsOfServers } from '../../../store/compute/server.js';
import { type Operation, OpReply, type OpRequest } from '../../shared/operation.js';
import { validate } from '../../shared/validate.js';
import { MEMBER, policy, READER } from '../policy.js';
import { envelope, TAG } from '../schemas.js';

/** Tags of servers, from 2.26 on. */
export const serverTagOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/v2.1/servers/:server_id/tags',
    policy: policy('os-server-tags:index', READER),
    summary: "List a server's tags",
    since: '2.26',
    status: 200,
    handler: async (request) => ({ tags: await read(request) }),
  },
  {
    method: 'PUT',
    path: '/v2.1/servers/:server_id/tags',
    policy: policy('os-server-tags:update_all', MEMBER),
    summary: "Replace a server's tags",
    since: '2.26',
    body: envelope('tags', { type: 'array', items: TAG, maxItems: 50 }),
    status: 200,
    handler: async ({ app, ctx, params, body }: OpRequest<{ tags: string[] }>) => ({
      tags: await changeTags(app, ctx, params.server_id!, () => body.tags),
    }),
  },
  {
    method: 'DELETE',
    path: '/v2.1/servers/:server_id/tags',
    policy: policy('os-server-tags:delete_all', MEMBER),
    summary: "Delete all of a server's tags",
    since: '2.26',
    status: 204,
    handler: async ({ app, ctx, params }) => {
      await changeTags(app, ctx, params.server_id!, () => []);
    },
  },
  {
    method: 'GET',
    path: '/v2.1/servers/:server_id/tags/:tag',
    policy: policy('os-server-tags:show', READER),
    summary: 'Check whether a server has a tag',
    since: '2.26',
    status: 204,
    handler: async (request) => {
      if (!(await read(request)).includes(request.params.tag!)) throw noTag(request);
    },
  },
  {
    method: 'PUT',
    path: '/v2.1/servers/:server_id/tags/:tag',
    policy: policy('os-server-tags:update', MEMBER),
    summary: 'Add a tag to a server',
    since: '2.26',
    status: 201,
    handler: add,
  },
  {
    method: 'DELETE',
    path: '/v2.1/servers/:server_id/tags/:tag',
    policy: policy('os-server-tags:delete', MEMBER),
    summary: 'Take a tag from a server',
    since: '2.26',
    status: 204,
    handler: async (request) => {
      const { app, ctx, params } = request;
      await changeTags(app, ctx, params.server_id!, (old) => {
        if (!old.includes(params.tag!)) throw noTag(request);
        return old.filter((tag) => tag !== params.tag);
      });
    },
  },
];

async function add({ app, ctx, params, baseUrl }: OpRequest): Promise<OpReply> {
  const id = params.server_id!;
  const tag = params.tag!;
  validate(TAG, tag);
  let had = false;
  await changeTags(app, ctx, id, (old) => {
    had = old.includes(tag);
    return [...old, tag];
  });
  if (had) return new OpReply(204);
  return new OpReply(201, undefined, { location: `${baseUrl}/v2.1/servers/${id}/tags/${tag}` });
}

async function read({ app, ctx, params }: OpRequest): Promise<string[]> {
  const { id } = await visibleServer(app.store.read, ctx, params.server_id!);
  return (await tagsOfServers(app.store.read, [id])).get(id) ?? [];
}

function noTag({ params }: OpRequest) {
  return notFound(`Server ${params.server_id} has no tag '${params.tag}'`);
}
