import type { Context } from '../../core/context.js';
import { badRequest, MaruError } from '../../core/errors.js';
import type { Converter } from './converters.js';

/** One attribute of a resource: where it may be given, how it is read, and who may set or see it. */
export interface Attribute {
  readonly post?: boolean;
  readonly put?: boolean;
  /** Must be given when creating. */
  readonly required?: boolean;
  readonly convert?: Converter;
  /** Value when a new resource's body leaves it out; absent: core decides. */
  readonly fallback?: unknown;
  /** Default rule of `create_<resource>:<attribute>` and `update_…`; absent: whoever may write the resource. */
  readonly writeRule?: string;
  /** Default rule of `get_<resource>:<attribute>`; those it denies do not see the attribute. */
  readonly readRule?: string;
}

export type Attributes = Readonly<Record<string, Attribute>>;

/** What the parser has to know of a resource. */
export interface BodyOf {
  readonly name: string;
  readonly plural: string;
  readonly attributes: Attributes;
}

/** The resources that a POST describes: one, or several under the plural name. */
export function parseCreate(
  ctx: Context,
  resource: BodyOf,
  body: unknown,
): { readonly bulk: boolean; readonly items: Record<string, unknown>[] } {
  const given = envelope(resource, body);
  if (given[resource.name] !== undefined) {
    return { bulk: false, items: [parseNew(ctx, resource, given[resource.name])] };
  }
  const list = given[resource.plural];
  if (!Array.isArray(list)) throw missing(resource.name);
  if (list.length === 0) throw badRequest('Resources required', 'HTTPBadRequest');
  const items = list.map((item) => {
    // both spellings occur: {"networks": [{"name": …}]} and {"networks": [{"network": {"name": …}}]}
    const inner = (item as Record<string, unknown> | null)?.[resource.name];
    return parseNew(ctx, resource, inner ?? item);
  });
  return { bulk: true, items };
}

/** The changes that a PUT describes. */
export function parseUpdate(ctx: Context, resource: BodyOf, body: unknown): Record<string, unknown> {
  const given = envelope(resource, body)[resource.name];
  if (given === undefined) throw missing(resource.name);
  const attributes = known(resource, given);
  for (const name of Object.keys(attributes)) {
    if (!resource.attributes[name]?.put) {
      throw badRequest(`Cannot update read-only attribute ${name}`, 'HTTPBadRequest');
    }
  }
  checkRights(ctx, resource, 'update', attributes);
  return convert(resource, attributes);
}

function parseNew(ctx: Context, resource: BodyOf, body: unknown): Record<string, unknown> {
  const given = known(resource, body);
  const attributes: Record<string, unknown> = {};
  for (const [name, attribute] of Object.entries(resource.attributes)) {
    if (given[name] !== undefined) {
      if (!attribute.post) throw badRequest(`Attribute '${name}' not allowed in POST`, 'HTTPBadRequest');
      attributes[name] = given[name];
    } else if (attribute.required) {
      throw badRequest(
        `Failed to parse request. Required attribute '${name}' not specified`,
        'HTTPBadRequest',
      );
    }
  }
  checkRights(ctx, resource, 'create', attributes);
  const converted = convert(resource, attributes);
  for (const [name, { fallback }] of Object.entries(resource.attributes)) {
    if (fallback !== undefined && converted[name] === undefined) converted[name] = fallback;
  }
  converted.project_id = ownerOf(ctx, given);
  return converted;
}

/** The project that a new resource belongs to: the caller's; another one only for administrators. */
function ownerOf(ctx: Context, given: Readonly<Record<string, unknown>>): string {
  const { project_id, tenant_id } = given;
  if (project_id !== undefined && tenant_id !== undefined && project_id !== tenant_id) {
    throw badRequest("'project_id' and 'tenant_id' do not match", 'HTTPBadRequest');
  }
  const wanted = project_id ?? tenant_id;
  if (wanted === undefined || wanted === ctx.projectId) return ctx.projectId;
  if (!ctx.isAdmin) {
    throw badRequest(
      "Specifying 'project_id' or 'tenant_id' other than the authenticated project in request requires admin privileges",
      'HTTPBadRequest',
    );
  }
  return String(wanted ?? '');
}

function envelope(resource: BodyOf, body: unknown): Record<string, unknown> {
  if (body === undefined || body === null) throw badRequest('Resource body required', 'HTTPBadRequest');
  if (typeof body !== 'object' || Array.isArray(body)) throw missing(resource.name);
  return body as Record<string, unknown>;
}

function known(resource: BodyOf, body: unknown): Record<string, unknown> {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw badRequest(`Invalid content for '${resource.name}' in request body`, 'HTTPBadRequest');
  }
  const unknown = Object.keys(body).filter((name) => !(name in resource.attributes));
  if (unknown.length) {
    const names = unknown.map((name) => `'${name}'`).join(', ');
    throw badRequest(`Unrecognized attribute(s) ${names}`, 'HTTPBadRequest');
  }
  return body as Record<string, unknown>;
}

function convert(resource: BodyOf, given: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const converted: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(given)) {
    const { convert: read } = resource.attributes[name]!;
    converted[name] = read ? read(value, name) : value;
  }
  return converted;
}

function checkRights(
  ctx: Context,
  resource: BodyOf,
  action: 'create' | 'update',
  given: Readonly<Record<string, unknown>>,
): void {
  const verb = `${action}_${resource.name}`;
  const rules = Object.keys(given)
    .filter((name) => resource.attributes[name]?.writeRule)
    .map((name) => `${verb}:${name}`);
  if (rules.every((rule) => ctx.allows(rule))) return;
  // Neutron names every rule that had to hold, not the one that did not
  const all = rules.reduce((words, rule) => `(${words} and rule:${rule})`, `rule:${verb}`);
  throw new MaruError('forbidden', `${all} is disallowed by policy`, { type: 'PolicyNotAuthorized' });
}

function missing(name: string): MaruError {
  return badRequest(`Unable to find '${name}' in request body`, 'HTTPBadRequest');
}
