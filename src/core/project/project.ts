import { removeProjectEndpoints } from '../../store/identity/catalog.js';
import { removeDelegationsInProject } from '../../store/identity/delegations.js';
import { ancestors, descendants, type ProjectRow, projects, setTags } from '../../store/identity/projects.js';
import { removeAssignments } from '../../store/identity/roles.js';
import { users } from '../../store/identity/users.js';
import type { Reader, Tx } from '../../store/store.js';
import type { App } from '../app.js';
import type { Context } from '../context.js';
import { deleteDomainRow } from '../domain/domain.js';
import { badRequest, forbidden } from '../errors.js';
import {
  extraOf,
  mergeOptions,
  missing,
  mustGet,
  newId,
  refuseImmutable,
  storing,
} from '../identity/rows.js';

/** How deep projects may nest below their domain. */
const MAX_DEPTH = 5;
const KNOWN = [
  'id',
  'name',
  'domain_id',
  'parent_id',
  'is_domain',
  'enabled',
  'description',
  'tags',
  'options',
];

/** What clients may set on a project. */
export interface ProjectBody {
  readonly name?: string;
  readonly domain_id?: string | null;
  readonly parent_id?: string | null;
  readonly is_domain?: boolean;
  readonly enabled?: boolean;
  readonly description?: string | null;
  readonly tags?: readonly string[];
  readonly options?: Readonly<Record<string, unknown>>;
}

/** Creates a project below its parent, or a domain when `is_domain` says so. */
export async function createProject(app: App, ctx: Context, body: ProjectBody): Promise<ProjectRow> {
  if (body.is_domain) return await createDomainRow(app, body);
  return await storing(app, 'project', async (tx) => {
    const place = await placeOf(tx, ctx, body);
    const row: ProjectRow = { ...columnsOf(body), id: newId(), is_domain: 0, ...place };
    await projects.insert(tx, row);
    await setTags(tx, row.id, body.tags ?? []);
    return row;
  });
}

/** Creates a domain: a project that contains others. */
export async function createDomainRow(app: App, body: ProjectBody): Promise<ProjectRow> {
  if (body.parent_id) throw badRequest('A domain has no parent.');
  return await storing(app, 'domain', async (tx) => {
    const row: ProjectRow = { ...columnsOf(body), id: newId(), is_domain: 1, domain_id: '', parent_id: null };
    await projects.insert(tx, row);
    await setTags(tx, row.id, body.tags ?? []);
    return row;
  });
}

/** Changes a project or domain. Disabling it ends the tokens for it. */
export async function updateProject(
  app: App,
  id: string,
  body: ProjectBody,
  what: 'project' | 'domain' = 'project',
): Promise<ProjectRow> {
  return await storing(app, what, async (tx) => {
    const row = await mustGet(projects, tx, id, what);
    if (what === 'domain' && !row.is_domain) throw missing(what, id);
    refuseImmutable(row, what, body.options);
    if (body.domain_id !== undefined && (body.domain_id ?? '') !== row.domain_id) {
      throw badRequest('A project cannot move to another domain.');
    }
    if (body.parent_id !== undefined && body.parent_id !== row.parent_id) {
      throw forbidden(`Update of parent_id is not allowed for project ${id}.`);
    }
    if (body.is_domain !== undefined && Number(body.is_domain) !== row.is_domain) {
      throw badRequest('Update of is_domain is not allowed.');
    }
    if (body.enabled === true && !row.enabled) await refuseBelowDisabled(tx, row);
    const changed: ProjectRow = { ...row, ...changesOf(row, body) };
    await projects.update(tx, id, changed);
    if (body.tags) await setTags(tx, id, body.tags);
    if (row.enabled && !changed.enabled) {
      await app.identity.tokens.revokeAll(tx, row.is_domain ? 'domain' : 'project', id);
    }
    return changed;
  });
}

/** Deletes a project that has none below it, or a disabled domain. What other services hold for it stays theirs. */
export async function deleteProject(app: App, id: string): Promise<void> {
  await app.identity.write(async (tx) => {
    const row = await mustGet(projects, tx, id, 'project');
    refuseImmutable(row, 'project');
    if (row.is_domain) return await deleteDomainRow(app, tx, row);
    if ((await descendants(tx, id)).length > 0) {
      throw forbidden(`Cannot delete the project ${id} since it is not a leaf in the hierarchy.`);
    }
    await removeProjectRow(app, tx, id);
  });
}

/** Removes a project with what identity keeps about it, in a transaction of the caller. */
export async function removeProjectRow(app: App, tx: Tx, id: string): Promise<void> {
  await removeAssignments(tx, { target_type: 'project', target_id: id });
  await removeDelegationsInProject(tx, id);
  await removeProjectEndpoints(tx, { project_id: id });
  await setTags(tx, id, []);
  for (const user of await users.list(tx, { default_project_id: id })) {
    await users.update(tx, user.id, { default_project_id: null });
  }
  await projects.remove(tx, id);
  await app.identity.tokens.revokeAll(tx, 'project', id);
}

/** The given tags as a project's only ones. */
export async function replaceTags(app: App, id: string, tags: readonly string[]): Promise<void> {
  await app.identity.write(async (tx) => {
    refuseImmutable(await mustGet(projects, tx, id, 'project'), 'project');
    await setTags(tx, id, tags);
  });
}

/** Domain and parent of a new project: what is given, else those of the caller's scope. */
async function placeOf(tx: Tx, ctx: Context, body: ProjectBody) {
  const parent = body.parent_id ? await mustGet(projects, tx, body.parent_id, 'project') : null;
  const parentDomain = parent && (parent.is_domain ? parent.id : parent.domain_id);
  const domainId = body.domain_id ?? parentDomain ?? ownDomain(ctx);
  const domain = await projects.get(tx, domainId);
  if (!domain?.is_domain) throw missing('domain', domainId);
  if (parentDomain !== null && parentDomain !== domainId) {
    throw badRequest(`The parent ${body.parent_id} is not in domain ${domainId}.`);
  }
  const above = parent ?? domain;
  const chain = [above, ...(await ancestors(tx, above))];
  if (chain.length > MAX_DEPTH) throw forbidden('Max hierarchy depth reached for this branch.');
  const disabled = chain.find((p) => !p.enabled);
  if (disabled)
    throw forbidden(`Cannot create a project in a branch containing the disabled project ${disabled.id}.`);
  return { domain_id: domainId, parent_id: above.id };
}

/** The domain in which a caller makes things when the request names none. */
export function ownDomain(ctx: Context): string {
  return ctx.token.domain?.id ?? ctx.token.project?.domain.id ?? 'default';
}

async function refuseBelowDisabled(db: Reader, row: ProjectRow): Promise<void> {
  const disabled = (await ancestors(db, row)).find((p) => !p.enabled);
  if (disabled) throw forbidden(`Cannot enable project ${row.id} since it has disabled parents.`);
}

function columnsOf(body: ProjectBody) {
  return {
    name: body.name!.trim(),
    enabled: Number(body.enabled ?? true),
    description: body.description ?? '',
    options: mergeOptions('{}', body.options),
    extra: extraOf({ ...body }, KNOWN),
  };
}

function changesOf(row: ProjectRow, body: ProjectBody): Partial<ProjectRow> {
  return {
    name: body.name?.trim() ?? row.name,
    enabled: body.enabled === undefined ? row.enabled : Number(body.enabled),
    description: body.description === undefined ? row.description : (body.description ?? ''),
    options: mergeOptions(row.options, body.options),
    extra: extraOf({ ...body }, KNOWN, row.extra),
  };
}
