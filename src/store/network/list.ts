import { sql } from 'kysely';
import { applyList, type ListOptions } from '../list.js';
import type { Reader } from '../store.js';
import type { ResourceRow, ResourceTable } from './rows.js';

/** Conditions on tags: all of, any of, not all of, none of. */
export interface TagFilter {
  readonly all?: readonly string[];
  readonly any?: readonly string[];
  readonly notAll?: readonly string[];
  readonly notAny?: readonly string[];
}

/** Conditions on a port's addresses; several of one kind are alternatives. */
export interface AddressFilter {
  readonly ip_address?: readonly string[];
  readonly ip_address_substr?: readonly string[];
  readonly subnet_id?: readonly string[];
}

/** What a list of the network API may ask for. */
export interface ResourceQuery extends ListOptions {
  /** Project whose view it is; null: an administrator's, who sees all. */
  readonly visibleTo: string | null;
  readonly tags?: TagFilter;
  readonly fixedIps?: AddressFilter;
  /** Groups of ports: any of them. */
  readonly securityGroups?: readonly string[];
  /** Only this row. */
  readonly id?: string;
}

// biome-ignore lint/suspicious/noExplicitAny: one query builder for seven tables whose common columns it uses
type AnyQuery = any;

/** Rows of a resource that a project may see, filtered, sorted and paged. */
export async function listRows<T extends ResourceTable>(
  db: Reader,
  table: T,
  query: ResourceQuery,
): Promise<ResourceRow<T>[]> {
  let q: AnyQuery = db.selectFrom(table as 'network').selectAll();
  if (query.id !== undefined) q = q.where('id', '=', query.id);
  if (query.visibleTo !== null) q = visible(q, table, query.visibleTo);
  if (query.tags) q = tagged(q, query.tags);
  if (query.fixedIps) q = addressed(q, query.fixedIps);
  if (query.securityGroups) {
    const groups = [...query.securityGroups];
    q = q.where('id', 'in', (eb: AnyQuery) =>
      eb.selectFrom('port_security_group').select('port_id').where('security_group_id', 'in', groups),
    );
  }
  const rows = (await applyList(q, query).execute()) as ResourceRow<T>[];
  return query.reverse ? rows.reverse() : rows;
}

/** Adds what a project may see of a table: its own rows, and what is shared with it. */
function visible(q: AnyQuery, table: ResourceTable, projectId: string): AnyQuery {
  return q.where((eb: AnyQuery) => {
    const own = eb('project_id', '=', projectId);
    switch (table) {
      case 'network':
        return eb.or([own, eb('shared', '=', 1), eb('external', '=', 1)]);
      case 'subnet':
        return eb.or([own, eb('network_id', 'in', networks(eb).where(mineOrShared(projectId)))]);
      case 'port':
        return eb.or([own, eb('network_id', 'in', networks(eb).where('project_id', '=', projectId))]);
      case 'security_group_rule':
        return eb.or([
          own,
          eb(
            'security_group_id',
            'in',
            eb.selectFrom('security_group').select('id').where('project_id', '=', projectId),
          ),
        ]);
      default:
        return own;
    }
  });
}

function networks(eb: AnyQuery): AnyQuery {
  return eb.selectFrom('network').select('network.id');
}

function mineOrShared(projectId: string) {
  return (eb: AnyQuery) => eb.or([eb('network.project_id', '=', projectId), eb('network.shared', '=', 1)]);
}

function tagged(q: AnyQuery, tags: TagFilter): AnyQuery {
  let filtered = q;
  const having = (some: readonly string[], count: number) => (eb: AnyQuery) =>
    eb
      .selectFrom('network_tag')
      .select('resource_id')
      .where('tag', 'in', [...some])
      .groupBy('resource_id')
      .having(eb.fn.countAll(), '>=', count);
  if (tags.all?.length) filtered = filtered.where('id', 'in', having(tags.all, new Set(tags.all).size));
  if (tags.any?.length) filtered = filtered.where('id', 'in', having(tags.any, 1));
  if (tags.notAll?.length)
    filtered = filtered.where('id', 'not in', having(tags.notAll, new Set(tags.notAll).size));
  if (tags.notAny?.length) filtered = filtered.where('id', 'not in', having(tags.notAny, 1));
  return filtered;
}

function addressed(q: AnyQuery, filter: AddressFilter): AnyQuery {
  return q.where('id', 'in', (eb: AnyQuery) => {
    let addresses = eb.selectFrom('ip_allocation').select('port_id').where('port_id', 'is not', null);
    if (filter.ip_address?.length) addresses = addresses.where('ip_address', 'in', [...filter.ip_address]);
    if (filter.subnet_id?.length) addresses = addresses.where('subnet_id', 'in', [...filter.subnet_id]);
    const parts = filter.ip_address_substr ?? [];
    if (parts.length) {
      addresses = addresses.where((sub: AnyQuery) =>
        sub.or(
          parts.map(
            (part) => sql<boolean>`ip_address like ${`%${part.replace(/[%_\\]/g, '\\$&')}%`} escape '\\'`,
          ),
        ),
      );
    }
    return addresses;
  });
}
