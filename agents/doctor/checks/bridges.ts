import { type Check, check, some, warning, wrong } from '../check.js';
import type { Facts, Link } from '../facts.js';

/** Devices that this and other programs make for guests and containers: never the way out. */
const INTERNAL =
  /^(lo|tap|brq|brv|vxlan-|qr-|qg-|virbr|vnet|docker|br-[0-9a-f]{12}|veth|wg|tun|cni|flannel|cali)/;

/** Provider bridges with the aliases that name them. */
export function providers({ settings }: Pick<Facts, 'settings'>): { alias: string; bridge: string }[] {
  return Object.entries(settings.host?.physical_networks ?? {}).map(([alias, bridge]) => ({ alias, bridge }));
}

/** Ports of a bridge that lead out of this machine. */
export function uplinksOf(links: readonly Link[], bridge: string): Link[] {
  return links.filter(({ name, master }) => master === bridge && !name.startsWith('tap'));
}

/** Devices that could be the lost port: real network cards in no bridge, without an address of their own. */
function candidates(links: readonly Link[]): string[] {
  return links
    .filter(({ name, kind, master, mac }) => {
      const card =
        (kind === null || kind === 'veth' || kind === 'bond') && mac !== '' && !INTERNAL.test(name);
      return card && master === null;
    })
    .filter(({ addresses }) => !addresses.some(({ scope }) => scope === 'global'))
    .map(({ name }) => name);
}

/** The bridges that lead outside, and their uplinks. */
export const bridgeChecks: readonly Check[] = [
  check({
    id: 'bridge-missing',
    title: 'Each provider network has its bridge',
    roles: ['host'],
    phase: 'installed',
    needs: ['links'],
    find: ({ links }, facts) =>
      providers(facts)
        .filter(({ bridge }) => !links.some(({ name }) => name === bridge))
        .map(({ alias, bridge }) =>
          wrong(
            `There is no bridge ${bridge}, which provider network '${alias}' is on`,
            'routers and guests of that network cannot be plugged in on this host',
            `maru bridge ${bridge} --uplink ${candidates(links)[0] ?? 'DEVICE'}`,
            `# or take '${alias}' out of agent.physical_networks in the configuration`,
          ),
        ),
  }),
  check({
    id: 'bridge-without-port',
    title: 'Provider bridges have their uplinks',
    roles: ['host'],
    needs: ['links'],
    find: ({ links }, facts) =>
      providers(facts).flatMap(({ bridge }) => {
        if (!links.some(({ name }) => name === bridge) || uplinksOf(links, bridge).length > 0) return [];
        const free = candidates(links);
        const card = free[0] ?? 'DEVICE';
        const hint = free.length > 0 ? `; ${some(free)} could be it` : '';
        return [
          wrong(
            `${bridge} has no port that leads out${hint}`,
            'a network card that was renamed (by a new kernel, slot or firmware) is not the one that the configuration names',
            `ip link set ${card} master ${bridge} && ip link set ${card} up`,
            `# then put the new name in the network configuration: grep -rn ${bridge} /etc/netplan /etc/systemd/network /etc/network /etc/NetworkManager/system-connections`,
          ),
        ];
      }),
  }),
  check({
    id: 'bridge-down',
    title: 'Provider bridges and uplinks are up',
    roles: ['host'],
    needs: ['links'],
    find: ({ links }, facts) =>
      providers(facts).flatMap(({ bridge }) => {
        const itself = links.filter(({ name }) => name === bridge);
        return [...itself, ...uplinksOf(links, bridge)].flatMap((link) => {
          if (!link.up) {
            const what =
              link.name === bridge ? `${bridge} is down` : `${link.name}, port of ${bridge}, is down`;
            return [wrong(what, 'nothing of this network gets in or out', `ip link set ${link.name} up`)];
          }
          if (link.carrier || link.name === bridge) return [];
          return [
            wrong(
              `${link.name}, port of ${bridge}, has no carrier`,
              'the cable is out, or the switch’s port is off: nothing of this network gets in or out',
              `ethtool ${link.name} | grep -i link`,
            ),
          ];
        });
      }),
  }),
  check({
    id: 'address-on-uplink',
    title: 'Addresses are on the bridge, not on its port',
    roles: ['host'],
    needs: ['links'],
    find: ({ links }, facts) =>
      providers(facts).flatMap(({ bridge }) =>
        uplinksOf(links, bridge).flatMap(({ name, addresses }) => {
          const left = addresses.filter(({ scope }) => scope === 'global');
          if (left.length === 0) return [];
          const listed = left.map(({ address, prefix }) => `${address}/${prefix}`);
          const lacks = (cidr: string) =>
            !links.some(
              (link) =>
                link.name === bridge && link.addresses.some((a) => `${a.address}/${a.prefix}` === cidr),
            );
          return [
            wrong(
              `${name} is a port of ${bridge} and has ${some(listed)} itself`,
              'packets leave by the port and answers arrive at the bridge: connections stall; a DHCP client that stayed on the port does this',
              ...listed.filter(lacks).map((cidr) => `ip addr add ${cidr} dev ${bridge}`),
              ...listed.map((cidr) => `ip addr del ${cidr} dev ${name}`),
              `# and end what put it there: pgrep -af 'dhclient|dhcpcd|udhcpc' ; networkctl status ${name}`,
            ),
          ];
        }),
      ),
  }),
  check({
    id: 'default-route-on-uplink',
    title: 'The default route does not leave by a port of a bridge',
    roles: ['host'],
    needs: ['links', 'routes'],
    find: ({ links, routes }, facts) =>
      providers(facts).flatMap(({ bridge }) => {
        const ports = new Set(uplinksOf(links, bridge).map(({ name }) => name));
        return routes
          .filter(({ device }) => ports.has(device))
          .map(({ family, device, gateway, metric }) => {
            const via = gateway ? ` via ${gateway}` : '';
            const by = metric ? ` metric ${metric}` : '';
            return wrong(
              `The IPv${family} default route leaves by ${device}, which is a port of ${bridge}`,
              'answers arrive at the bridge: this machine does not reach what is behind the gateway',
              // in this order and only then: with the first refused, the machine would be left without any
              `ip -${family} route replace default${via} dev ${bridge}${by} && ip -${family} route del default${via} dev ${device}${by} 2>/dev/null`,
            );
          });
      }),
  }),
  check({
    id: 'two-default-routes',
    title: 'There is one default route',
    roles: ['host', 'controller'],
    needs: ['routes', 'links'],
    find: ({ routes, links }, facts) => {
      const ports = new Set(
        providers(facts).flatMap(({ bridge }) => uplinksOf(links, bridge).map(({ name }) => name)),
      );
      return ([4, 6] as const).flatMap((family) => {
        // those that leave by a port have a check of their own
        const found = routes.filter((route) => route.family === family && !ports.has(route.device));
        const devices = [...new Set(found.map(({ device }) => device))];
        if (devices.length < 2) return [];
        const [best, ...others] = [...found].sort((a, b) => a.metric - b.metric);
        const words = found.map(
          ({ device, gateway, metric }) => `${gateway ?? 'none'} by ${device} (metric ${metric})`,
        );
        return [
          warning(
            `There are ${found.length} IPv${family} default routes: ${words.join(', ')}`,
            'which way this machine’s packets take depends on metrics: sessions break when a lease is renewed',
            `# keep ${best!.device}; where the others are not wanted:`,
            ...others.map(
              ({ device, gateway, metric }) =>
                `ip -${family} route del default${gateway ? ` via ${gateway}` : ''} dev ${device}${metric ? ` metric ${metric}` : ''}`,
            ),
          ),
        ];
      });
    },
  }),
  check({
    id: 'bridge-stp',
    title: 'Provider bridges forward at once',
    roles: ['host'],
    needs: ['links'],
    find: ({ links }, facts) =>
      providers(facts).flatMap(({ bridge }) => {
        const found = links.find(({ name }) => name === bridge)?.bridge;
        if (!found?.stp || found.forwardDelaySeconds === 0) return [];
        return [
          wrong(
            `${bridge} has STP on, with a forward delay of ${found.forwardDelaySeconds} s`,
            `whatever is plugged in, a router for example, is cut off for ${2 * found.forwardDelaySeconds} s; and switches may close the port`,
            // in one command it is refused: with STP on, the delay may not be 0
            `ip link set ${bridge} type bridge stp_state 0`,
            `ip link set ${bridge} type bridge forward_delay 0`,
          ),
        ];
      }),
  }),
  check({
    id: 'duplicate-address',
    title: 'Nobody else has this host’s addresses',
    roles: ['host'],
    needs: ['duplicates', 'links'],
    find: ({ duplicates, links }) => {
      const asked = duplicates.map(({ device, address, mac }) => ({
        device,
        address,
        how: `${mac} answers for it`,
      }));
      const failed = links.flatMap(({ name, addresses }) =>
        addresses
          .filter(({ dadFailed }) => dadFailed)
          .map(({ address }) => ({
            device: name,
            address,
            how: 'it had it first (dadfailed), so it is not in use here',
          })),
      );
      return [...asked, ...failed].map(({ device, address, how }) =>
        wrong(
          `Another machine on the segment of ${device} has ${address} as well: ${how}`,
          'connections to this host reach the other machine at times, or always',
          '# find the machine with that MAC: the switch’s table of addresses says at which port it is',
          `# then change the address there or here: ip addr del ${address} dev ${device}`,
        ),
      );
    },
  }),
];
