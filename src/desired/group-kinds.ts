import { groupBy } from '../group-by.js';
import { groupsOfPorts } from '../store/network/port.js';
import { findRows } from '../store/network/rows.js';
import { rulesOfGroups } from '../store/network/security-group.js';
import { groupMembers, guestPorts, neighbourNetworks } from '../store/network/spec-rows.js';
import type { Reader } from '../store/store.js';
import { aroundRouter, dependencies, ofGroup, ofGroupMembers, ofNetwork, ofPort } from './finders.js';
import { groupMembersId, groupMembersObject } from './group-members.js';
import { byHost, distinct } from './groups.js';
import { batched, type HostKind } from './kind.js';
import { securityGroupObject } from './security-group.js';

/** Groups that ports of the host use. */
export const securityGroupKind: HostKind<'security-group'> = batched({
  kind: 'security-group',
  ...dependencies({ port: ofPort, 'security-group': ofGroup }),
  async objectsOfHosts(db, hostIds) {
    const used = await filters(db, hostIds);
    const groupIds = distinct(used, (row) => row.group_id);
    const rules = groupBy(await rulesOfGroups(db, groupIds), (rule) => rule.security_group_id);
    // equal for every host that has it: one body
    const objects = new Map(
      (await findRows(db, 'security_group', groupIds)).map((group) => [
        group.id,
        securityGroupObject(group, rules.get(group.id) ?? []),
      ]),
    );
    return byHost(used, (own) =>
      own.flatMap(({ group_id }) => {
        const object = objects.get(group_id);
        return object ? [[group_id, object] as const] : [];
      }),
    );
  },
});

/** Members of the groups that rules of the host's ports name, one object per group and network of such a port. */
export const groupMembersKind: HostKind<'group-members'> = batched({
  kind: 'group-members',
  ...dependencies({
    'group-members': ofGroupMembers,
    port: ofPort,
    'security-group': ofGroup,
    router: aroundRouter,
    network: ofNetwork,
  }),
  async objectsOfHosts(db, hostIds) {
    const used = await filters(db, hostIds);
    const rules = groupBy(
      await rulesOfGroups(
        db,
        distinct(used, (row) => row.group_id),
      ),
      (rule) => rule.security_group_id,
    );
    const wanted = used.flatMap(({ host_id, group_id, network_id }) =>
      (rules.get(group_id) ?? []).flatMap(({ remote_group_id }) =>
        remote_group_id === null ? [] : [{ host_id, groupId: remote_group_id, networkId: network_id }],
      ),
    );
    const members = groupBy(
      await groupMembers(
        db,
        distinct(wanted, (want) => want.groupId),
      ),
      (row) => row.security_group_id,
    );
    const joined = await neighbourNetworks(
      db,
      distinct(wanted, (want) => want.networkId),
    );
    const neighbours = groupBy(joined, (row) => row.network_id);
    // equal for every host that has it: one body
    const objects = new Map<string, ReturnType<typeof groupMembersObject>>();
    const objectOf = (groupId: string, networkId: string) => {
      const id = groupMembersId(groupId, networkId);
      let object = objects.get(id);
      if (!object) {
        const near = new Set((neighbours.get(networkId) ?? []).map((row) => row.neighbour_id));
        object = groupMembersObject(groupId, networkId, near, members.get(groupId) ?? []);
        objects.set(id, object);
      }
      return [id, object] as const;
    };
    return byHost(wanted, (own) => own.map(({ groupId, networkId }) => objectOf(groupId, networkId)));
  },
});

/** Which group filters ports of which network on which host. */
async function filters(
  db: Reader,
  hostIds: readonly string[],
): Promise<{ host_id: string; network_id: string; group_id: string }[]> {
  const ports = (await guestPorts(db, hostIds)).filter((port) => port.port_security_enabled === 1);
  const portIds = distinct(ports, (port) => port.id);
  const groups = groupBy(await groupsOfPorts(db, portIds), (group) => group.port_id);
  const found = new Map<string, { host_id: string; network_id: string; group_id: string }>();
  for (const { id, host_id, network_id } of ports) {
    for (const { security_group_id: group_id } of groups.get(id) ?? []) {
      found.set(`${host_id} ${network_id} ${group_id}`, { host_id, network_id, group_id });
    }
  }
  return [...found.values()];
}
