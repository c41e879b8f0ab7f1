import { randomUUID } from 'node:crypto';
import {
  deleteFlavorRow,
  type FlavorRow,
  findFlavor,
  findFlavorByName,
  hasFlavorAccess,
  insertFlavor,
  updateFlavor,
} from '../../store/compute/flavor.js';
import { nowText, type Reader, type Tx } from '../../store/store.js';
import type { App } from '../app.js';
import type { Context } from '../context.js';
import { conflict, type MaruError, notFound } from '../errors.js';

/** A flavor to be made. */
export interface NewFlavor {
  readonly id: string | null;
  readonly name: string;
  readonly vcpus: number;
  readonly memory_mb: number;
  readonly root_gb: number;
  readonly ephemeral_gb: number;
  readonly swap_mb: number;
  readonly rxtx_factor: number;
  readonly is_public: boolean;
  readonly description: string | null;
}

/** Makes a flavor; 409 when its id or name is taken. */
export async function createFlavor(app: App, input: NewFlavor): Promise<FlavorRow> {
  return await app.store.tx(async (tx) => {
    if (await findFlavorByName(tx, input.name))
      throw conflict(`Flavor with name ${input.name} already exists.`);
    if (input.id !== null && (await findFlavor(tx, input.id))) {
      throw conflict(`Flavor with ID ${input.id} already exists.`);
    }
    return await addFlavor(tx, input);
  });
}

/** A flavor that the caller may see; 404 for private ones of others. */
export async function visibleFlavor(db: Reader, ctx: Context, id: string): Promise<FlavorRow> {
  const flavor = await findFlavor(db, id);
  if (!flavor) throw flavorNotFound(id);
  if (flavor.is_public || ctx.isAdmin || (await hasFlavorAccess(db, id, ctx.projectId))) return flavor;
  throw flavorNotFound(id);
}

export async function describeFlavor(
  app: App,
  ctx: Context,
  id: string,
  description: string | null,
): Promise<FlavorRow> {
  return await app.store.tx(async (tx) => {
    const flavor = await visibleFlavor(tx, ctx, id);
    await updateFlavor(tx, id, { description });
    return { ...flavor, description };
  });
}

/** Removes a flavor; servers made with it keep their copy. */
export async function deleteFlavor(app: App, ctx: Context, id: string): Promise<void> {
  await app.store.tx(async (tx) => {
    await visibleFlavor(tx, ctx, id);
    await deleteFlavorRow(tx, id);
  });
}

export async function addFlavor(tx: Tx, input: NewFlavor): Promise<FlavorRow> {
  const { id, is_public, ...rest } = input;
  const row: FlavorRow = {
    ...rest,
    id: id ?? randomUUID(),
    is_public: is_public ? 1 : 0,
    extra_specs: '{}',
    created_at: nowText(),
  };
  await insertFlavor(tx, row);
  return row;
}

export function flavorNotFound(id: string): MaruError {
  return notFound(`Flavor ${id} could not be found.`);
}
