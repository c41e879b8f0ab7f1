import { endpoints, type RegionRow, regions } from '../../store/identity/catalog.js';
import { removePolicyAssociations } from '../../store/identity/policy-associations.js';
import type { App } from '../app.js';
import { badRequest, forbidden } from '../errors.js';
import { extraOf, mustGet, newId, storing } from '../identity/rows.js';
import { removeRegisteredLimitsOf } from '../limit/registered-limit.js';

const KNOWN = ['id', 'description', 'parent_region_id'];

/** What clients may set on a region. */
export interface RegionBody {
  readonly id?: string;
  readonly description?: string | null;
  readonly parent_region_id?: string | null;
}

export async function createRegion(app: App, body: RegionBody): Promise<RegionRow> {
  return await storing(app, 'region', async (tx) => {
    if (body.parent_region_id) await mustGet(regions, tx, body.parent_region_id, 'region');
    const row: RegionRow = {
      id: body.id || newId(),
      description: body.description ?? '',
      parent_region_id: body.parent_region_id ?? null,
      extra: extraOf({ ...body }, KNOWN),
    };
    await regions.insert(tx, row);
    return row;
  });
}

export async function updateRegion(app: App, id: string, body: RegionBody): Promise<RegionRow> {
  return await storing(app, 'region', async (tx) => {
    const row = await mustGet(regions, tx, id, 'region');
    let parentId = body.parent_region_id ?? null;
    for (let depth = 0; parentId !== null && depth < 32; depth++) {
      if (parentId === id) throw badRequest(`Region ${id} cannot be below itself.`);
      parentId = (await mustGet(regions, tx, parentId, 'region')).parent_region_id;
    }
    const changed: RegionRow = {
      ...row,
      description: body.description === undefined ? row.description : (body.description ?? ''),
      parent_region_id: body.parent_region_id === undefined ? row.parent_region_id : body.parent_region_id,
      extra: extraOf({ ...body }, KNOWN, row.extra),
    };
    await regions.update(tx, id, changed);
    return changed;
  });
}

/** Deletes a region that has no endpoints, with the regions below it; 403 while limits of projects are for one of them. */
export async function deleteRegion(app: App, id: string): Promise<void> {
  await app.identity.write(async (tx) => {
    await mustGet(regions, tx, id, 'region');
    const doomed = [id];
    for (const parent of doomed) {
      if ((await endpoints.list(tx, { region_id: parent })).length > 0) {
        throw forbidden(
          `Unable to delete region ${id} because it or its child regions have associated endpoints.`,
        );
      }
      doomed.push(...(await regions.list(tx, { parent_region_id: parent })).map((child) => child.id));
    }
    for (const region of doomed) {
      await removeRegisteredLimitsOf(tx, { region_id: region });
      await removePolicyAssociations(tx, { region_id: region });
      await regions.remove(tx, region);
    }
  });
}
