import { randomUUID } from 'node:crypto';
import { deleteRow, findRow, insertRow, updateRow } from '../../store/network/rows.js';
import {
  countGroupPorts,
  insertRule,
  rulesOfGroups,
  rulesWithRemote,
} from '../../store/network/security-group.js';
import { deleteTags } from '../../store/network/tag.js';
import { recordChange, type Tx } from '../../store/store.js';
import type { NetworkTables } from '../../store/tables/network.js';
import type { App } from '../app.js';
import type { Context } from '../context.js';
import { conflict } from '../errors.js';
import { findVisible } from '../network/access.js';
import { flag } from '../network/network.js';
import { groupNotFound } from '../network/problems.js';
import { claimNetworkQuota } from '../network/quota.js';
import { addEgressRules, ensureDefaultGroup } from './default-group.js';
import { checkRule, type RuleValues, sameAllowance } from './rules.js';

type Group = NetworkTables['security_group'];
type Rule = NetworkTables['security_group_rule'];

export interface GroupAttributes {
  readonly project_id: string;
  readonly name: string;
  readonly description: string;
  readonly stateful: boolean;
}

export interface RuleAttributes extends RuleValues {
  readonly project_id: string;
  readonly security_group_id: string;
  readonly description: string;
}

/** Creates a group that lets everything out and nothing in. */
export async function createGroup(tx: Tx, app: App, ctx: Context, given: GroupAttributes): Promise<Group> {
  if (given.name === 'default') {
    throw conflict('Default security group already exists.', 'SecurityGroupDefaultAlreadyExists');
  }
  await claimNetworkQuota(app, tx, given.project_id, 'security_group');
  await ensureDefaultGroup(tx, given.project_id);
  const group = await insertRow(tx, 'security_group', {
    id: randomUUID(),
    project_id: given.project_id,
    name: given.name,
    description: given.description,
    stateful: given.stateful ? 1 : 0,
  });
  if (!group) throw conflict('Default security group already exists.', 'SecurityGroupDefaultAlreadyExists');
  await addEgressRules(tx, group);
  await recordChange(tx, 'security-group', group.id, ctx.requestId);
  return group;
}

export async function updateGroup(
  tx: Tx,
  ctx: Context,
  group: Group,
  changes: Partial<GroupAttributes>,
): Promise<Group> {
  if (group.name === 'default' && changes.name !== undefined && changes.name !== 'default') {
    throw conflict('Updating default security group not allowed.', 'SecurityGroupCannotUpdateDefault');
  }
  if (changes.name === 'default' && group.name !== 'default') {
    throw conflict('Default security group already exists.', 'SecurityGroupDefaultAlreadyExists');
  }
  if (changes.stateful !== undefined && changes.stateful !== (group.stateful === 1)) {
    if ((await countGroupPorts(tx, group.id)) > 0) {
      throw conflict(`Security Group ${group.id} in use.`, 'SecurityGroupInUse');
    }
  }
  const { name, description } = changes;
  const updated = await updateRow(tx, 'security_group', group.id, {
    ...(name === undefined ? {} : { name }),
    ...(description === undefined ? {} : { description }),
    ...flag('stateful', changes.stateful),
  });
  await recordChange(tx, 'security-group', group.id, ctx.requestId);
  return updated ?? group;
}

/** Deletes a group that no port uses; rules of other groups that name it go too. */
export async function deleteGroup(tx: Tx, ctx: Context, group: Group): Promise<void> {
  if (group.name === 'default' && !ctx.isAdmin) {
    throw conflict(
      'Insufficient rights for removing default security group.',
      'SecurityGroupCannotRemoveDefault',
    );
  }
  if ((await countGroupPorts(tx, group.id)) > 0) {
    throw conflict(`Security Group ${group.id} in use.`, 'SecurityGroupInUse');
  }
  for (const rule of await rulesWithRemote(tx, group.id)) {
    await recordChange(tx, 'security-group', rule.security_group_id, ctx.requestId);
  }
  await deleteTags(tx, [group.id]);
  await deleteRow(tx, 'security_group', group.id);
  await recordChange(tx, 'security-group', group.id, ctx.requestId);
}

/** Adds a rule to a group of the caller's. */
export async function createRule(tx: Tx, app: App, ctx: Context, given: RuleAttributes): Promise<Rule> {
  checkRule(given);
  const group = await findVisible(tx, ctx, 'security_group', given.security_group_id, groupNotFound);
  if (given.remote_group_id !== null) {
    await findVisible(tx, ctx, 'security_group', given.remote_group_id, groupNotFound);
  }
  await claimNetworkQuota(app, tx, given.project_id, 'security_group_rule');
  const existing = (await rulesOfGroups(tx, [group.id])).find((rule) => sameAllowance(rule, given));
  const rule = existing ? null : await insertRule(tx, { id: randomUUID(), ...ruleColumns(given) });
  if (!rule) {
    const same = existing ?? (await rulesOfGroups(tx, [group.id])).find((r) => sameAllowance(r, given));
    throw conflict(
      `Security group rule already exists. Rule id is ${same?.id ?? 'unknown'}.`,
      'SecurityGroupRuleExists',
    );
  }
  await updateRow(tx, 'security_group', group.id, {});
  await recordChange(tx, 'security-group', group.id, ctx.requestId);
  return rule;
}

export async function deleteRule(tx: Tx, ctx: Context, rule: Rule): Promise<void> {
  await deleteRow(tx, 'security_group_rule', rule.id);
  if (await findRow(tx, 'security_group', rule.security_group_id)) {
    await updateRow(tx, 'security_group', rule.security_group_id, {});
  }
  await recordChange(tx, 'security-group', rule.security_group_id, ctx.requestId);
}

function ruleColumns(given: RuleAttributes) {
  return {
    security_group_id: given.security_group_id,
    project_id: given.project_id,
    description: given.description,
    direction: given.direction,
    ethertype: given.ethertype,
    protocol: given.protocol,
    port_range_min: given.port_range_min,
    port_range_max: given.port_range_max,
    remote_ip_prefix: given.remote_ip_prefix,
    remote_group_id: given.remote_group_id,
  };
}
