import { removeApplicationCredentialsByRole } from '../../store/identity/delegations.js';
import { projects } from '../../store/identity/projects.js';
import {
  addImplication,
  implications,
  type RoleRow,
  removeImplication,
  removeRoleUses,
  roles,
} from '../../store/identity/roles.js';
import type { Reader } from '../../store/store.js';
import type { App } from '../app.js';
import { badRequest, forbidden, notFound } from '../errors.js';
import {
  extraOf,
  mergeOptions,
  missing,
  mustGet,
  newId,
  refuseImmutable,
  storing,
} from '../identity/rows.js';

const KNOWN = ['id', 'name', 'domain_id', 'description', 'options'];

/** What clients may set on a role. */
export interface RoleBody {
  readonly name?: string;
  readonly domain_id?: string | null;
  readonly description?: string | null;
  readonly options?: Readonly<Record<string, unknown>>;
}

export async function createRole(app: App, body: RoleBody): Promise<RoleRow> {
  return await storing(app, 'role', async (tx) => {
    if (body.domain_id && !(await projects.get(tx, body.domain_id))?.is_domain) {
      throw missing('domain', body.domain_id);
    }
    const row: RoleRow = {
      id: newId(),
      name: body.name!.trim(),
      domain_id: body.domain_id ?? '',
      description: body.description ?? null,
      options: mergeOptions('{}', body.options),
      extra: extraOf({ ...body }, KNOWN),
    };
    await roles.insert(tx, row);
    return row;
  });
}

export async function updateRole(app: App, id: string, body: RoleBody): Promise<RoleRow> {
  return await storing(app, 'role', async (tx) => {
    const row = await mustGet(roles, tx, id, 'role');
    refuseImmutable(row, 'role', body);
    if (body.domain_id !== undefined && (body.domain_id ?? '') !== row.domain_id) {
      throw badRequest('Update of `domain_id` is not allowed.');
    }
    const changed: RoleRow = {
      ...row,
      name: body.name?.trim() ?? row.name,
      description: body.description === undefined ? row.description : body.description,
      options: mergeOptions(row.options, body.options),
      extra: extraOf({ ...body }, KNOWN, row.extra),
    };
    await roles.update(tx, id, changed);
    return changed;
  });
}

/** Deletes a role with its grants and implications. */
export async function deleteRole(app: App, id: string): Promise<void> {
  await app.identity.write(async (tx) => {
    refuseImmutable(await mustGet(roles, tx, id, 'role'), 'role');
    await removeApplicationCredentialsByRole(tx, id);
    await removeRoleUses(tx, id);
    await roles.remove(tx, id);
  });
}

/** An implication with both of its roles. */
export interface Inference {
  readonly prior: RoleRow;
  readonly implied: RoleRow;
}

/** Both roles of an implication; 404 when one does not exist. */
export async function rolePair(db: Reader, priorId: string, impliedId: string): Promise<Inference> {
  return {
    prior: await mustGet(roles, db, priorId, 'role'),
    implied: await mustGet(roles, db, impliedId, 'role'),
  };
}

/** Like `rolePair`, for an implication that must exist. */
export async function existingInference(db: Reader, priorId: string, impliedId: string): Promise<Inference> {
  const pair = await rolePair(db, priorId, impliedId);
  const found = (await implications(db, priorId)).some((row) => row.implied_role_id === impliedId);
  if (!found) throw notFound(`${priorId} does not imply ${impliedId}.`);
  return pair;
}

/** Makes whoever has the prior role have the implied one too. `admin` can only be granted. */
export async function addInference(app: App, priorId: string, impliedId: string): Promise<Inference> {
  return await app.identity.write(async (tx) => {
    const pair = await rolePair(tx, priorId, impliedId);
    if (pair.implied.name.toLowerCase() === 'admin' && pair.implied.domain_id === '') {
      throw forbidden(`${impliedId} cannot be an implied roles.`);
    }
    if (pair.prior.domain_id === '' && pair.implied.domain_id !== '') {
      throw forbidden(
        `The role ${priorId} of the cloud cannot imply ${impliedId}, which belongs to a domain.`,
      );
    }
    await addImplication(tx, priorId, impliedId);
    return pair;
  });
}

export async function removeInference(app: App, priorId: string, impliedId: string): Promise<void> {
  await app.identity.write(async (tx) => {
    if (await removeImplication(tx, priorId, impliedId)) return;
    await rolePair(tx, priorId, impliedId);
    throw notFound(`${priorId} does not imply ${impliedId}.`);
  });
}

/** Every prior role with the roles that it implies directly. */
export async function inferences(db: Reader): Promise<Map<RoleRow, RoleRow[]>> {
  const byId = new Map((await roles.list(db)).map((role) => [role.id, role]));
  const found = new Map<RoleRow, RoleRow[]>();
  for (const row of await implications(db)) {
    const prior = byId.get(row.prior_role_id);
    const implied = byId.get(row.implied_role_id);
    if (prior && implied) found.set(prior, [...(found.get(prior) ?? []), implied]);
  }
  return found;
}
