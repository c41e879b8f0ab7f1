import { deleteDomain } from '../../core/domain/domain.js';
import { missing } from '../../core/identity/rows.js';
import { createDomainRow, type ProjectBody, updateProject } from '../../core/project/project.js';
import { tagged } from '../../core/token/reachable.js';
import { projects } from '../../store/identity/projects.js';
import type { Operation, OpRequest } from '../shared/operation.js';
import { collection, columnFilters, inexact } from './lists.js';
import { ADMIN, confinedDomain, domainReader, policy } from './policy.js';
import { BOOLEAN, enveloped, SHORT_NAME, TAGS, TEXT_OR_NULL } from './schemas.js';
import { domainView } from './views.js';

const PROPERTIES = {
  name: SHORT_NAME,
  description: TEXT_OR_NULL,
  enabled: BOOLEAN,
  tags: TAGS,
  options: { type: 'object' },
};

type Body = { domain: ProjectBody };

/** Domains. */
export const domainOperations: readonly Operation[] = [
  {
    method: 'POST',
    path: '/v3/domains',
    policy: policy('create_domain', ADMIN),
    summary: 'create a domain',
    body: enveloped('domain', PROPERTIES, ['name']),
    status: 201,
    async handler(request: OpRequest<Body>) {
      const row = await createDomainRow(request.app, request.body.domain);
      return await show(request, row.id);
    },
  },
  {
    method: 'GET',
    path: '/v3/domains',
    policy: policy('list_domains', domainReader('target.domain_id')),
    target: ({ ctx }) => ({ 'target.domain_id': ctx.token.domain?.id ?? '' }),
    summary: 'list domains',
    status: 200,
    async handler(request) {
      const filters = columnFilters(request, { text: ['name'], flags: ['enabled'] });
      const own = confinedDomain(request);
      const rows = await projects.list(request.app.store.read, {
        ...filters,
        is_domain: 1,
        ...(own && { id: own }),
      });
      const found = await tagged(request.app.store.read, inexact(request, rows, ['name']));
      return collection(
        request,
        'domains',
        found.map(({ row, tags }) => domainView(request.baseUrl, row, tags)),
      );
    },
  },
  {
    method: 'GET',
    path: '/v3/domains/:domain_id',
    policy: policy(
      'get_domain',
      `${domainReader('target.domain_id')} or token.project.domain.id:%(target.domain_id)s`,
    ),
    target: ({ params }) => ({ 'target.domain_id': params.domain_id }),
    summary: 'show a domain',
    status: 200,
    handler: (request) => show(request, request.params.domain_id!),
  },
  {
    method: 'PATCH',
    path: '/v3/domains/:domain_id',
    policy: policy('update_domain', ADMIN),
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
