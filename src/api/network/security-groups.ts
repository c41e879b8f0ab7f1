import { groupNotFound, ruleNotFound } from '../../core/network/problems.js';
import { ensureDefaultGroup } from '../../core/security-group/default-group.js';
import { parseEthertype, parsePort, parseProtocol } from '../../core/security-group/rules.js';
import {
  createGroup,
  createRule,
  deleteGroup,
  deleteRule,
  type GroupAttributes,
  type RuleAttributes,
  updateGroup,
} from '../../core/security-group/security-group.js';
import { groupBy } from '../../group-by.js';
import { normaliseCidr, tryParseCidr } from '../../net/cidr.js';
import { rulesOfGroups } from '../../store/network/security-group.js';
import { tagsOf } from '../../store/network/tag.js';
import type { NetworkTables } from '../../store/tables/network.js';
import { oneOf, orNull, text, toBoolean } from './converters.js';
import type { Json, Resource, ViewContext } from './resource.js';
import { ids, STANDARD_ATTRIBUTES, STANDARD_FILTERS, standardView } from './standard.js';

const { name: _name, ...WITHOUT_NAME } = STANDARD_ATTRIBUTES;
const { name: _filter, ...FILTERS_WITHOUT_NAME } = STANDARD_FILTERS;

export const securityGroups: Resource<'security_group'> = {
  table: 'security_group',
  name: 'security_group',
  plural: 'security_groups',
  path: 'security-groups',
  notFound: groupNotFound,
  attributes: {
    ...STANDARD_ATTRIBUTES,
    stateful: { post: true, put: true, convert: toBoolean, fallback: true },
    security_group_rules: {},
    shared: {},
  },
  filters: { ...STANDARD_FILTERS, stateful: { column: 'stateful', type: 'boolean' } },
  view: viewGroups,
  create: (tx, app, ctx, given) => createGroup(tx, app, ctx, given as unknown as GroupAttributes),
  update: (tx, _app, ctx, row, changes) => updateGroup(tx, ctx, row, changes),
  remove: (tx, _app, ctx, row) => deleteGroup(tx, ctx, row),
  async beforeList(tx, ctx) {
    if (ctx.projectId) await ensureDefaultGroup(tx, ctx.projectId);
  },
};

export const securityGroupRules: Resource<'security_group_rule'> = {
  table: 'security_group_rule',
  name: 'security_group_rule',
  plural: 'security_group_rules',
  path: 'security-group-rules',
  notFound: ruleNotFound,
  attributes: {
    ...WITHOUT_NAME,
    description: { post: true, convert: text(), fallback: '' },
    security_group_id: { post: true, required: true, convert: text(36) },
    direction: { post: true, required: true, convert: oneOf('ingress', 'egress') },
    ethertype: { post: true, convert: parseEthertype, fallback: 'IPv4' },
    protocol: { post: true, convert: parseProtocol, fallback: null },
    port_range_min: { post: true, convert: parsePort, fallback: null },
    port_range_max: { post: true, convert: parsePort, fallback: null },
    remote_ip_prefix: { post: true, convert: prefix, fallback: null },
    remote_group_id: { post: true, convert: orNull(text(36)), fallback: null },
  },
  filters: {
    ...FILTERS_WITHOUT_NAME,
    security_group_id: { column: 'security_group_id', type: 'text' },
    direction: { column: 'direction', type: 'text' },
    ethertype: { column: 'ethertype', type: 'text' },
    protocol: { column: 'protocol', type: 'text' },
    port_range_min: { column: 'port_range_min', type: 'integer' },
    port_range_max: { column: 'port_range_max', type: 'integer' },
    remote_ip_prefix: { column: 'remote_ip_prefix', type: 'text' },
    remote_group_id: { column: 'remote_group_id', type: 'text' },
  },
  view: async (rows) => rows.map(viewRule),
  create: (tx, app, ctx, given) => createRule(tx, app, ctx, given as unknown as RuleAttributes),
  remove: (tx, _app, ctx, row) => deleteRule(tx, ctx, row),
};

async function viewGroups(
  rows: readonly NetworkTables['security_group'][],
  { db }: ViewContext,
): Promise<Json[]> {
  const rules = groupBy(await rulesOfGroups(db, ids(rows)), (rule) => rule.security_group_id);
  const tags = await tagsOf(db, ids(rows));
  return rows.map((row) => ({
    id: row.id,
    name: row.name,
    stateful: row.stateful === 1,
    shared: false,
    security_group_rules: (rules.get(row.id) ?? []).map(viewRule),
    ...standardView(row, tags),
  }));
}

function viewRule(row: NetworkTables['security_group_rule']): Json {
  const { tags: _, ...standard } = standardView(row, new Map());
  return {
    id: row.id,
    security_group_id: row.security_group_id,
    ethertype: row.ethertype,
    direction: row.direction,
    protocol: row.protocol,
    port_range_min: row.port_range_min,
    port_range_max: row.port_range_max,
    remote_ip_prefix: row.remote_ip_prefix,
    normalized_cidr: row.remote_ip_prefix === null ? null : normaliseCidr(row.remote_ip_prefix),
    remote_group_id: row.remote_group_id,
    ...standard,
  };
}

/** A prefix in the usual spelling; what is none is refused by the rule's own check, in its own words. */
function prefix(value: unknown): string | null {
  if (value === null || value === undefined || value === '') return null;
  const given = String(value);
  const parsed = tryParseCidr(given);
  return parsed ? `${parsed.address}/${parsed.prefix}` : given;
}
