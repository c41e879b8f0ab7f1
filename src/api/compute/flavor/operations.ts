import { badRequest } from '../../../core/errors.js';
import { createFlavor, deleteFlavor, describeFlavor, visibleFlavor } from '../../../core/flavor/flavor.js';
import { findFlavor, listFlavors } from '../../../store/compute/flavor.js';
import type { Operation, OpRequest, Schema } from '../../shared/operation.js';
import { lastValue } from '../../shared/query.js';
import { nextLinks, readPage, readSort } from '../paging.js';
import { ADMIN, ANYBODY, policy } from '../policy.js';
import { BOOLEAN, DESCRIPTION, envelope, integer, isTrue, NAME, object } from '../schemas.js';
import { briefFlavor, showFlavor } from './view.js';

const SORT_KEYS: Readonly<Record<string, string>> = {
  flavorid: 'id',
  name: 'name',
  memory_mb: 'memory_mb',
  vcpus: 'vcpus',
  root_gb: 'root_gb',
  created_at: 'created_at',
  id: 'id',
};

const FLAVOR: Readonly<Record<string, Schema>> = {
  name: NAME,
  id: {
    type: ['string', 'number', 'null'],
    minLength: 1,
    maxLength: 255,
    pattern: '^(?! )[a-zA-Z0-9. _-]+(?<! )$',
  },
  ram: integer(1),
  vcpus: integer(1),
  disk: integer(0),
  'OS-FLV-EXT-DATA:ephemeral': integer(0),
  swap: integer(0),
  rxtx_factor: {
    type: ['number', 'string'],
    pattern: '^[0-9]+(\\.[0-9]+)?$',
    exclusiveMinimum: 0,
    maximum: 3.40282e38,
  },
  'os-flavor-access:is_public': BOOLEAN,
};
const REQUIRED = ['name', 'ram', 'vcpus', 'disk'];

interface FlavorBody {
  flavor: {
    name: string;
    id?: string | number | null;
    ram: number | string;
    vcpus: number | string;
    disk: number | string;
    'OS-FLV-EXT-DATA:ephemeral'?: number | string;
    swap?: number | string;
    rxtx_factor?: number | string;
    'os-flavor-access:is_public'?: unknown;
    description?: string | null;
  };
}

/** Flavors: lists, show, create, description, delete. */
export const flavorOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/v2.1/flavors',
    policy: policy('flavors:index', ANYBODY),
    summary: 'List flavors',
    status: 200,
    handler: (request) => list(request, '/flavors', briefFlavor),
  },
  {
    method: 'GET',
    path: '/v2.1/flavors/detail',
    policy: policy('flavors:detail', ANYBODY),
    summary: 'List flavors with details',
    status: 200,
    handler: (request) => list(request, '/flavors/detail', showFlavor),
  },
  {
    method: 'GET',
    path: '/v2.1/flavors/:flavor_id',
    policy: policy('flavors:show', ANYBODY),
    summary: 'Show a flavor',
    status: 200,
    handler: async (request) => ({
      flavor: showFlavor(
        request,
        await visibleFlavor(request.app.store.read, request.ctx, request.params.flavor_id!),
      ),
    }),
  },
  {
    method: 'POST',
    path: '/v2.1/flavors',
    policy: policy('os-flavor-manage:create', ADMIN),
    summary: 'Create a flavor',
    body: [
      ['2.1', envelope('flavor', object(FLAVOR, REQUIRED))],
      ['2.55', envelope('flavor', object({ ...FLAVOR, description: DESCRIPTION }, REQUIRED))],
    ],
    status: 200,
    handler: create,
  },
  {
    method: 'PUT',
    path: '/v2.1/flavors/:flavor_id',
    policy: policy('os-flavor-manage:update', ADMIN),
    summary: "Change a flavor's description",
    since: '2.55',
    body: envelope('flavor', object({ description: DESCRIPTION }, ['description'])),
    status: 200,
    handler: async (request: OpRequest<{ flavor: { description: string | null } }>) => ({
      flavor: showFlavor(
        request,
        await describeFlavor(
          request.app,
          request.ctx,
          request.params.flavor_id!,
          request.body.flavor.description,
        ),
      ),
    }),
  },
  {
    method: 'DELETE',
    path: '/v2.1/flavors/:flavor_id',
    policy: policy('os-flavor-manage:delete', ADMIN),
    summary: 'Delete a flavor',
    status: 202,
    handler: ({ app, ctx, params }) => deleteFlavor(app, ctx, params.flavor_id!),
  },
];

async function create(request: OpRequest<FlavorBody>) {
  const { flavor } = request.body;
  if (flavor.name.trim() === '') throw badRequest("Invalid input for field/attribute name. Value: ''.");
  const made = await createFlavor(request.app, {
    id: flavor.id === undefined || flavor.id === null || flavor.id === 'auto' ? null : String(flavor.id),
    name: flavor.name,
    vcpus: amount('vcpus', flavor.vcpus, 1),
    memory_mb: amount('ram', flavor.ram, 1),
    root_gb: amount('disk', flavor.disk, 0),
    ephemeral_gb: amount('OS-FLV-EXT-DATA:ephemeral', flavor['OS-FLV-EXT-DATA:ephemeral'] ?? 0, 0),
    swap_mb: amount('swap', flavor.swap ?? 0, 0),
    rxtx_factor: Number(flavor.rxtx_factor ?? 1),
    is_public: isTrue(flavor['os-flavor-access:is_public'] ?? true),
    description: flavor.description ?? null,
  });
  return { flavor: showFlavor(request, made) };
}

/** A number that may have come as text, which a schema's minimum and maximum do not see. */
function amount(field: string, value: number | string, least: number): number {
  const number = Number(value);
  if (number >= least && number <= 2_147_483_647) return number;
  const fault =
    number < least ? `less than the minimum of ${least}` : 'greater than the maximum of 2147483647';
  throw badRequest(`Invalid input for field/attribute ${field}. Value: ${value}. ${value} is ${fault}`);
}

async function list(
  request: OpRequest,
  path: string,
  view: (request: OpRequest, flavor: Awaited<ReturnType<typeof listFlavors>>[number]) => unknown,
) {
  const { app, ctx, query } = request;
  const db = app.store.read;
  const page = readPage(query);
  const marker = page.marker === null ? null : await findFlavor(db, page.marker);
  if (marker === undefined) throw badRequest(`marker [${page.marker}] not found`);
  const rows = await listFlavors(db, {
    isPublic: ctx.isAdmin ? readIsPublic(lastValue(query.is_public)) : true,
    accessibleTo: ctx.projectId,
    minDisk: readMinimum('min_disk', lastValue(query.minDisk)),
    minRam: readMinimum('min_ram', lastValue(query.minRam)),
    sort: readSort(query, SORT_KEYS, [{ column: 'id', direction: 'asc' }]),
    marker: marker ?? null,
    limit: page.limit + 1,
  });
  const shown = rows.slice(0, page.limit);
  const links = nextLinks(request, path, rows.length > page.limit, shown.at(-1)?.id);
  return {
    flavors: shown.map((flavor) => view(request, flavor)),
    ...(links ? { flavors_links: links } : {}),
  };
}

/** `None`: both kinds; absent: public ones. */
function readIsPublic(text: string | undefined): boolean | null {
  if (text === undefined) return true;
  if (text.toLowerCase() === 'none') return null;
  if (/^(true|1|yes|on|t|y)$/i.test(text)) return true;
  if (/^(false|0|no|off|f|n)$/i.test(text)) return false;
  throw badRequest(`Invalid is_public filter [${text}]`);
}

function readMinimum(name: string, text: string | undefined): number {
  if (text === undefined) return 0;
  if (!/^\d+$/.test(text)) throw badRequest(`Invalid ${name} filter [${text}]`);
  return Math.min(Number(text), 2_147_483_647);
}
