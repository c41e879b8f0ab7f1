import { randomUUID } from 'node:crypto';
import { insertRow } from '../../store/network/rows.js';
import { defaultGroup, insertRule } from '../../store/network/security-group.js';
import { recordChange, type Tx } from '../../store/store.js';
import type { NetworkTables } from '../../store/tables/network.js';

type Group = NetworkTables['security_group'];

/**
 * The default group of a project, made when it is first needed: everything out, nothing in but from members of the group.
 * It does not count against quotas, since a project cannot do without it.
 */
export async function ensureDefaultGroup(tx: Tx, projectId: string): Promise<Group> {
  const found = await defaultGroup(tx, projectId);
  if (found) return found;
  const made = await insertRow(tx, 'security_group', {
    id: randomUUID(),
    project_id: projectId,
    name: 'default',
    description: 'Default security group',
    stateful: 1,
  });
  // another request made it between our look and our insert
  if (!made) return (await defaultGroup(tx, projectId))!;
  for (const ethertype of ['IPv4', 'IPv6'] as const) {
    await insertRule(tx, { ...rule(made, ethertype), direction: 'egress', remote_group_id: null });
    await insertRule(tx, { ...rule(made, ethertype), direction: 'ingress', remote_group_id: made.id });
  }
  await recordChange(tx, 'security-group', made.id);
  return made;
}

/** The rules every new group begins with: everything out. */
export async function addEgressRules(tx: Tx, group: Group): Promise<void> {
  for (const ethertype of ['IPv4', 'IPv6'] as const) {
    await insertRule(tx, { ...rule(group, ethertype), direction: 'egress', remote_group_id: null });
  }
}

function rule(group: Group, ethertype: 'IPv4' | 'IPv6') {
  return {
    id: randomUUID(),
    security_group_id: group.id,
    project_id: group.project_id,
    description: '',
    ethertype,
    protocol: null,
    port_range_min: null,
    port_range_max: null,
    remote_ip_prefix: null,
  };
}
