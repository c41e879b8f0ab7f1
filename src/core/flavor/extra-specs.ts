import { updateFlavor } from '../../store/compute/flavor.js';
import type { App } from '../app.js';
import type { Context } from '../context.js';
import { badRequest, notFound } from '../errors.js';
import { visibleFlavor } from './flavor.js';

export type ExtraSpecs = Readonly<Record<string, string>>;

export async function readExtraSpecs(app: App, ctx: Context, id: string): Promise<ExtraSpecs> {
  return JSON.parse((await visibleFlavor(app.store.read, ctx, id)).extra_specs) as ExtraSpecs;
}

/** Adds to or overwrites a flavor's extra specs; others stay. */
export async function setExtraSpecs(app: App, ctx: Context, id: string, specs: ExtraSpecs): Promise<void> {
  checkNames(specs);
  await app.store.tx(async (tx) => {
    const flavor = await visibleFlavor(tx, ctx, id);
    const merged = { ...(JSON.parse(flavor.extra_specs) as ExtraSpecs), ...specs };
    await updateFlavor(tx, id, { extra_specs: JSON.stringify(merged) });
  });
}

export async function deleteExtraSpec(app: App, ctx: Context, id: string, key: string): Promise<void> {
  await app.store.tx(async (tx) => {
    const flavor = await visibleFlavor(tx, ctx, id);
    const specs = { ...(JSON.parse(flavor.extra_specs) as ExtraSpecs) };
    if (!(key in specs)) throw noSuchSpec(id, key);
    delete (specs as Record<string, string>)[key];
    await updateFlavor(tx, id, { extra_specs: JSON.stringify(specs) });
  });
}

export function noSuchSpec(id: string, key: string) {
  return notFound(`Flavor ${id} has no extra specs with key ${key}.`);
}

function checkNames(specs: ExtraSpecs): void {
  for (const key of Object.keys(specs)) {
    if (!/^[\w.:\- ]{1,255}$/.test(key)) {
      throw badRequest(
        `Key Names can only contain alphanumeric characters, periods, dashes, underscores, colons and spaces.`,
      );
    }
  }
}
