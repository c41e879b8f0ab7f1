import { regions, services } from '../../store/identity/catalog.js';
import { listLimits, type RegisteredLimitRow, registeredLimits } from '../../store/identity/limits.js';
import type { Reader, Tx } from '../../store/store.js';
import type { App } from '../app.js';
import { badRequest, forbidden, notFound } from '../errors.js';
import { newId, storing } from '../identity/rows.js';

/** What clients may set on a registered limit. */
export interface RegisteredLimitBody {
  readonly service_id?: string;
  readonly region_id?: string | null;
  readonly resource_name?: string;
  readonly default_limit?: number;
  readonly description?: string | null;
}

/** Creates all or none; 409 when one of the resources has a registered limit already. */
export async function createRegisteredLimits(
  app: App,
  bodies: readonly RegisteredLimitBody[],
): Promise<RegisteredLimitRow[]> {
  return await storing(
    app,
    'registered_limit',
    async (tx) => {
      const rows: RegisteredLimitRow[] = [];
      for (const body of bodies) {
        await checkResource(tx, body);
        const row: RegisteredLimitRow = {
          id: newId(),
          service_id: body.service_id!,
          region_id: body.region_id ?? '',
          resource_name: body.resource_name!,
          default_limit: body.default_limit!,
          description: body.description ?? null,
        };
        await registeredLimits.insert(tx, row);
        rows.push(row);
      }
      return rows;
    },
    { aside: true },
  );
}

/** Changes a registered limit on which no limit is based. */
export async function updateRegisteredLimit(
  app: App,
  id: string,
  body: RegisteredLimitBody,
): Promise<RegisteredLimitRow> {
  return await storing(
    app,
    'registered_limit',
    async (tx) => {
      await checkResource(tx, body);
      const row = await unusedRegisteredLimit(tx, id);
      const changed: RegisteredLimitRow = {
        ...row,
        service_id: body.service_id ?? row.service_id,
        region_id: body.region_id === undefined ? row.region_id : (body.region_id ?? ''),
        resource_name: body.resource_name ?? row.resource_name,
        default_limit: body.default_limit ?? row.default_limit,
        description: body.description === undefined ? row.description : body.description,
      };
      await registeredLimits.update(tx, id, changed);
      return changed;
    },
    { aside: true },
  );
}

/** Deletes a registered limit on which no limit is based. */
export async function deleteRegisteredLimit(app: App, id: string): Promise<void> {
  await app.store.tx(async (tx) => {
    await unusedRegisteredLimit(tx, id);
    await registeredLimits.remove(tx, id);
  });
}

/** The registered limit; 404 in Keystone's words when there is none. */
export async function getRegisteredLimit(db: Reader, id: string): Promise<RegisteredLimitRow> {
  const row = await registeredLimits.get(db, id);
  if (!row) throw notFound(`Could not find registered limit for ${id}.`);
  return row;
}

/**
 * Removes the registered limits of a service or region that is about to go. Refuses (403) while limits of projects or domains are based on
 * them: those must not go without a word.
 */
export async function removeRegisteredLimitsOf(
  tx: Tx,
  of: { readonly service_id: string } | { readonly region_id: string },
): Promise<void> {
  const [what, id] = 'service_id' in of ? ['service', of.service_id] : ['region', of.region_id];
  const based = await listLimits(tx, of);
  if (based.length > 0) {
    const registered = [...new Set(based.map((limit) => limit.registered_limit_id))];
    throw forbidden(
      `Unable to delete ${what} ${id} because there are project limits associated with its registered limits: ${registered.join(', ')}.`,
    );
  }
  for (const row of await registeredLimits.list(tx, { ...of })) await registeredLimits.remove(tx, row.id);
}

async function unusedRegisteredLimit(tx: Tx, id: string): Promise<RegisteredLimitRow> {
  const row = await getRegisteredLimit(tx, id);
  if ((await listLimits(tx, { registered_limit_id: id })).length > 0) {
    throw forbidden(
      `Unable to update or delete registered limit ${id} because there are project limits associated with it.`,
    );
  }
  return row;
}

/** Refuses a body that names a service or region which does not exist. */
export async function checkResource(
  tx: Tx,
  body: { readonly service_id?: string; readonly region_id?: string | null },
): Promise<void> {
  if (body.service_id !== undefined && !(await services.get(tx, body.service_id))) {
    throw badRequest(`Could not find service: ${body.service_id}.`);
  }
  if (body.region_id && !(await regions.get(tx, body.region_id))) {
    throw badRequest(`Could not find region: ${body.region_id}.`);
  }
}
