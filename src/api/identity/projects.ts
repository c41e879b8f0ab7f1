import { mustGet } from '../../core/identity/rows.js';
import { createProject, deleteProject, type ProjectBody, updateProject } from '../../core/project/project.js';
import { type TaggedProject, tagged } from '../../core/token/reachable.js';
import { ancestors, descendants, type ProjectRow, projects } from '../../store/identity/projects.js';
import type { Operation, OpRequest } from '../shared/operation.js';
import { collection, columnFilters, flag, inexact, parameter } from './lists.js';
import { ADMIN, confinedDomain, domainReader, listTarget, policy } from './policy.js';
import { BOOLEAN, enveloped, ID_OR_NULL, SHORT_NAME, TAGS, TEXT_OR_NULL } from './schemas.js';
import { projectView } from './views.js';

const PROPERTIES = {
  name: SHORT_NAME,
  description: TEXT_OR_NULL,
  enabled: BOOLEAN,
  domain_id: ID_OR_NULL,
  parent_id: ID_OR_NULL,
  is_domain: BOOLEAN,
  tags: TAGS,
  options: { type: 'object' },
};

type Body = { project: ProjectBody };

/** Projects, also those that act as domains. */
export const projectOperations: readonly Operation[] = [
  {
    method: 'POST',
    path: '/v3/projects',
    policy: policy('create_project', ADMIN),
    summary: 'create a project',
    body: enveloped('project', PROPERTIES, ['name']),
    status: 201,
    async handler(request: OpRequest<Body>) {
      const row = await createProject(request.app, request.ctx, request.body.project);
      return await show(request, row.id);
    },
  },
  {
    method: 'GET',
    path: '/v3/projects',
    policy: policy('list_projects', domainReader('target.domain_id')),
    target: listTarget,
    summary: 'list projects',
    status: 200,
    async handler(request) {
      const db = request.app.store.read;
      const filters = columnFilters(request, {
        text: ['name', 'domain_id', 'parent_id'],
        flags: ['enabled', 'is_domain'],
      });
      const own = confinedDomain(request);
      const rows = await projects.list(db, { is_domain: 0, ...filters, ...(own && { domain_id: own }) });
      const found = (await tagged(db, inexact(request, rows, ['name']))).filter(tagFilter(request));
      return collection(
        request,
        'projects',
        found.map(({ row, tags }) => projectView(request.baseUrl, row, tags)),
      );
    },
  },
  {
    method: 'GET',
    path: '/v3/projects/:project_id',
    policy: policy(
      'get_project',
      `${domainReader('target.project.domain_id')} or project_id:%(target.project.id)s`,
    ),
    target: projectTarget,
    summary: 'show a project',
    status: 200,
    handler: (request) => show(request, request.params.project_id!),
  },
  {
    method: 'PATCH',
    path: '/v3/projects/:project_id',
    policy: policy('update_project', ADMIN),
    summary: 'change a project',
    body: enveloped('project', PROPERTIES),
    status: 200,
    async handler(request: OpRequest<Body>) {
      await updateProject(request.app, request.params.project_id!, request.body.project);
      return await show(request, request.params.project_id!);
    },
  },
  {
    method: 'DELETE',
    path: '/v3/projects/:project_id',
    policy: policy('delete_project', ADMIN),
    summary: 'delete a project',
    status: 204,
    handler: ({ app, params }) => deleteProject(app, params.project_id!),
  },
];

/** What policies about one project see of it. Whether it exists is found out after the check. */
export async function projectTarget({ app, params }: OpRequest) {
  const row = await projects.get(app.store.read, params.project_id!);
  return { 'target.project.id': row?.id ?? '', 'target.project.domain_id': row?.domain_id ?? '' };
}

async function show(request: OpRequest, id: string) {
  const db = request.app.store.read;
  const row = await mustGet(projects, db, id, 'project');
  const [found] = await tagged(db, [row]);
  return {
    project: {
      ...projectView(request.baseUrl, row, found!.tags),
      ...(flag(request, 'parents_as_ids') && { parents: nest(await ancestors(db, row)) }),
      ...(flag(request, 'parents_as_list') && { parents: await asList(request, await ancestors(db, row)) }),
      ...(flag(request, 'subtree_as_ids') && { subtree: tree(id, await descendants(db, id)) }),
      ...(flag(request, 'subtree_as_list') && { subtree: await asList(request, await descendants(db, id)) }),
    },
  };
}

async function asList(request: OpRequest, rows: readonly ProjectRow[]) {
  const found = await tagged(
    request.app.store.read,
    rows.filter((row) => !row.is_domain),
  );
  return found.map(({ row, tags }) => ({ project: projectView(request.baseUrl, row, tags) }));
}

/** `{parent: {grandparent: null}}`. */
function nest(rows: readonly ProjectRow[]): Record<string, unknown> | null {
  return rows.reduceRight<Record<string, unknown> | null>((inner, row) => ({ [row.id]: inner }), null);
}

function tree(id: string, rows: readonly ProjectRow[]): Record<string, unknown> | null {
  const children = rows.filter((row) => row.parent_id === id);
  return children.length ? Object.fromEntries(children.map((row) => [row.id, tree(row.id, rows)])) : null;
}

/** The filters `tags`, `tags-any`, `not-tags` and `not-tags-any`. */
function tagFilter(request: OpRequest): (project: TaggedProject) => boolean {
  const wanted = (name: string) => parameter(request, name)?.split(',');
  const [all, any, notAll, notAny] = ['tags', 'tags-any', 'not-tags', 'not-tags-any'].map(wanted);
  return ({ tags }) =>
    (!all || all.every((tag) => tags.includes(tag))) &&
    (!any || any.some((tag) => tags.includes(tag))) &&
    !notAll?.every((tag) => tags.includes(tag)) &&
    !notAny?.some((tag) => tags.includes(tag));
}
