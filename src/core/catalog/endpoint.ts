import {
  type EndpointRow,
  endpoints,
  regions,
  removeProjectEndpoints,
  services,
} from '../../store/identity/catalog.js';
import { removePolicyAssociations } from '../../store/identity/policy-associations.js';
import type { Tx } from '../../store/store.js';
import type { App } from '../app.js';
import { badRequest } from '../errors.js';
import { extraOf, mustGet, newId, storing } from '../identity/rows.js';
import { isValidUrlTemplate } from './render.js';

const KNOWN = ['id', 'service_id', 'region_id', 'region', 'interface', 'url', 'enabled'];

/** What clients may set on an endpoint. `region` is the older name of `region_id`; a region it names is made. */
export interface EndpointBody {
  readonly service_id?: string;
  readonly region_id?: string | null;
  readonly region?: string | null;
  readonly interface?: string;
  readonly url?: string;
  readonly enabled?: boolean;
}

export async function createEndpoint(app: App, body: EndpointBody): Promise<EndpointRow> {
  return await storing(app, 'endpoint', async (tx) => {
    await check(tx, body);
    const row: EndpointRow = {
      id: newId(),
      service_id: body.service_id!,
      region_id: body.region_id ?? body.region ?? null,
      interface: body.interface!,
      url: body.url!,
      enabled: Number(body.enabled ?? true),
      extra: extraOf({ ...body }, KNOWN),
    };
    await endpoints.insert(tx, row);
    return row;
  });
}

export async function updateEndpoint(app: App, id: string, body: EndpointBody): Promise<EndpointRow> {
  return await storing(app, 'endpoint', async (tx) => {
    const row = await mustGet(endpoints, tx, id, 'endpoint');
    await check(tx, body);
    const regionId = body.region_id === undefined ? body.region : body.region_id;
    const changed: EndpointRow = {
      ...row,
      service_id: body.service_id ?? row.service_id,
      region_id: regionId === undefined ? row.region_id : regionId,
      interface: body.interface ?? row.interface,
      url: body.url ?? row.url,
      enabled: body.enabled === undefined ? row.enabled : Number(body.enabled),
      extra: extraOf({ ...body }, KNOWN, row.extra),
    };
    await endpoints.update(tx, id, changed);
    return changed;
  });
}

export async function deleteEndpoint(app: App, id: string): Promise<void> {
  await app.identity.write(async (tx) => {
    await mustGet(endpoints, tx, id, 'endpoint');
    await removeProjectEndpoints(tx, { kind: 'endpoint', target_id: id });
    await removePolicyAssociations(tx, { endpoint_id: id });
    await endpoints.remove(tx, id);
  });
}

async function check(tx: Tx, body: EndpointBody): Promise<void> {
  if (body.url !== undefined && !isValidUrlTemplate(body.url)) {
    throw badRequest(`The URL ${body.url} has a placeholder that endpoints do not know.`);
  }
  if (body.service_id !== undefined && !(await services.get(tx, body.service_id))) {
    throw badRequest(`Could not find service: ${body.service_id}.`);
  }
  if (body.region_id && !(await regions.get(tx, body.region_id))) {
    throw badRequest(`Could not find region: ${body.region_id}.`);
  }
  if (body.region && !(await regions.get(tx, body.region))) {
    await regions.insert(tx, { id: body.region, description: '', parent_region_id: null, extra: '{}' });
  }
}
