import type { Context } from '../../../core/context.js';
import { badRequest } from '../../../core/errors.js';
import { STATES_OF_STATUS } from '../../../core/server/status.js';
import { hostNames } from '../../../store/compute/hosts.js';
import type { ServerListOptions } from '../../../store/compute/server-list.js';
import type { Reader } from '../../../store/store.js';
import { atLeast } from '../../shared/microversion.js';
import type { Microversion, OpRequest } from '../../shared/operation.js';
import { lastValue } from '../../shared/query.js';
import { pattern } from './pattern.js';

type Query = OpRequest['query'];

/** What a list of servers is filtered by: in SQL, and afterwards by patterns that SQL does not have on every database. */
export interface ServerFilters {
  readonly options: Omit<ServerListOptions, 'sort' | 'marker' | 'limit'>;
  readonly name: ((text: string) => boolean) | null;
  readonly ip: ((text: string) => boolean) | null;
  readonly ip6: ((text: string) => boolean) | null;
  /** True: no server can pass, whatever there is. */
  readonly nothing: boolean;
}

/** Filters that are compared as they are: query parameter → column, and since when those may use it who may not use all. */
const EQUAL: Readonly<Record<string, readonly [column: string, since: string]>> = {
  reservation_id: ['reservation_id', '2.1'],
  image: ['image_id', '2.1'],
  image_ref: ['image_id', '2.1'],
  flavor: ['flavor_id', '2.1'],
  uuid: ['id', 'admin'],
  user_id: ['user_id', '2.83'],
  key_name: ['key_name', '2.83'],
  availability_zone: ['availability_zone', '2.83'],
  vm_state: ['vm_state', '2.83'],
  task_state: ['task_state', '2.83'],
  hostname: ['hostname', 'admin'],
  description: ['description', 'admin'],
  display_description: ['description', 'admin'],
  access_ip_v4: ['access_ip_v4', 'admin'],
  access_ip_v6: ['access_ip_v6', 'admin'],
};

/** Reads a list's filters; 403 when `all_tenants` is asked for and its policy does not allow it. Those that the caller may not use are ignored, as Nova does. */
export async function readFilters(
  db: Reader,
  ctx: Context,
  version: Microversion,
  query: Query,
  allTenantsPolicy: string,
): Promise<ServerFilters> {
  const allTenants = isSet(query.all_tenants);
  if (allTenants) ctx.authorize(allTenantsPolicy);
  const any = ctx.allows('os_compute_api:servers:allow_all_filters');
  const filters: Record<string, (string | number | null)[]> = {};
  for (const [name, [column, since]] of Object.entries(EQUAL)) {
    const values = [query[name] ?? []].flat();
    if (values.length && (any || (since !== 'admin' && atLeast(version, since)))) {
      filters[column] = values.map((value) => (value === 'None' ? null : value));
    }
  }
  const project = lastValue(query.project_id) ?? lastValue(query.tenant_id);
  if (allTenants && project !== undefined) filters.project_id = [project];
  const statuses = [query.status ?? []].flat().map((text) => text.toUpperCase());
  const states = statuses.flatMap((status) => STATES_OF_STATUS[status] ?? []);
  if (statuses.includes('DELETED') && !ctx.isAdmin) {
    throw badRequest('Only administrators may list deleted instances');
  }
  if (statuses.length) filters.status = statuses;
  if (query.locked !== undefined && atLeast(version, '2.73')) {
    filters.locked = [isSet(query.locked) ? 1 : 0];
  }
  const host = lastValue(query.host) ?? lastValue(query.node) ?? lastValue(query.hypervisor_hostname);
  if (host !== undefined && any) {
    const found = [...(await hostNames(db))].find(([, name]) => name === host);
    filters.host_id = [found?.[0] ?? ''];
  }
  const tags = (name: string) => (atLeast(version, '2.26') ? list(query[name]) : []);
  const changesSince = readTime('changes-since', lastValue(query['changes-since']));
  return {
    options: {
      projectId: allTenants ? null : ctx.projectId,
      filters,
      deleted: deletedFilter(ctx, query, statuses, changesSince),
      changesSince,
      changesBefore: atLeast(version, '2.66')
        ? readTime('changes-before', lastValue(query['changes-before']))
        : null,
      tags: tags('tags'),
      tagsAny: tags('tags-any'),
      notTags: tags('not-tags'),
      notTagsAny: tags('not-tags-any'),
    },
    name: pattern(lastValue(query.name)),
    ip: pattern(lastValue(query.ip)),
    ip6: any || atLeast(version, '2.5') ? pattern(lastValue(query.ip6)) : null,
    nothing: statuses.length > 0 && states.length === 0,
  };
}

function deletedFilter(
  ctx: Context,
  query: Query,
  statuses: readonly string[],
  changesSince: string | null,
): boolean | null {
  if (statuses.includes('DELETED')) return null;
  if (ctx.isAdmin && query.deleted !== undefined) return isSet(query.deleted);
  return changesSince === null ? false : null;
}

function isSet(value: string | string[] | undefined): boolean {
  const text = lastValue(value);
  return text !== undefined && (text === '' || /^(1|t|true|on|y|yes)$/i.test(text));
}

function list(value: string | string[] | undefined): string[] {
  return [value ?? []].flat().flatMap((text) => text.split(',').filter(Boolean));
}

/** A point in time of a query as ISO text in UTC; null when it was not asked for; 400 for what is none. */
export function readTime(name: string, text: string | undefined): string | null {
  if (text === undefined) return null;
  const known = /^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?$/.test(text);
  const zoned = /([Zz]|[+-]\d\d:?\d\d)$/.test(text) || text.length === 10 ? text : `${text}Z`;
  const date = new Date(zoned.replace(' ', 'T'));
  if (!known || Number.isNaN(date.getTime())) {
    throw badRequest(
      `Invalid input for query parameters ${name}. Value: ${text}. '${text}' is not a 'date-time'`,
    );
  }
  return date.toISOString();
}
