import { badRequest, MaruError, notFound } from '../../../core/errors.js';
import { findVisible } from '../../../core/network/access.js';
import { groupNotFound, ruleNotFound } from '../../../core/network/problems.js';
import { ensureDefaultGroup } from '../../../core/security-group/default-group.js';
import { parsePort, parseProtocol } from '../../../core/security-group/rules.js';
import {
  createGroup,
  createRule,
  deleteGroup,
  deleteRule,
  updateGroup,
} from '../../../core/security-group/security-group.js';
import { tryParseCidr } from '../../../net/cidr.js';
import { listRows } from '../../../store/network/list.js';
import { findRows } from '../../../store/network/rows.js';
import { rulesOfGroups } from '../../../store/network/security-group.js';
import type { Reader } from '../../../store/store.js';
import type { NetworkTables } from '../../../store/tables/network.js';
import type { Operation, OpRequest, Schema } from '../../shared/operation.js';
import { lastValue } from '../../shared/query.js';
import { MEMBER, policy, READER } from '../policy.js';
import { envelope, object } from '../schemas.js';

type Group = NetworkTables['security_group'];
type Rule = NetworkTables['security_group_rule'];

const TEXT: Schema = { type: 'string', maxLength: 255 };
const NAMED = object({ name: { ...TEXT, minLength: 1 }, description: TEXT }, ['name']);
const UNTIL = '2.35';

/** Security groups as Nova once had them: another view of the network service's. */
export const securityGroupOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/v2.1/os-security-groups',
    policy: policy('os-security-groups:get', READER),
    summary: 'List security groups',
    until: UNTIL,
    status: 200,
    handler: list,
  },
  {
    method: 'GET',
    path: '/v2.1/os-security-groups/:id',
    policy: policy('os-security-groups:show', READER),
    summary: 'Show a security group',
    until: UNTIL,
    status: 200,
    handler: async ({ app, ctx, params }) => {
      const db = app.store.read;
      const group = await findVisible(db, ctx, 'security_group', params.id!, groupNotFound);
      return { security_group: (await show(db, [group]))[0] };
    },
  },
  {
    method: 'POST',
    path: '/v2.1/os-security-groups',
    policy: policy('os-security-groups:create', MEMBER),
    summary: 'Create a security group',
    until: UNTIL,
    body: envelope('security_group', NAMED),
    status: 200,
    handler: create,
  },
  {
    method: 'PUT',
    path: '/v2.1/os-security-groups/:id',
    policy: policy('os-security-groups:update', MEMBER),
    summary: 'Change a security group',
    until: UNTIL,
    body: envelope('security_group', NAMED),
    status: 200,
    handler: update,
  },
  {
    method: 'DELETE',
    path: '/v2.1/os-security-groups/:id',
    policy: policy('os-security-groups:delete', MEMBER),
    summary: 'Delete a security group',
    until: UNTIL,
    status: 202,
    handler: remove,
  },
  {
    method: 'POST',
    path: '/v2.1/os-security-group-rules',
    policy: policy('os-security-groups:rule:create', MEMBER),
    summary: 'Add a rule to a security group',
    until: UNTIL,
    body: { type: 'object' },
    status: 200,
    handler: createRuleOf,
  },
  {
    method: 'DELETE',
    path: '/v2.1/os-security-group-rules/:id',
    policy: policy('os-security-groups:rule:delete', MEMBER),
    summary: 'Remove a rule from a security group',
    until: UNTIL,
    status: 202,
    handler: removeRule,
  },
];

interface GroupBody {
  security_group: { name: string; description?: string };
}

async function list({ app, ctx, query }: OpRequest) {
  const everybody = ctx.isAdmin && lastValue(query.all_tenants) !== undefined;
  await app.store.tx((tx) => ensureDefaultGroup(tx, ctx.projectId));
  const rows = await listRows(app.store.read, 'security_group', {
    visibleTo: everybody ? null : ctx.projectId,
  });
  return { security_groups: await show(app.store.read, rows) };
}

async function create({ app, ctx, body }: OpRequest<GroupBody>) {
  const { name, description = '' } = body.security_group;
  const group = await inNovasWords(() =>
    app.store.tx((tx) =>
      createGroup(tx, app, ctx, { project_id: ctx.projectId, name, description, stateful: true }),
    ),
  );
  return { security_group: (await show(app.store.read, [group]))[0] };
}

async function update({ app, ctx, params, body }: OpRequest<GroupBody>) {
  const group = await inNovasWords(() =>
    app.store.tx(async (tx) => {
      const found = await findVisible(tx, ctx, 'security_group', params.id!, groupNotFound);
      return await updateGroup(tx, ctx, found, body.security_group);
    }),
  );
  return { security_group: (await show(app.store.read, [group]))[0] };
}

async function remove({ app, ctx, params }: OpRequest): Promise<void> {
  await inNovasWords(() =>
    app.store.tx(async (tx) => {
      const found = await findVisible(tx, ctx, 'security_group', params.id!, groupNotFound);
      if (found.name === 'default')
        throw badRequest('Insufficient rights for removing default security group.');
      await deleteGroup(tx, ctx, found);
    }),
  );
}

interface RuleBody {
  parent_group_id?: unknown;
  group_id?: unknown;
  ip_protocol?: unknown;
  from_port?: unknown;
  to_port?: unknown;
  cidr?: unknown;
}

async function createRuleOf({ app, ctx, body }: OpRequest<{ security_group_rule?: RuleBody }>) {
  const given = body.security_group_rule;
  if (!given || typeof given !== 'object') throw badRequest('Malformed request body');
  const parent = String(given.parent_group_id ?? '');
  if (!/^[0-9a-f-]{36}$/i.test(parent)) throw badRequest('Parent group id is not uuid');
  const group = given.group_id === undefined || given.group_id === null ? null : String(given.group_id);
  const values = ruleValues(given, group);
  const rule = await inNovasWords(() =>
    app.store.tx((tx) =>
      createRule(tx, app, ctx, {
        project_id: ctx.projectId,
        security_group_id: parent,
        description: '',
        ...values,
      }),
    ),
  );
  const remote = group === null ? [] : await findRows(app.store.read, 'security_group', [group]);
  return { security_group_rule: showRule(rule, remote[0]) };
}

/** A rule's values; -1 stands for "any" in ICMP types and codes. */
function ruleValues(given: RuleBody, remote_group_id: string | null) {
  if (given.ip_protocol === undefined && remote_group_id === null) {
    throw badRequest('Invalid ip_protocol: it is required.');
  }
  const protocol = parseProtocol(given.ip_protocol);
  const port = (value: unknown) => (Number(value) === -1 ? null : parsePort(value));
  const [min, max] = [port(given.from_port), port(given.to_port)];
  if (min !== null && max !== null && protocol !== 'icmp' && min > max) {
    throw badRequest(`Invalid port range ${min}:${max}. Former value cannot be greater than the later`);
  }
  const cidr = given.cidr === undefined || given.cidr === null ? '0.0.0.0/0' : String(given.cidr);
  if (!tryParseCidr(cidr)) throw badRequest(`Invalid cidr ${cidr}`);
  return {
    direction: 'ingress' as const,
    ethertype: cidr.includes(':') ? ('IPv6' as const) : ('IPv4' as const),
    protocol,
    port_range_min: min,
    port_range_max: max,
    // kept as it was written, like the network service does
    remote_ip_prefix: remote_group_id === null ? cidr : null,
    remote_group_id,
  };
}

async function removeRule({ app, ctx, params }: OpRequest): Promise<void> {
  await inNovasWords(() =>
    app.store.tx(async (tx) => {
      const rule = await findVisible(tx, ctx, 'security_group_rule', params.id!, ruleNotFound);
      await deleteRule(tx, ctx, rule);
    }),
  );
}

async function show(db: Reader, groups: readonly Group[]) {
  const rules = await rulesOfGroups(
    db,
    groups.map(({ id }) => id),
  );
  const remotes = new Map(
    (
      await findRows(
        db,
        'security_group',
        rules.flatMap(({ remote_group_id }) => remote_group_id ?? []),
      )
    ).map((group) => [group.id, group]),
  );
  return groups.map(({ id, name, description, project_id }) => ({
    id,
    name,
    description,
    tenant_id: project_id,
    // Nova knew no egress rules
    rules: rules
      .filter((rule) => rule.security_group_id === id && rule.direction === 'ingress')
      .map((rule) => showRule(rule, remotes.get(rule.remote_group_id ?? ''))),
  }));
}

function showRule(rule: Rule, remote: Group | undefined) {
  const icmp = rule.protocol === 'icmp' || rule.protocol === '1';
  const none = icmp ? -1 : null;
  const any = rule.remote_ip_prefix ?? (rule.ethertype === 'IPv6' ? '::/0' : '0.0.0.0/0');
  return {
    id: rule.id,
    parent_group_id: rule.security_group_id,
    ip_protocol: rule.protocol,
    from_port: rule.port_range_min ?? none,
    to_port: rule.port_range_max ?? none,
    ip_range: remote ? {} : { cidr: any },
    group: remote ? { name: remote.name, tenant_id: remote.project_id } : {},
  };
}

/** Nova answers 400 where the network service has a conflict about what is asked for, and 404 for what is not there. */
async function inNovasWords<T>(body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    if (!(error instanceof MaruError)) throw error;
    if (error.code === 'not-found') throw notFound(error.message);
    if (error.code === 'conflict') throw badRequest(error.message);
    throw error;
  }
}
