import { notFound } from '../../core/errors.js';
import { mustGet } from '../../core/identity/rows.js';
import { addProjectTag, removeProjectTag, replaceTags } from '../../core/project/project.js';
import { projects, tagsOf } from '../../store/identity/projects.js';
import { type Operation, OpReply, type OpRequest } from '../shared/operation.js';
import { validate } from '../shared/validate.js';
import { domainManager, domainReader, policy } from './policy.js';
import { projectTarget } from './projects.js';
import { TAG, TAGS } from './schemas.js';

const PATH = '/v3/projects/:project_id/tags';
const READ = `${domainReader('target.project.domain_id')} or project_id:%(target.project.id)s`;
const MANAGE = domainManager('target.project.domain_id');
const BODY = { type: 'object', required: ['tags'], properties: { tags: TAGS }, additionalProperties: false };

/** Tags of a project. */
export const projectTagOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: PATH,
    policy: policy('list_project_tags', READ),
    target: projectTarget,
    summary: 'list the tags of a project',
    status: 200,
    handler: async (request) => tagsReply(request, await currentTags(request)),
  },
  {
    method: 'PUT',
    path: PATH,
    policy: policy('update_project_tags', MANAGE),
    target: projectTarget,
    summary: 'replace the tags of a project',
    body: BODY,
    status: 200,
    async handler(request: OpRequest<{ tags: string[] }>) {
      await replaceTags(request.app, request.params.project_id!, request.body.tags);
      return tagsReply(request, await currentTags(request));
    },
  },
  {
    method: 'DELETE',
    path: PATH,
    policy: policy('delete_project_tags', MANAGE),
    target: projectTarget,
    summary: 'remove the tags of a project',
    status: 204,
    handler: ({ app, params }) => replaceTags(app, params.project_id!, []),
  },
  {
    method: 'GET',
    path: `${PATH}/:tag`,
    policy: policy('get_project_tag', READ),
    target: projectTarget,
    summary: 'check a tag of a project',
    status: 204,
    async handler(request) {
      if (!(await currentTags(request)).includes(request.params.tag!)) throw noTag(request);
    },
  },
  {
    method: 'PUT',
    path: `${PATH}/:tag`,
    policy: policy('create_project_tag', MANAGE),
    target: projectTarget,
    summary: 'add a tag to a project',
    status: 201,
    async handler(request) {
      const { app, params } = request;
      validate(TAG, params.tag);
      await addProjectTag(app, params.project_id!, params.tag!);
      return new OpReply(201, undefined, {
        location: `${request.baseUrl}${request.raw.url.slice('/identity'.length)}`,
      });
    },
  },
  {
    method: 'DELETE',
    path: `${PATH}/:tag`,
    policy: policy('delete_project_tag', MANAGE),
    target: projectTarget,
    summary: 'remove a tag from a project',
    status: 204,
    handler: ({ app, params }) => removeProjectTag(app, params.project_id!, params.tag!),
  },
];

async function currentTags({ app, params }: OpRequest): Promise<string[]> {
  const { id } = await mustGet(projects, app.store.read, params.project_id!, 'project');
  return (await tagsOf(app.store.read, [id])).get(id) ?? [];
}

function tagsReply({ baseUrl, params }: OpRequest, tags: readonly string[]) {
  return {
    tags,
    links: { self: `${baseUrl}/v3/projects/${params.project_id}/tags`, next: null, previous: null },
  };
}

function noTag({ params }: OpRequest) {
  return notFound(`Could not find project tag: ${params.tag}.`);
}
