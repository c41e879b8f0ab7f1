import { describe, expect, it } from 'vitest';
import { NOBODY, networkWorld, refuses } from '../support/network-refusals.js';

/** What Neutron refuses about security groups, with the type and words that clients know. */

const made = networkWorld();
const { world } = made;

function refuse(
  name: string,
  method: string,
  path: () => string,
  body: (() => object) | undefined,
  status: number,
  type: string,
  message: RegExp,
): void {
  refuses(made, name, { method, path, ...(body && { body }), status, type, message });
}

const rule = (more: object) => () => ({
  security_group_rule: { security_group_id: world.group.id, direction: 'ingress', ...more },
});
const at = (path: string) => () => path;

describe('security groups', () => {
  const bad = (name: string, attributes: object, type: string, message: RegExp, status = 400) =>
    refuse(name, 'POST', at('security-group-rules'), rule(attributes), status, type, message);
  bad(
    'a direction that is none',
    { direction: 'x' },
    'HTTPBadRequest',
    /'x' is not in \['ingress', 'egress'\]/,
  );
  bad('an ethertype that is none', { ethertype: 'x' }, 'SecurityGroupRuleInvalidEtherType', /not supported/);
  bad('a protocol that is none', { protocol: 'x' }, 'SecurityGroupRuleInvalidProtocol', /not supported/);
  bad('a protocol number beyond 255', { protocol: 256 }, 'SecurityGroupRuleInvalidProtocol', /not supported/);
  bad(
    'ports without protocol',
    { port_range_min: 1, port_range_max: 2 },
    'SecurityGroupProtocolRequiredWithPorts',
    /Must also specify protocol/,
  );
  bad(
    'ports in the wrong order',
    { protocol: 'tcp', port_range_min: 9, port_range_max: 2 },
    'SecurityGroupInvalidPortRange',
    /must be <=/,
  );
  bad(
    'a port beyond 65535',
    { protocol: 'tcp', port_range_min: 80, port_range_max: 65536 },
    'SecurityGroupInvalidPortValue',
    /Invalid value for port/,
  );
  bad(
    'an ICMP type beyond 255',
    { protocol: 'icmp', port_range_min: 256 },
    'SecurityGroupInvalidIcmpValue',
    /must be 0 to 255/,
  );
  bad(
    'an ICMP code without type',
    { protocol: 'icmp', port_range_max: 3 },
    'SecurityGroupMissingIcmpType',
    /type \(port-range-min\) is missing/,
  );
  bad(
    'ICMPv6 for IPv4',
    { protocol: 'ipv6-icmp' },
    'SecurityGroupEthertypeConflictWithProtocol',
    /Invalid ethertype/,
  );
  bad(
    'ports of a protocol without any',
    { protocol: 'gre', port_range_min: 1, port_range_max: 2 },
    'SecurityGroupInvalidProtocolForPort',
    /only supported for/,
  );
  bad('a prefix that is none', { remote_ip_prefix: '10.0.0.0/33' }, 'InvalidCIDR', /given as IP prefix/);
  bad(
    'a prefix of the other version',
    { remote_ip_prefix: '2001:db8::/64' },
    'SecurityGroupRuleParameterConflict',
    /Conflicting value ethertype/,
  );
  bad('an unknown remote group', { remote_group_id: NOBODY }, 'SecurityGroupNotFound', /does not exist/, 404);
  refuse(
    'prefix and group',
    'POST',
    at('security-group-rules'),
    () => rule({ remote_ip_prefix: '10.0.0.0/8', remote_group_id: world.group.id })(),
    400,
    'SecurityGroupRemoteGroupAndRemoteIpPrefix',
    /may be provided/,
  );
  refuse(
    'an unknown group',
    'POST',
    at('security-group-rules'),
    () => ({ security_group_rule: { security_group_id: NOBODY, direction: 'ingress' } }),
    404,
    'SecurityGroupNotFound',
    /does not exist/,
  );
  refuse(
    'a second default group',
    'POST',
    at('security-groups'),
    () => ({ security_group: { name: 'default' } }),
    409,
    'SecurityGroupDefaultAlreadyExists',
    /already exists/,
  );

  it('the same rule again, also when spelt differently', async () => {
    const tcp = { protocol: 'tcp', port_range_min: 22, port_range_max: 22 };
    expect((await made.api.call(made.api.demo, 'POST', 'security-group-rules', rule(tcp)())).status).toBe(
      201,
    );
    for (const again of [tcp, { ...tcp, protocol: '6' }, { ...tcp, protocol: 'TCP', ethertype: 'ipv4' }]) {
      const reply = await made.api.call(made.api.demo, 'POST', 'security-group-rules', rule(again)());
      expect(reply.status).toBe(409);
      expect(reply.json.NeutronError.type).toBe('SecurityGroupRuleExists');
    }
  });

  it('the default group stays, and a group in use', async () => {
    const groups = (await made.api.call(made.api.demo, 'GET', 'security-groups?name=default')).json
      .security_groups;
    const removed = await made.api.call(made.api.demo, 'DELETE', `security-groups/${groups[0].id}`);
    expect([removed.status, removed.json.NeutronError.type]).toEqual([
      409,
      expect.stringMatching(/^SecurityGroup/),
    ]);
    const renamed = await made.api.call(made.api.demo, 'PUT', `security-groups/${groups[0].id}`, {
      security_group: { name: 'x' },
    });
    expect(renamed.json.NeutronError.type).toBe('SecurityGroupCannotUpdateDefault');
    const user = await made.api.port(made.api.demo, world.network.id, { security_groups: [world.group.id] });
    const inUse = await made.api.call(made.api.demo, 'DELETE', `security-groups/${world.group.id}`);
    expect(inUse.json.NeutronError.type).toBe('SecurityGroupInUse');
    await made.api.call(made.api.demo, 'DELETE', `ports/${user.id}`);
  });
});
