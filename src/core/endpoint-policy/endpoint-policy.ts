import {
  type EndpointRow,
  endpoints,
  type PolicyRow,
  policies,
  regions,
  services,
} from '../../store/identity/catalog.js';
import {
  listPolicyAssociations,
  putPolicyAssociation,
  removePolicyAssociations,
} from '../../store/identity/policy-associations.js';
import type { Reader } from '../../store/store.js';
import type { App } from '../app.js';
import { notFound } from '../errors.js';
import { mustGet } from '../identity/rows.js';

/** What a policy document is for: an endpoint, a service, or a service in a region and those below it. */
export type PolicyPlace =
  | { readonly endpoint_id: string }
  | { readonly service_id: string; readonly region_id?: string };

/** Makes a policy document that of a place; the one that it had before gives way. */
export async function associatePolicy(app: App, policyId: string, place: PolicyPlace): Promise<void> {
  await app.identity.write(async (tx) => {
    await mustExist(tx, policyId, place);
    await putPolicyAssociation(tx, { policy_id: policyId, ...columns(place) });
  });
}

export async function dissociatePolicy(app: App, policyId: string, place: PolicyPlace): Promise<void> {
  await app.identity.write(async (tx) => {
    await mustExist(tx, policyId, place);
    const removed = await removePolicyAssociations(tx, { policy_id: policyId, ...columns(place) });
    if (removed === 0) throw notAssociated(policyId, place);
  });
}

/** 404 unless the policy document is that of the place. */
export async function checkPolicyAssociation(
  db: Reader,
  policyId: string,
  place: PolicyPlace,
): Promise<void> {
  await mustExist(db, policyId, place);
  const found = await listPolicyAssociations(db, { policy_id: policyId, ...columns(place) });
  if (found.length === 0) throw notAssociated(policyId, place);
}

/**
 * The policy document of an endpoint: its own, else that of its service in its region or the nearest above, else that of
 * its service. Throws 404 when it has none.
 */
export async function policyOfEndpoint(db: Reader, endpointId: string): Promise<PolicyRow> {
  const endpoint = await mustGet(endpoints, db, endpointId, 'endpoint');
  const places: PolicyPlace[] = [{ endpoint_id: endpointId }];
  const seen = new Set<string>();
  for (let id = endpoint.region_id; id !== null && !seen.has(id); ) {
    seen.add(id);
    places.push({ service_id: endpoint.service_id, region_id: id });
    id = (await regions.get(db, id))?.parent_region_id ?? null;
  }
  places.push({ service_id: endpoint.service_id });
  for (const place of places) {
    const [found] = await listPolicyAssociations(db, columns(place));
    if (found) return await mustGet(policies, db, found.policy_id, 'policy');
  }
  throw notFound(`No policy is associated with endpoint ${endpointId}.`);
}

/** The endpoints that the associations of a policy document are about. */
export async function endpointsOfPolicy(db: Reader, policyId: string): Promise<EndpointRow[]> {
  await mustGet(policies, db, policyId, 'policy');
  const found = new Map<string, EndpointRow>();
  const all = await endpoints.list(db);
  for (const { endpoint_id, service_id, region_id } of await listPolicyAssociations(db, {
    policy_id: policyId,
  })) {
    const below = region_id === '' ? null : await regionsBelow(db, region_id);
    for (const endpoint of all) {
      const matches =
        endpoint_id === ''
          ? endpoint.service_id === service_id && (below?.has(endpoint.region_id ?? '') ?? true)
          : endpoint.id === endpoint_id;
      if (matches) found.set(endpoint.id, endpoint);
    }
  }
  return [...found.values()];
}

async function regionsBelow(db: Reader, regionId: string): Promise<ReadonlySet<string>> {
  const rows = await regions.list(db);
  const below = new Set([regionId]);
  for (const id of below) {
    for (const row of rows) if (row.parent_region_id === id) below.add(row.id);
  }
  return below;
}

async function mustExist(db: Reader, policyId: string, place: PolicyPlace): Promise<void> {
  await mustGet(policies, db, policyId, 'policy');
  if ('endpoint_id' in place) {
    await mustGet(endpoints, db, place.endpoint_id, 'endpoint');
    return;
  }
  await mustGet(services, db, place.service_id, 'service');
  if (place.region_id !== undefined) await mustGet(regions, db, place.region_id, 'region');
}

function columns(place: PolicyPlace) {
  return { endpoint_id: '', service_id: '', region_id: '', ...place };
}

function notAssociated(policyId: string, place: PolicyPlace) {
  const what = Object.entries(place)
    .map(([name, id]) => `${name} ${id}`)
    .join(', ');
  return notFound(`Policy ${policyId} is not associated with ${what}.`);
}
