import { deleteDomain } from '../../core/domain/domain.js';
import { missing } from '../../core/identity/rows.js';
import { createDomainRow, type ProjectBody, updateProject } from '../../core/project/project.js';
import { tagged } from '../../core/token/reachable.js';
import { listProjects, projects } from '../../store/identity/projects.js';
import type { Operation, OpRequest } from '../shared/operation.js';
import { columnFilters, inexactFilters, page, pagedCollection } from './lists.js';
import { ADMIN, ANY_ADMIN, confinedDomain, domainReader, existing, policy } from './policy.js';
import { BOOLEAN, enveloped, OPTIONS, SHORT_NAME, TAGS, TEXT_OR_NULL } from './schemas.js';
import { domainView } from './views.js';

const PROPERTIES = {
  name: SHORT_NAME,
  description: TEXT_OR_NULL,
  enabled: BOOLEAN,
  tags: TAGS,
  options: OPTIONS,
};

const EXISTING = existing(
  {
    async get(db, id) {
      const row = await projects.get(db, id);
      return row?.is_domain ? row : undefined;
    },
  },
  'domain_id',
  'domain',
);

type Body = { domain: ProjectBody };

/** Domains. */
export const domainOperations: readonly Operation[] = [
  {
    method: 'POST',
    path: '/v3/domains',
    policy: policy('create_domain', ADMIN),
    summary: 'create a domain',
    body: enveloped('domain', { ...PROPERTIES, explicit_domain_id: { type: 'string' } }, ['name']),
    status: 201,
    async handler(request: OpRequest<Body>) {
      const row = await createDomainRow(request.app, request.body.domain);
      return await show(request, row.id);
    },
  },
  {
    method: 'GET',
    path: '/v3/domains',
    policy: policy('list_domains', domainReader('target.domain.id')),
    target: ({ ctx }) => ({ 'target.domain.id': ctx.token.domain?.id ?? '' }),
    summary: 'list domains',
    status: 200,
    async handler(request) {
      const filters = columnFilters(request, { text: ['name'], flags: ['enabled'] });
      const own = confinedDomain(request);
      const db = request.app.store.read;
      const wanted = { ...filters, is_domain: 1, ...(own && { id: own }) };
      const inexact = inexactFilters(request, ['name']);
      const found = await page(request, projects, [], (options) =>
        listProjects(db, wanted, { ...options, inexact }),
      );
      const items = await tagged(db, found.rows);
      return pagedCollection(
        request,
        'domains',
        found,
        items.map(({ row, tags }) => domainView(request.baseUrl, row, tags)),
      );
    },
  },
  {
    method: 'GET',
    path: '/v3/domains/:domain_id',
    policy: policy(
      'get_domain',
      `${ANY_ADMIN} or rule:system_reader or token.domain.id:%(target.domain.id)s or token.project.domain.id:%(target.domain.id)s`,
    ),
    target: ({ params }) => ({ 'target.domain.id': params.domain_id }),
    summary: 'show a domain',
    status: 200,
    handler: (request) => show(request, request.params.domain_id!),
  },
  {
    method: 'PATCH',
    path: '/v3/domains/:domain_id',
    policy: policy('update_domain', ADMIN),
    target: EXISTING,
    summary: 'change a domain',
    body: enveloped('domain', PROPERTIES),
    status: 200,
    async handler(request: OpRequest<Body>) {
      const { app, params, body } = request;
      await updateProject(app, params.domain_id!, body.domain, 'domain');
      return await show(request, params.domain_id!);
    },
  },
  {
    method: 'DELETE',
    path: '/v3/domains/:domain_id',
    policy: policy('delete_domain', ADMIN),
    target: EXISTING,
    summary: 'delete a disabled domain with all that is in it',
    status: 204,
    handler: ({ app, params }) => deleteDomain(app, params.domain_id!),
  },
];

async function show(request: OpRequest, id: string) {
  const row = await projects.get(request.app.store.read, id);
  if (!row?.is_domain) throw missing('domain', id);
  const [found] = await tagged(request.app.store.read, [row]);
  return { domain: domainView(request.baseUrl, row, found!.tags) };
}
