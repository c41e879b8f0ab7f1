import type { App } from '../../core/app.js';
import type { Context } from '../../core/context.js';
import type { MaruError } from '../../core/errors.js';
import { MaruError as Refusal } from '../../core/errors.js';
import { findVisible, owns } from '../../core/network/access.js';
import { listRows } from '../../store/network/list.js';
import { findRow, type ResourceRow, type ResourceTable } from '../../store/network/rows.js';
import type { Reader, Tx } from '../../store/store.js';
import { contextOfAll } from '../shared/context.js';
import type { Operation, OpRequest } from '../shared/operation.js';
import { type Attributes, parseCreate, parseUpdate } from './attributes.js';
import { type Filters, parseListQuery, wantedFields } from './list-query.js';
import { pagingLinks } from './paging.js';

export type Json = Record<string, unknown>;

/** What view functions may look at besides the rows. */
export interface ViewContext {
  readonly db: Reader;
  readonly ctx: Context;
  readonly app: App;
}

/** A resource of the network API: from it come its five operations. */
export interface Resource<T extends ResourceTable> {
  readonly table: T;
  /** Key of one in bodies, also the second half of policy names: `security_group`. */
  readonly name: string;
  readonly plural: string;
  /** Last part of the URL: `security-groups`. */
  readonly path: string;
  readonly attributes: Attributes;
  readonly filters: Filters;
  readonly notFound: (id: string) => MaruError;
  /** Rows as JSON, in order, with whatever hangs on them: a constant number of queries for any number of rows. */
  readonly view: (rows: readonly ResourceRow<T>[], context: ViewContext) => Promise<Json[]>;
  readonly create?: (tx: Tx, app: App, ctx: Context, given: Json) => Promise<ResourceRow<T>>;
  readonly update?: (
    tx: Tx,
    app: App,
    ctx: Context,
    row: ResourceRow<T>,
    changes: Json,
  ) => Promise<ResourceRow<T>>;
  readonly remove: (tx: Tx, app: App, ctx: Context, row: ResourceRow<T>) => Promise<void>;
  /** Runs before a list is read: the default security group comes into being when somebody looks. */
  readonly beforeList?: (tx: Tx, ctx: Context) => Promise<void>;
}

/** Rules of who may read and write; a row's owner is checked against the row itself. */
export const READ_RULE = 'rule:project_reader_or_admin';
export const WRITE_RULE = 'rule:project_member_or_admin';
export const ADMIN_RULE = 'rule:context_is_admin';
export const ADMIN_OR_SERVICE_RULE = 'rule:admin_or_service';
export const MANAGER_RULE = 'rule:project_manager_or_admin';

/** List, show, create, update and delete of a resource. */
export function resourceOperations<T extends ResourceTable>(resource: Resource<T>): Operation[] {
  const { name, plural, path } = resource;
  const collection = `/v2.0/${path}`;
  const read = { name: `get_${name}`, rule: READ_RULE };
  const operations: Operation[] = [
    {
      method: 'GET',
      path: collection,
      policy: read,
      summary: `List ${plural}`,
      status: 200,
      handler: (request) => list(resource, request),
    },
    {
      method: 'GET',
      path: `${collection}/:id`,
      policy: read,
      summary: `Show one of ${plural}`,
      status: 200,
      handler: (request) => show(resource, request),
    },
    {
      method: 'DELETE',
      path: `${collection}/:id`,
      policy: { name: `delete_${name}`, rule: WRITE_RULE },
      summary: `Delete one of ${plural}`,
      status: 204,
      handler: (request) => remove(resource, request),
    },
  ];
  if (resource.create) {
    operations.push({
      method: 'POST',
      path: collection,
      policy: { name: `create_${name}`, rule: WRITE_RULE },
      summary: `Create ${plural}`,
      status: 201,
      handler: (request) => create(resource, request),
    });
  }
  if (resource.update) {
    operations.push({
      method: 'PUT',
      path: `${collection}/:id`,
      policy: { name: `update_${name}`, rule: WRITE_RULE },
      summary: `Change one of ${plural}`,
      status: 200,
      handler: (request) => update(resource, request),
    });
  }
  return operations;
}

/** Rules of single attributes, for the policy list. */
export function attributePolicies<T extends ResourceTable>(resource: Resource<T>) {
  return Object.entries(resource.attributes).flatMap(([attribute, { post, put, readRule, writeRule }]) => [
    ...(writeRule && post ? [{ name: `create_${resource.name}:${attribute}`, rule: writeRule }] : []),
    ...(writeRule && put ? [{ name: `update_${resource.name}:${attribute}`, rule: writeRule }] : []),
    ...(readRule ? [{ name: `get_${resource.name}:${attribute}`, rule: readRule }] : []),
  ]);
}

/**
 * A row that the caller is about to change: 404 when it may not even be seen, 403 when it is only shared with the caller.
 */
export async function findWritable<T extends ResourceTable>(
  db: Reader,
  ctx: Context,
  resource: Pick<Resource<T>, 'table' | 'name' | 'notFound'>,
  id: string,
  action: 'update' | 'delete',
): Promise<ResourceRow<T>> {
  const row = await findVisible(db, ctx, resource.table, id, resource.notFound);
  if (owns(ctx, row) || (await ownsNetworkOf(db, ctx, row))) return row;
  throw new Refusal('forbidden', `rule:${action}_${resource.name} is disallowed by policy`, {
    type: 'PolicyNotAuthorized',
  });
}

/** Rows as the caller may see them: without the attributes that policy hides, and only the fields asked for. */
export async function render<T extends ResourceTable>(
  resource: Resource<T>,
  request: OpRequest,
  rows: readonly ResourceRow<T>[],
): Promise<Json[]> {
  const { app, ctx } = request;
  const full = await resource.view(rows, { db: app.store.read, ctx, app });
  const fields = wantedFields(request.query);
  const hidden = Object.entries(resource.attributes)
    .filter(([name, { readRule }]) => readRule && !ctx.allows(`get_${resource.name}:${name}`))
    .map(([name]) => name);
  if (!fields && hidden.length === 0) return full;
  return full.map((json) =>
    Object.fromEntries(
      Object.entries(json).filter(([name]) => !hidden.includes(name) && (!fields || fields.has(name))),
    ),
  );
}

async function list<T extends ResourceTable>(resource: Resource<T>, asked: OpRequest): Promise<Json> {
  const { app } = asked;
  const visibleTo = asked.ctx.listScope(`get_${resource.name}`);
  const ctx = visibleTo === null ? contextOfAll(asked.ctx) : asked.ctx;
  const request = { ...asked, ctx };
  if (resource.beforeList) await app.store.tx((tx) => resource.beforeList!(tx, ctx));
  const { markerId, ...query } = parseListQuery(request.query, resource.filters, resource.table === 'port');
  const db = app.store.read;
  const marker = markerId ? await findVisible(db, ctx, resource.table, markerId, resource.notFound) : null;
  const rows = await listRows(db, resource.table, {
    ...query,
    marker: marker as Record<string, unknown> | null,
    visibleTo,
  });
  return {
    [resource.plural]: await render(resource, request, rows),
    ...pagingLinks(request, resource, rows, query.limit ?? null, query.reverse ?? false),
  };
}

async function show<T extends ResourceTable>(resource: Resource<T>, request: OpRequest): Promise<Json> {
  const { app, ctx, params } = request;
  const row = await findVisible(app.store.read, ctx, resource.table, params.id!, resource.notFound);
  return { [resource.name]: (await render(resource, request, [row]))[0] };
}

async function create<T extends ResourceTable>(resource: Resource<T>, request: OpRequest): Promise<Json> {
  const { app, ctx } = request;
  const { bulk, items } = parseCreate(ctx, resource, request.body);
  const rows = await app.store.tx(async (tx) => {
    const made: ResourceRow<T>[] = [];
    for (const item of items) made.push(await resource.create!(tx, app, ctx, item));
    return made;
  });
  const views = await render(resource, request, rows);
  return bulk ? { [resource.plural]: views } : { [resource.name]: views[0] };
}

async function update<T extends ResourceTable>(resource: Resource<T>, request: OpRequest): Promise<Json> {
  const { app, ctx, params } = request;
  const row = await app.store.tx(async (tx) => {
    const found = await findWritable(tx, ctx, resource, params.id!, 'update');
    const changes = parseUpdate(ctx, resource, request.body);
    return await resource.update!(tx, app, ctx, found, changes);
  });
  return { [resource.name]: (await render(resource, request, [row]))[0] };
}

async function remove<T extends ResourceTable>(resource: Resource<T>, request: OpRequest): Promise<void> {
  const { app, ctx, params } = request;
  await app.store.tx(async (tx) => {
    const row = await findWritable(tx, ctx, resource, params.id!, 'delete');
    await resource.remove(tx, app, ctx, row);
  });
}

/** The owner of a network also rules over subnets and ports on it that are not his. */
async function ownsNetworkOf(db: Reader, ctx: Context, row: object): Promise<boolean> {
  const networkId = (row as { network_id?: string }).network_id;
  const network = networkId ? await findRow(db, 'network', networkId) : null;
  return network !== null && owns(ctx, network);
}
