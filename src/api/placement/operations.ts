import { badRequest, notFound } from '../../core/errors.js';
import {
  type AllocationRow,
  allocationsOf,
  projectUsage,
  readInventories,
} from '../../store/compute/placement.js';
import { atLeast } from '../shared/microversion.js';
import { type Operation, OpReply, type OpRequest } from '../shared/operation.js';
import { findProvider, listProviders } from './load.js';
import { showProvider, traitsOf } from './view.js';

/** Other services may ask, too: their users have the role `service`. */
export const ADMIN_OR_SERVICE = 'rule:admin_or_service_api';
const READER = 'rule:admin_or_project_reader_or_service_api';
export const RESOURCE_CLASSES = ['VCPU', 'MEMORY_MB', 'DISK_GB'];

/** Resource providers with their inventories, allocations and traits: what hosts have and what is taken of it, read only. */
export const placementOperations: readonly Operation[] = [
  read(
    '/resource_providers',
    'resource_providers:list',
    ADMIN_OR_SERVICE,
    'List resource providers',
    listFiltered,
  ),
  read(
    '/resource_providers/:id',
    'resource_providers:show',
    ADMIN_OR_SERVICE,
    'Show a resource provider',
    async (request) => showProvider(request.version, await findProvider(request.app, request.params.id!)),
  ),
  read(
    '/resource_providers/:id/inventories',
    'resource_providers:inventories:list',
    ADMIN_OR_SERVICE,
    'List inventories',
    inventories,
  ),
  read(
    '/resource_providers/:id/inventories/:class',
    'resource_providers:inventories:show',
    ADMIN_OR_SERVICE,
    'Show an inventory',
    async (request) => {
      const { id = '', class: resourceClass = '' } = request.params;
      const { resource_provider_generation, inventories: all } = await inventories(request);
      const found = all[resourceClass];
      if (!found) throw notFound(`No inventory of class ${resourceClass} for ${id}`);
      return { resource_provider_generation, ...found };
    },
  ),
  read(
    '/resource_providers/:id/usages',
    'resource_providers:usages',
    ADMIN_OR_SERVICE,
    'Show usages of a provider',
    async (request) => {
      const { summary, generation } = await findProvider(request.app, request.params.id!);
      const usages = Object.fromEntries(RESOURCE_CLASSES.map((name) => [name, summary.used(name)]));
      return { resource_provider_generation: generation, usages };
    },
  ),
  read(
    '/resource_providers/:id/allocations',
    'resource_providers:allocations:list',
    ADMIN_OR_SERVICE,
    'List allocations of a provider',
    async (request) => {
      const { summary, generation } = await findProvider(request.app, request.params.id!);
      const rows = await allocationsOf(request.app.store.read, { host_id: summary.host.id });
      const allocations: Record<string, unknown> = {};
      for (const [consumer, resources] of byKey(rows, 'consumer_id')) {
        allocations[consumer] = {
          resources,
          ...(atLeast(request.version, '1.28') ? { consumer_generation: 1 } : {}),
        };
      }
      return { resource_provider_generation: generation, allocations };
    },
  ),
  read(
    '/resource_providers/:id/traits',
    'resource_providers:traits:list',
    ADMIN_OR_SERVICE,
    'List traits of a provider',
    async (request) => {
      const provider = await findProvider(request.app, request.params.id!);
      return { resource_provider_generation: provider.generation, traits: traitsOf(provider) };
    },
    '1.6',
  ),
  read(
    '/resource_providers/:id/aggregates',
    'resource_providers:aggregates:list',
    ADMIN_OR_SERVICE,
    'List aggregates of a provider',
    async (request) => {
      const { generation } = await findProvider(request.app, request.params.id!);
      const more = atLeast(request.version, '1.19') ? { resource_provider_generation: generation } : {};
      return { aggregates: [], ...more };
    },
    '1.1',
  ),
  read(
    '/allocations/:consumer',
    'allocations:list',
    ADMIN_OR_SERVICE,
    'List what a consumer holds',
    consumerAllocations,
  ),
  read('/usages', 'usages', READER, 'Show what a project holds', usages, '1.9'),
  read('/traits', 'traits:list', ADMIN_OR_SERVICE, 'List traits', listTraits, '1.6'),
  {
    ...read(
      '/traits/:name',
      'traits:show',
      ADMIN_OR_SERVICE,
      'Check whether a trait exists',
      async (request) => {
        const { traits } = await listTraits(request);
        if (!traits.includes(request.params.name!)) throw notFound(`No such trait: ${request.params.name}.`);
      },
      '1.6',
    ),
    status: 204,
  },
  read(
    '/resource_classes',
    'resource_classes:list',
    ADMIN_OR_SERVICE,
    'List resource classes',
    () => ({
      resource_classes: RESOURCE_CLASSES.map(showClass),
    }),
    '1.2',
  ),
  read(
    '/resource_classes/:name',
    'resource_classes:show',
    ADMIN_OR_SERVICE,
    'Show a resource class',
    ({ params }) => {
      if (!RESOURCE_CLASSES.includes(params.name!)) throw notFound(`No such resource class ${params.name}.`);
      return showClass(params.name!);
    },
    '1.2',
  ),
];

/** A read: from 1.15 on its reply says how long it may be kept. */
export function read(
  path: string,
  name: string,
  rule: string,
  summary: string,
  handler: (request: OpRequest) => unknown,
  since?: string,
): Operation {
  return {
    method: 'GET',
    path,
    policy: { name: `placement:${name}`, rule },
    summary,
    ...(since ? { since } : {}),
    status: 200,
    handler: async (request) => {
      const body = await handler(request);
      if (!atLeast(request.version, '1.15')) return body;
      const headers = { 'cache-control': 'no-cache', 'last-modified': new Date().toUTCString() };
      return new OpReply(body === undefined ? 204 : 200, body, headers);
    },
  };
}

async function listFiltered({ app, version, query }: OpRequest) {
  const { name, uuid, resources, in_tree } = query;
  const wanted = resources === undefined ? {} : parseResources(String(resources));
  const providers = (await listProviders(app)).filter(
    ({ summary }) =>
      (name === undefined || summary.host.name === name) &&
      (uuid === undefined || summary.host.id === uuid) &&
      (in_tree === undefined || summary.host.id === in_tree) &&
      Object.entries(wanted).every(([c, n]) => summary.total(c) > 0 && n <= summary.total(c)),
  );
  return { resource_providers: providers.map((provider) => showProvider(version, provider)) };
}

async function inventories({ app, params }: OpRequest) {
  const { summary, generation } = await findProvider(app, params.id!);
  const rows = await readInventories(app.store.read, summary.host.id);
  const shown: Record<string, Record<string, number>> = {};
  for (const { host_id: _host, resource_class, ...inventory } of rows) shown[resource_class] = inventory;
  return { resource_provider_generation: generation, inventories: shown };
}

async function consumerAllocations({ app, params, version }: OpRequest) {
  const rows = await allocationsOf(app.store.read, { consumer_id: params.consumer! });
  const generations = new Map((await listProviders(app)).map((p) => [p.summary.host.id, p.generation]));
  const allocations: Record<string, unknown> = {};
  for (const [host, resources] of byKey(rows, 'host_id')) {
    allocations[host] = { generation: generations.get(host) ?? 0, resources };
  }
  const [first] = rows;
  if (!first || !atLeast(version, '1.12')) return { allocations };
  return {
    allocations,
    project_id: first.project_id,
    user_id: first.user_id,
    ...(atLeast(version, '1.28') ? { consumer_generation: 1 } : {}),
    ...(atLeast(version, '1.38') ? { consumer_type: 'INSTANCE' } : {}),
  };
}

async function usages({ app, ctx, query, version }: OpRequest) {
  const { project_id, user_id, consumer_type } = query;
  if (typeof project_id !== 'string' || project_id === '') {
    throw badRequest("Invalid query string parameters: 'project_id' is a required property");
  }
  ctx.authorize('placement:usages', { project_id });
  const user = typeof user_id === 'string' ? user_id : null;
  const { used, consumers } = await projectUsage(app.store.read, project_id, user);
  if (!atLeast(version, '1.38')) return { usages: used };
  const type = consumer_type === 'all' ? 'all' : 'INSTANCE';
  return { usages: consumers > 0 ? { [type]: { consumer_count: consumers, ...used } } : {} };
}

async function listTraits({ app, query }: OpRequest): Promise<{ traits: string[] }> {
  const all = [...new Set((await listProviders(app)).flatMap(traitsOf))].sort();
  const name = typeof query.name === 'string' ? query.name : '';
  if (name.startsWith('startswith:')) {
    return { traits: all.filter((trait) => trait.startsWith(name.slice('startswith:'.length))) };
  }
  if (name.startsWith('in:')) {
    const names = name.slice('in:'.length).split(',');
    return { traits: all.filter((trait) => names.includes(trait)) };
  }
  return { traits: all };
}

function showClass(name: string) {
  return { name, links: [{ rel: 'self', href: `/placement/resource_classes/${name}` }] };
}

/** `VCPU:1,MEMORY_MB:512` as amounts by class; 400 when it is not of that form. */
export function parseResources(text: string): Record<string, number> {
  const amounts: Record<string, number> = {};
  for (const part of text.split(',')) {
    const match = /^([A-Z0-9_]+):(\d+)$/.exec(part);
    if (!match || Number(match[2]) < 1) {
      throw badRequest(
        `Badly formed resources parameter. Expected resources query string parameter in form: ?resources=VCPU:2,MEMORY_MB:1024. Got: ${text}.`,
      );
    }
    if (!RESOURCE_CLASSES.includes(match[1]!)) {
      throw badRequest(`Invalid resource class in resources parameter: ${match[1]}`);
    }
    amounts[match[1]!] = Number(match[2]);
  }
  return amounts;
}

function byKey(
  rows: readonly AllocationRow[],
  key: 'host_id' | 'consumer_id',
): Map<string, Record<string, number>> {
  const groups = new Map<string, Record<string, number>>();
  for (const row of rows) {
    const group = groups.get(row[key]) ?? {};
    group[row.resource_class] = row.used;
    groups.set(row[key], group);
  }
  return groups;
}
