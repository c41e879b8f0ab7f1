import { badRequest, notFound } from '../../core/errors.js';
import { findVisible } from '../../core/network/access.js';
import type { ResourceTable } from '../../store/network/rows.js';
import { addTags, deleteTag, deleteTags, tagsOf } from '../../store/network/tag.js';
import { type Operation, OpReply, type OpRequest } from '../shared/operation.js';
import { findWritable, READ_RULE, type Resource, WRITE_RULE } from './resource.js';

type Tagged = Pick<Resource<ResourceTable>, 'table' | 'name' | 'path' | 'notFound'>;

const MAX_LENGTH = 60;

/** Tags of one kind of resource: a set of short texts that lists can be filtered by. */
export function tagOperations(resource: Tagged): Operation[] {
  const path = `/v2.0/${resource.path}/:id/tags`;
  const read = { name: `get_${resource.name}:tags`, rule: READ_RULE };
  const write = { name: `update_${resource.name}:tags`, rule: WRITE_RULE };
  const remove = { name: `delete_${resource.name}:tags`, rule: WRITE_RULE };
  const what = `tags of ${resource.path}`;
  return [
    {
      method: 'GET',
      path,
      policy: read,
      summary: `List ${what}`,
      status: 200,
      async handler(request) {
        return { tags: await readTags(resource, request) };
      },
    },
    {
      method: 'GET',
      path: `${path}/:tag`,
      policy: read,
      summary: `Look for one of the ${what}`,
      status: 204,
      async handler(request) {
        const tags = await readTags(resource, request);
        if (!tags.includes(request.params.tag!)) throw tagNotFound(request.params.tag!);
      },
    },
    {
      method: 'PUT',
      path,
      policy: write,
      summary: `Replace ${what}`,
      status: 200,
      handler: (request) => replace(resource, request),
    },
    {
      method: 'PUT',
      path: `${path}/:tag`,
      policy: write,
      summary: `Add to the ${what}`,
      status: 201,
      async handler(request) {
        const tag = checkTag(request.params.tag);
        await change(resource, request, (tx, id) => addTags(tx, id, [tag]));
        return new OpReply(201);
      },
    },
    {
      method: 'DELETE',
      path: `${path}/:tag`,
      policy: remove,
      summary: `Remove one of the ${what}`,
      status: 204,
      async handler(request) {
        await change(resource, request, async (tx, id) => {
          if (!(await deleteTag(tx, id, request.params.tag!))) throw tagNotFound(request.params.tag!);
        });
      },
    },
    {
      method: 'DELETE',
      path,
      policy: remove,
      summary: `Remove all ${what}`,
      status: 204,
      async handler(request) {
        await change(resource, request, (tx, id) => deleteTags(tx, [id]));
      },
    },
  ];
}

async function readTags(resource: Tagged, { app, ctx, params }: OpRequest): Promise<string[]> {
  const db = app.store.read;
  const row = await findVisible(db, ctx, resource.table, params.id!, resource.notFound);
  return (await tagsOf(db, [row.id])).get(row.id) ?? [];
}

async function replace(resource: Tagged, request: OpRequest) {
  const given = (request.body as { tags?: unknown } | undefined)?.tags;
  if (!Array.isArray(given)) throw badRequest('Invalid tags body', 'HTTPBadRequest');
  const tags = [...new Set(given.map(checkTag))].sort();
  await change(resource, request, async (tx, id) => {
    await deleteTags(tx, [id]);
    await addTags(tx, id, tags);
  });
  return { tags };
}

async function change(
  resource: Tagged,
  { app, ctx, params }: OpRequest,
  body: (tx: Parameters<typeof addTags>[0], id: string) => Promise<void>,
): Promise<void> {
  await app.store.tx(async (tx) => {
    const row = await findWritable(tx, ctx, resource, params.id!, 'update');
    await body(tx, row.id);
  });
}

function checkTag(tag: unknown): string {
  if (typeof tag !== 'string') {
    throw badRequest(
      `Invalid input for tags. Reason: '${JSON.stringify(tag)}' is not a valid string.`,
      'HTTPBadRequest',
    );
  }
  if (tag.length === 0 || tag.length > MAX_LENGTH) {
    throw badRequest(
      `Invalid input for tags. Reason: '${tag}' exceeds maximum length of ${MAX_LENGTH}.`,
      'HTTPBadRequest',
    );
  }
  return tag;
}

function tagNotFound(tag: string) {
  return notFound(`Tag ${tag} could not be found.`, 'TagNotFound');
}
