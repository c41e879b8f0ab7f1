import {
  deleteFlavorAccess,
  flavorProjects,
  hasFlavorAccess,
  insertFlavorAccess,
} from '../../store/compute/flavor.js';
import type { App } from '../app.js';
import type { Context } from '../context.js';
import { conflict, notFound } from '../errors.js';
import { visibleFlavor } from './flavor.js';

/** Projects that may use a private flavor; public ones have no such list. */
export async function listFlavorAccess(app: App, ctx: Context, id: string): Promise<string[]> {
  const flavor = await visibleFlavor(app.store.read, ctx, id);
  if (flavor.is_public) throw notFound('Access list not available for public flavors.');
  return await flavorProjects(app.store.read, id);
}

/** Lets a project use a private flavor; gives all that may now. */
export async function addFlavorAccess(
  app: App,
  ctx: Context,
  id: string,
  projectId: string,
): Promise<string[]> {
  return await app.store.tx(async (tx) => {
    const flavor = await visibleFlavor(tx, ctx, id);
    if (flavor.is_public) throw conflict('Can not add access to a public flavor.');
    if (await hasFlavorAccess(tx, id, projectId)) {
      throw conflict(`Flavor access already exists for flavor ${id} and project ${projectId} combination.`);
    }
    await insertFlavorAccess(tx, id, projectId);
    return await flavorProjects(tx, id);
  });
}

export async function removeFlavorAccess(
  app: App,
  ctx: Context,
  id: string,
  projectId: string,
): Promise<string[]> {
  return await app.store.tx(async (tx) => {
    await visibleFlavor(tx, ctx, id);
    if (!(await hasFlavorAccess(tx, id, projectId))) {
      throw notFound(`Flavor access not found for ${id} / ${projectId} combination.`);
    }
    await deleteFlavorAccess(tx, id, projectId);
    return await flavorProjects(tx, id);
  });
}
