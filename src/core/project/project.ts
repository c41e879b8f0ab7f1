import { removeProjectEndpoints } from '../../store/identity/catalog.js';
import { removeDelegationsInProject } from '../../store/identity/delegations.js';
import { removeLimits } from '../../store/identity/limits.js';
import {
  addTag,
  ancestors,
  descendants,
  type ProjectRow,
  projects,
  removeTag,
  setTags,
  tagsOf,
} from '../../store/identity/projects.js';
import { removeAssignments } from '../../store/identity/roles.js';
import { users } from '../../store/identity/users.js';
import type { Reader, Tx } from '../../store/store.js';
import type { App } from '../app.js';
import type { Context } from '../context.js';
import { deleteDomainRow } from '../domain/domain.js';
import { badRequest, conflict, forbidden } from '../errors.js';
import {
  extraOf,
  mergeOptions,
  missing,
  mustGet,
  newId,
  refuseImmutable,
  storing,
} from '../identity/rows.js';
import { modelOf } from '../limit/limit.js';

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
  'explicit_domain_id',
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
  /** The id that a new domain is to have. */
  readonly explicit_domain_id?: string;
}

/** Creates a project below its parent, or a domain when `is_domain` says so. */
export async function createProject(app: App, ctx: Context, body: ProjectBody): Promise<ProjectRow> {
  if (body.is_domain) return await createDomainRow(app, body);
  return await storing(app, 'project', async (tx) => {
    const place = await placeOf(app, tx, ctx, body);
    const row: ProjectRow = { ...columnsOf(body), id: newId(), is_domain: 0, ...place };
    await projects.insert(tx, row);
    await setTags(tx, row.id, body.tags ?? []);
    return row;
  });
}

/** Creates a domain: a project that contains others. */
export async function createDomainRow(app: App, body: ProjectBody): Promise<ProjectRow> {
  if (body.parent_id || body.domain_id) {
    throw badRequest('only root projects are allowed to act as domains.');
  }
  const id = await explicitId(app, body.explicit_domain_id);
  return await storing(app, 'domain', async (tx) => {
    const row: ProjectRow = { ...columnsOf(body), id, is_domain: 1, domain_id: '', parent_id: null };
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
    refuseImmutable(row, row.is_domain ? 'domain' : what, body);
    if (body.domain_id !== undefined && (body.domain_id ?? '') !== row.domain_id) {
      throw badRequest('Update of `domain_id` is not allowed.');
    }
    if (body.parent_id !== undefined && body.parent_id !== row.parent_id) {
      throw forbidden('Update of `parent_id` is not allowed.');
    }
    if (body.is_domain !== undefined && Number(body.is_domain) !== row.is_domain) {
      throw badRequest('Update of `is_domain` is not allowed.');
    }
    if (body.enabled === true && !row.enabled) await refuseBelowDisabled(tx, row);
    if (body.enabled === false && row.enabled) await refuseAboveEnabled(tx, row);
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
      throw forbidden(
        `Cannot delete the project ${id} since it is not a leaf in the hierarchy. Use the cascade option if you want to delete a whole subtree.`,
      );
    }
    await removeProjectRow(app, tx, id);
  });
}

/** Removes a project with what identity keeps about it, in a transaction of the caller. */
async function removeProjectRow(app: App, tx: Tx, id: string): Promise<void> {
  await removeAssignments(tx, { target_type: 'project', target_id: id });
  await removeDelegationsInProject(tx, id);
  await removeProjectEndpoints(tx, { project_id: id });
  await removeLimits(tx, { project_id: id });
  await setTags(tx, id, []);
  for (const user of await users.list(tx, { default_project_id: id })) {
    await users.update(tx, user.id, { default_project_id: null });
  }
  await projects.remove(tx, id);
  await app.identity.tokens.revokeAll(tx, 'project', id);
}

/** How many tags a project may have. */
const MAX_TAGS = 80;

/** The given tags as a project's only ones. */
export async function replaceTags(app: App, id: string, tags: readonly string[]): Promise<void> {
  await app.store.tx(async (tx) => {
    const row = await mustGet(projects, tx, id, 'project');
    refuseImmutable(row, row.is_domain ? 'domain' : 'project', { tags });
    await setTags(tx, id, tags);
  });
}

/** Adds a tag to a project; again does nothing. 400 when it has as many as it may. */
export async function addProjectTag(app: App, id: string, tag: string): Promise<void> {
  await app.store.tx(async (tx) => {
    const row = await mustGet(projects, tx, id, 'project');
    refuseImmutable(row, row.is_domain ? 'domain' : 'project', { tags: [tag] });
    const tags = (await tagsOf(tx, [id])).get(id) ?? [];
    if (tags.length >= MAX_TAGS && !tags.includes(tag)) {
      throw badRequest(`Project ${id} has ${tags.length} tags, which is as many as it may have.`);
    }
    await addTag(tx, id, tag);
  });
}

/** Removes a tag of a project; 404 when it does not have it. */
export async function removeProjectTag(app: App, id: string, tag: string): Promise<void> {
  await app.store.tx(async (tx) => {
    const row = await mustGet(projects, tx, id, 'project');
    refuseImmutable(row, row.is_domain ? 'domain' : 'project', { tags: [tag] });
    if (!(await removeTag(tx, id, tag))) throw missing('project tag', tag);
  });
}

/** Domain and parent of a new project: what is given, else those of the caller's scope. */
async function placeOf(app: App, tx: Tx, ctx: Context, body: ProjectBody) {
  const parent = body.parent_id ? await projects.get(tx, body.parent_id) : null;
  if (parent === undefined) throw badRequest(`Could not find project: ${body.parent_id}.`);
  const parentDomain = parent && (parent.is_domain ? parent.id : parent.domain_id);
  const domainId = body.domain_id ?? parentDomain ?? ownDomain(ctx);
  const domain = await projects.get(tx, domainId);
  if (!domain?.is_domain) throw badRequest(`Could not find domain: ${domainId}.`);
  if (parentDomain !== null && parentDomain !== domainId) {
    throw badRequest(
      `Cannot create project, since it specifies its domain_id ${domainId}, but specifies a parent in a different domain (${parentDomain}).`,
    );
  }
  const above = parent ?? domain;
  const chain = [above, ...(await ancestors(tx, above))];
  const disabled = chain.find((p) => !p.enabled);
  if (disabled) {
    throw badRequest(`cannot create a project in a branch containing a disabled project: ${disabled.id}`);
  }
  const most = Math.min(app.config.max_project_tree_depth, modelOf(app).maxAbove ?? Number.POSITIVE_INFINITY);
  if (chain.length > most) throw forbidden(`Max hierarchy depth reached for ${above.id} branch.`);
  return { domain_id: domainId, parent_id: above.id };
}

/** The domain in which a caller makes things when the request names none. */
export function ownDomain(ctx: Context): string {
  return ctx.token.domain?.id ?? ctx.token.project?.domain.id ?? 'default';
}

async function refuseBelowDisabled(db: Reader, row: ProjectRow): Promise<void> {
  const disabled = (await ancestors(db, row)).find((p) => !p.enabled);
  if (disabled) throw forbidden(`Cannot enable project ${row.id} since it has disabled parents`);
}

/** A domain may be disabled whatever is in it, which disables that as well; other projects only from below. */
async function refuseAboveEnabled(db: Reader, row: ProjectRow): Promise<void> {
  if (row.is_domain) return;
  if (!(await descendants(db, row.id)).some((p) => p.enabled)) return;
  throw forbidden(`Cannot disable project ${row.id} since its subtree contains enabled projects.`);
}

async function explicitId(app: App, given: string | undefined): Promise<string> {
  if (given === undefined) return newId();
  if (!/^[0-9a-f]{32}$/.test(given)) throw badRequest(`Domain ID does not conform to required UUID format.`);
  if (await projects.get(app.store.read, given)) {
    throw conflict('Conflict occurred attempting to store project - Duplicate entry found.');
  }
  return given;
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
