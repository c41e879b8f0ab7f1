import { cidrContains } from '../../../../src/net/cidr.js';
import { addressBits, ipVersion } from '../../../../src/net/ip.js';
import type { ObjectKey, PortObject, SecurityRule, Spec } from '../../../../src/protocol/objects.js';
import type { NetworkContext } from '../../config.js';
import { objectOf } from '../../model.js';
import type { IpFamily } from '../iptables/model.js';
import { allows, deletionArguments, type Flow, parseFlows } from './flows.js';

/** A port whose rules became stricter, or that is gone: `rules` null allows nothing. */
export interface StricterPort {
  readonly key: ObjectKey;
  readonly port: PortObject;
  readonly zone: number;
  readonly rules: readonly SecurityRule[] | null;
}

/** From here on single deletions cost more than asking for whole addresses. */
const MANY = 64;

/**
 * Cuts the connections that stricter rules forbid and leaves all others alone: with tcp_loose off, a connection that is
 * cut by mistake never comes back.
 */
export async function cutForbidden(
  context: NetworkContext,
  ports: readonly StricterPort[],
  spec: Spec,
): Promise<void> {
  const { host, log } = context;
  for (const zone of new Set(ports.map((port) => port.zone))) {
    const concerned = ports.filter((port) => port.zone === zone);
    const families = new Set(concerned.flatMap(({ port }) => port.fixed_ips.map((ip) => ipVersion(ip) ?? 4)));
    for (const family of families) {
      const args = ['-L', '-f', family === 4 ? 'ipv4' : 'ipv6', '-w', `${zone}`, '-o', 'extended'];
      const { stdout } = await host.read('conntrack', args);
      const forbidden = forbiddenFlows(parseFlows(stdout), concerned, spec);
      if (!forbidden.length) continue;
      log.info('cutting connections that security groups no longer allow', {
        zone,
        connections: forbidden.length,
      });
      const commands =
        forbidden.length > MANY
          ? wholeAddresses(concerned, family, zone)
          : forbidden.map((flow) => deletionArguments(flow, zone));
      // 1: it ended by itself
      for (const command of commands) await host.run('conntrack', command, { okCodes: [0, 1] });
    }
  }
}

/** The flows that some port forbids, either where they come from or where they go. */
export function forbiddenFlows(flows: readonly Flow[], ports: readonly StricterPort[], spec: Spec): Flow[] {
  return flows.filter((flow) =>
    ports.some(({ port, rules }) => {
      const isMember = (groupId: string, address: string) => {
        const members = objectOf(spec, 'group-members', `${groupId}:${port.network_id}`);
        return (
          (flow.family === 4 ? members?.ipv4 : members?.ipv6)?.some((cidr) => cidrContains(cidr, address)) ??
          false
        );
      };
      const judge = (direction: 'ingress' | 'egress', own: string) =>
        hasAddress(port, own) && !allows(rules ?? [], direction, flow, isMember);
      return judge('egress', flow.source) || judge('ingress', flow.destination);
    }),
  );
}

function hasAddress(port: PortObject, address: string): boolean {
  if (port.fixed_ips.includes(address)) return true;
  return port.allowed_address_pairs.some(({ ip_address }) => cidrContains(ip_address, address));
}

/** One call per address: cuts more than is forbidden, which is better than thousands of calls. */
function wholeAddresses(ports: readonly StricterPort[], family: IpFamily, zone: number): string[][] {
  const name = family === 4 ? 'ipv4' : 'ipv6';
  return ports.flatMap(({ port }) =>
    port.fixed_ips
      .filter((ip) => addressBits(ipVersion(ip) ?? 4) === addressBits(family))
      .flatMap((ip) => ['-s', '-d'].map((option) => ['-D', '-f', name, '-w', `${zone}`, option, ip])),
  );
}
