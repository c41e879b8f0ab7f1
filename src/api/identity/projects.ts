import { badRequest } from '../../core/errors.js';
import { mustGet } from '../../core/identity/rows.js';
import { limitsOfProjects } from '../../core/limit/limit.js';
import { createProject, deleteProject, type ProjectBody, updateProject } from '../../core/project/project.js';
import { projectsWithRole } from '../../core/role/effective.js';
import { tagged } from '../../core/token/reachable.js';
import {
  ancestors,
  descendants,
  listProjects,
  type ProjectRow,
  projects,
  type TagFilter,
} from '../../store/identity/projects.js';
import type { Operation, OpRequest } from '../shared/operation.js';
import { columnFilters, flag, inexactFilters, page, pagedCollection, parameter } from './lists.js';
import { bodyText, confined, domainManager, domainReader, listTarget, policy } from './policy.js';
import { refuseOtherId } from './same-id.js';
import { BOOLEAN, enveloped, ID_OR_NULL, OPTIONS, SHORT_NAME, TAGS, TEXT_OR_NULL } from './schemas.js';
import { limitView, projectView } from './views.js';

const PROPERTIES = {
  name: SHORT_NAME,
  description: TEXT_OR_NULL,
  enabled: BOOLEAN,
  domain_id: ID_OR_NULL,
  parent_id: ID_OR_NULL,
  is_domain: BOOLEAN,
  tags: TAGS,
  options: OPTIONS,
};

const MANAGE = domainManager('target.project.domain_id');

type Body = { project: ProjectBody };

/** Projects, also those that act as domains. */
export const projectOperations: readonly Operation[] = [
  {
    method: 'POST',
    path: '/v3/projects',
    policy: policy('create_project', MANAGE),
    target: newProjectTarget,
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
      const wanted = confined(request, { is_domain: 0, ...filters });
      const inexact = inexactFilters(request, ['name', 'parent_id']);
      const tags = tagFilter(request);
      const found = await page(request, projects, [], (options) =>
        listProjects(db, wanted, { ...options, inexact }, tags),
      );
      const items = await tagged(db, found.rows);
      return pagedCollection(
        request,
        'projects',
        found,
        items.map(({ row, tags }) => projectView(request.baseUrl, row, tags)),
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
    policy: policy('update_project', MANAGE),
    target: projectTarget,
    summary: 'change a project',
    body: enveloped('project', PROPERTIES),
    status: 200,
    async handler(request: OpRequest<Body>) {
      refuseOtherId(request.body.project, request.params.project_id!);
      await updateProject(request.app, request.params.project_id!, request.body.project);
      return await show(request, request.params.project_id!);
    },
  },
  {
    method: 'DELETE',
    path: '/v3/projects/:project_id',
    policy: policy('delete_project', MANAGE),
    target: projectTarget,
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

/** The domain of a project that is about to be made; none for one that is to be a domain. */
async function newProjectTarget(request: OpRequest) {
  const { app, ctx, body } = request;
  const project = (body as { project?: { is_domain?: unknown } | null } | null)?.project;
  if (project?.is_domain) return { 'target.project.domain_id': '' };
  const parentId = bodyText(request, 'project', 'parent_id');
  const parent = parentId ? await projects.get(app.store.read, parentId) : undefined;
  const above = parent?.is_domain ? parent.id : parent?.domain_id;
  const domainId = bodyText(request, 'project', 'domain_id') ?? above ?? ctx.token.domain?.id;
  return { 'target.project.domain_id': domainId ?? '' };
}

async function show(request: OpRequest, id: string) {
  const db = request.app.store.read;
  const row = await mustGet(projects, db, id, 'project');
  const [found] = await tagged(db, [row]);
  const asked = (name: string) => flag(request, name) ?? false;
  for (const kin of ['parents', 'subtree']) {
    if (asked(`${kin}_as_list`) && asked(`${kin}_as_ids`)) {
      throw badRequest(`Cannot use ${kin}_as_list and ${kin}_as_ids query params at the same time.`);
    }
  }
  const above = asked('parents_as_list') || asked('parents_as_ids') ? await ancestors(db, row) : [];
  const below = asked('subtree_as_list') || asked('subtree_as_ids') ? await descendants(db, id) : [];
  return {
    project: {
      ...projectView(request.baseUrl, row, found!.tags),
      ...(asked('parents_as_ids') && { parents: nest(above) }),
      ...(asked('parents_as_list') && { parents: await asList(request, above) }),
      ...(asked('subtree_as_ids') && { subtree: tree(id, below) }),
      ...(asked('subtree_as_list') && { subtree: await asList(request, below) }),
    },
  };
}

/** Of the given projects those on which the caller has a role, as they are in lists. */
async function asList(request: OpRequest, rows: readonly ProjectRow[]) {
  const { app, ctx, baseUrl } = request;
  const db = app.store.read;
  const reachable = await projectsWithRole(db, ctx.userId);
  const own = rows.filter((row) => !row.is_domain && reachable.has(row.id));
  const limits = flag(request, 'include_limits')
    ? await limitsOfProjects(
        db,
        own.map(({ id }) => id),
      )
    : undefined;
  return (await tagged(db, own)).map(({ row, tags }) => ({
    project: {
      ...projectView(baseUrl, row, tags),
      ...(limits && { limits: limits.get(row.id)?.map((limit) => limitView(baseUrl, limit)) }),
    },
  }));
}

/** `{parent: {grandparent: null}}`. */
function nest(rows: readonly ProjectRow[]): Record<string, unknown> | null {
  return rows.reduceRight<Record<string, unknown> | null>((inner, row) => ({ [row.id]: inner }), null);
}

function tree(id: string, rows: readonly ProjectRow[]): Record<string, unknown> | null {
  const children = rows.filter((row) => row.parent_id === id);
  return children.length ? Object.fromEntries(children.map((row) => [row.id, tree(row.id, rows)])) : null;
}

/** The filters `tags`, `tags-any`, `not-tags` and `not-tags-any`: names with commas between them. */
function tagFilter(request: OpRequest): TagFilter {
  const names = { all: 'tags', any: 'tags-any', notAll: 'not-tags', notAny: 'not-tags-any' };
  return Object.fromEntries(
    Object.entries(names).flatMap(([kind, name]) => {
      const text = parameter(request, name);
      return text === undefined ? [] : [[kind, text.split(',')]];
    }),
  );
}
