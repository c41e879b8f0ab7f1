import { randomUUID } from 'node:crypto';
import { isUniqueViolation, nowText } from '../../store/store.js';
import {
  countVolumesOfType,
  deleteVolumeTypeRow,
  findVolumeType,
  insertVolumeType,
  updateVolumeTypeRow,
  type VolumeTypeRow,
} from '../../store/volume.js';
import type { App } from '../app.js';
import type { Context } from '../context.js';
import { badRequest, conflict, notFound } from '../errors.js';

export interface VolumeTypeInput {
  readonly name?: string;
  readonly description?: string | null;
  readonly is_public?: boolean;
  readonly extra_specs?: Readonly<Record<string, string>>;
}

/** A type by id or name; private ones only for administrators. */
export async function visibleVolumeType(app: App, ctx: Context, nameOrId: string): Promise<VolumeTypeRow> {
  const type = await findVolumeType(app.store.read, nameOrId);
  if (!type || (type.is_public === 0 && !ctx.isAdmin))
    throw notFound(`Volume type ${nameOrId} could not be found.`);
  return type;
}

export async function createVolumeType(
  app: App,
  input: VolumeTypeInput & { name: string },
): Promise<VolumeTypeRow> {
  const name = checkedName(input.name);
  const row: VolumeTypeRow = {
    id: randomUUID(),
    name,
    description: input.description ?? null,
    is_public: input.is_public === false ? 0 : 1,
    extra_specs: JSON.stringify(input.extra_specs ?? {}),
    created_at: nowText(),
  };
  await unlessTaken(name, () => app.store.tx((tx) => insertVolumeType(tx, row)));
  return row;
}

export async function changeVolumeType(app: App, id: string, input: VolumeTypeInput): Promise<VolumeTypeRow> {
  const type = await findVolumeType(app.store.read, id);
  if (!type) throw notFound(`Volume type ${id} could not be found.`);
  const row: VolumeTypeRow = {
    ...type,
    name: input.name === undefined ? type.name : checkedName(input.name),
    description: input.description === undefined ? type.description : input.description,
    is_public: input.is_public === undefined ? type.is_public : Number(input.is_public),
    extra_specs: input.extra_specs === undefined ? type.extra_specs : JSON.stringify(input.extra_specs),
  };
  await unlessTaken(row.name, () => app.store.tx((tx) => updateVolumeTypeRow(tx, row)));
  return row;
}

/** Deletes a type that no volume has; the default type stays. */
export async function deleteVolumeType(app: App, id: string): Promise<void> {
  const type = await findVolumeType(app.store.read, id);
  if (!type) throw notFound(`Volume type ${id} could not be found.`);
  if (type.name === '__DEFAULT__')
    throw badRequest('Invalid volume type: the default type cannot be deleted.');
  await app.store.tx(async (tx) => {
    if ((await countVolumesOfType(tx, type.id)) > 0) throw badRequest('Target volume type is still in use.');
    await deleteVolumeTypeRow(tx, type.id);
  });
}

function checkedName(name: string): string {
  const trimmed = name.trim();
  if (trimmed === '') throw badRequest('Volume type name can not be empty.');
  return trimmed;
}

async function unlessTaken(name: string, write: () => Promise<void>): Promise<void> {
  try {
    await write();
  } catch (error) {
    if (isUniqueViolation(error)) throw conflict(`Volume Type ${name} already exists.`);
    throw error;
  }
}
