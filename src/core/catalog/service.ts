import {
  endpoints,
  removeProjectEndpoints,
  type ServiceRow,
  services,
} from '../../store/identity/catalog.js';
import { removePolicyAssociations } from '../../store/identity/policy-associations.js';
import type { App } from '../app.js';
import { extraOf, mustGet, newId, storing } from '../identity/rows.js';
import { removeRegisteredLimitsOf } from '../limit/registered-limit.js';

const KNOWN = ['id', 'type', 'name', 'description', 'enabled'];

/** What clients may set on a service. */
export interface ServiceBody {
  readonly type?: string;
  readonly name?: string | null;
  readonly description?: string | null;
  readonly enabled?: boolean;
}

export async function createService(app: App, body: ServiceBody): Promise<ServiceRow> {
  return await storing(app, 'service', async (tx) => {
    const row: ServiceRow = {
      id: newId(),
      type: body.type!,
      name: body.name ?? null,
      description: body.description ?? null,
      enabled: Number(body.enabled ?? true),
      extra: extraOf({ ...body }, KNOWN),
    };
    await services.insert(tx, row);
    return row;
  });
}

export async function updateService(app: App, id: string, body: ServiceBody): Promise<ServiceRow> {
  return await storing(app, 'service', async (tx) => {
    const row = await mustGet(services, tx, id, 'service');
    const changed: ServiceRow = {
      ...row,
      type: body.type ?? row.type,
      name: body.name === undefined ? row.name : body.name,
      description: body.description === undefined ? row.description : body.description,
      enabled: body.enabled === undefined ? row.enabled : Number(body.enabled),
      extra: extraOf({ ...body }, KNOWN, row.extra),
    };
    await services.update(tx, id, changed);
    return changed;
  });
}

/** Deletes a service with its endpoints and registered limits; 403 while limits of projects are based on those. */
export async function deleteService(app: App, id: string): Promise<void> {
  await app.identity.write(async (tx) => {
    await mustGet(services, tx, id, 'service');
    for (const endpoint of await endpoints.list(tx, { service_id: id })) {
      await removeProjectEndpoints(tx, { kind: 'endpoint', target_id: endpoint.id });
      await removePolicyAssociations(tx, { endpoint_id: endpoint.id });
      await endpoints.remove(tx, endpoint.id);
    }
    await removeRegisteredLimitsOf(tx, { service_id: id });
    await removePolicyAssociations(tx, { service_id: id });
    await services.remove(tx, id);
  });
}
