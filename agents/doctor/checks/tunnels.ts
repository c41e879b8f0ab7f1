import { type Check, check, some, warning, wrong } from '../check.js';
import type { Link } from '../facts.js';

const VXLAN_PORT = 4789;
/** What a tunnel adds to a packet, over IPv4 and IPv6. */
const overhead = (underlay: string) => (underlay.includes(':') ? 70 : 50);

/** The device that has an address. */
function deviceOf(links: readonly Link[], address: string): Link | undefined {
  return links.find(({ addresses }) => addresses.some((one) => one.address === address));
}

/** The network between hosts. */
export const tunnelChecks: readonly Check[] = [
  check({
    id: 'underlay-address-missing',
    title: 'This host has its address between hosts',
    roles: ['host'],
    needs: ['links'],
    find: ({ links }, { settings, phase }) => {
      const address = settings.host?.underlay_ip;
      if (!address || deviceOf(links, address)) return [];
      const say = phase === 'installed' ? wrong : warning;
      return [
        say(
          `underlay_ip is ${address}, which no device of this machine has`,
          'tunnels are not made, and the controller does not reach the agent',
          'ip -br addr',
          `# then either give ${address} to a device, or correct agent.underlay_ip in ${settings.file}`,
        ),
      ];
    },
  }),
  check({
    id: 'underlay-mtu',
    title: 'Packets of tunnels fit the network between hosts',
    roles: ['host'],
    needs: ['links'],
    find: ({ links }, { settings }) => {
      const address = settings.host?.underlay_ip ?? '';
      const device = deviceOf(links, address);
      if (!device) return [];
      const tunnels = links.filter(
        ({ kind, mtu }) => kind === 'vxlan' && mtu + overhead(address) > device.mtu,
      );
      const configured = settings.controller?.underlay_mtu ?? 0;
      const needed = Math.max(configured, ...tunnels.map(({ mtu }) => mtu + overhead(address)));
      if (device.mtu >= needed) return [];
      const names =
        tunnels.length > 0 ? `: ${some(tunnels.map(({ name, mtu }) => `${name} has ${mtu}`))}` : '';
      return [
        wrong(
          `${device.name} (${address}) has an MTU of ${device.mtu}; tunnels need ${needed}${names}`,
          'small packets pass and large ones vanish: ssh connects and then hangs',
          `ip link set ${device.name} mtu ${needed}`,
          `# and at boot; the switches have to take it too. Or lower controller.underlay_mtu to ${device.mtu}`,
        ),
      ];
    },
  }),
  check({
    id: 'tunnel-peers',
    title: 'Packets of full size reach the other hosts',
    roles: ['host'],
    needs: ['tunnelPeers'],
    find: ({ tunnelPeers }) => {
      const silent = tunnelPeers.filter(({ answers }) => !answers).map(({ address }) => address);
      const narrow = tunnelPeers.filter(({ answers, fullSizeArrives }) => answers && !fullSizeArrives);
      return [
        ...(silent.length > 0
          ? [
              warning(
                `${silent.length} host(s) that tunnels go to do not answer: ${some(silent)}`,
                'guests here do not reach those there, unless only ping is filtered',
                `ping -c 3 ${silent[0]}`,
                `ip route get ${silent[0]}`,
              ),
            ]
          : []),
        ...narrow.map(({ address, size }) =>
          wrong(
            `A packet of ${size} bytes does not reach ${address} whole, a small one does`,
            'the path between the hosts has a smaller MTU than tunnels need: small packets of guests pass and large ones vanish',
            `tracepath -n ${address}`,
            '# raise the MTU of the switches and cards on the way, or lower controller.underlay_mtu',
          ),
        ),
      ];
    },
  }),
  check({
    id: 'vxlan-port-taken',
    title: `UDP port ${VXLAN_PORT} is free for tunnels`,
    roles: ['host'],
    needs: ['sockets'],
    find: ({ sockets }) =>
      // the kernel's own socket has no process
      sockets
        .filter(
          ({ protocol, port, process }) => protocol === 'udp' && port === VXLAN_PORT && process !== null,
        )
        .map(({ process, pid }) =>
          wrong(
            `UDP port ${VXLAN_PORT} is taken by ${process} (process ${pid})`,
            'tunnels between hosts cannot be made',
            `ps -o pid,user,args -p ${pid}`,
            `kill ${pid}`,
          ),
        ),
  }),
  check({
    id: 'router-not-forwarding',
    title: 'Routers forward',
    roles: ['host'],
    phase: 'installed',
    needs: ['routerForwarding'],
    find: ({ routerForwarding }) =>
      Object.entries(routerForwarding)
        .filter(([, value]) => value === '0')
        .map(([name]) =>
          wrong(
            `ip_forward is 0 in ${name}`,
            'nothing passes that router: neither floating IPs nor the way outside work',
            `ip netns exec ${name} sysctl -w net.ipv4.ip_forward=1`,
          ),
        ),
  }),
];
