import { type Check, check, setSysctl, some, warning, wrong } from '../check.js';

/** Debian 12 and 13, Ubuntu 22.04 and 24.04 have newer ones. */
const OLDEST_KERNEL = [5, 10] as const;
const DISTRIBUTIONS: Readonly<Record<string, readonly string[]>> = {
  debian: ['12', '13'],
  ubuntu: ['22.04', '24.04'],
};
/** What the agent sets; see agents/network/firewall/sysctls.ts. */
const BRIDGE_SETTINGS = {
  'net.bridge.bridge-nf-call-iptables': [
    '1',
    'security groups are not asked, so the hosts’ last line of defence closes all ports',
  ],
  'net.bridge.bridge-nf-call-ip6tables': [
    '1',
    'security groups are not asked for IPv6, so it is closed on all ports',
  ],
  'net.bridge.bridge-nf-call-arptables': ['0', 'ARP of guests goes through rules that are not made for it'],
} as const;
const FEWEST_INOTIFY_INSTANCES = 64;
const FEWEST_INOTIFY_WATCHES = 4096;
/** A routers’ host with many guests has a few connections for each. */
const FEWEST_CONNECTIONS = 65_536;

/** What the kernel is, has and is told. */
export const kernelChecks: readonly Check[] = [
  check({
    id: 'old-kernel',
    title: 'The kernel is new enough',
    roles: ['host'],
    needs: ['system'],
    find: ({ system: { kernel } }) => {
      const [major = 0, minor = 0] = kernel.split('.').map(Number);
      const [needMajor, needMinor] = OLDEST_KERNEL;
      if (major > needMajor || (major === needMajor && minor >= needMinor)) return [];
      return [
        wrong(
          `The kernel is ${kernel}; ${OLDEST_KERNEL.join('.')} is the oldest that has what is needed`,
          'port security in nft’s bridge family and shared sets do not load, so guests’ ports stay closed',
          'apt-get install linux-image-amd64 || apt-get install linux-generic',
          'reboot',
        ),
      ];
    },
  }),
  check({
    id: 'unknown-distribution',
    title: 'The distribution is a supported one',
    roles: ['host', 'controller'],
    needs: ['system'],
    find: ({ system: { distribution, release, architecture } }) => {
      const found: ReturnType<typeof warning>[] = [];
      if (!DISTRIBUTIONS[distribution]?.includes(release)) {
        found.push(
          warning(
            `This is ${distribution || 'an unknown distribution'} ${release}`,
            'only Debian 12/13 and Ubuntu 22.04/24.04 are tried: paths and versions of libvirt may differ',
          ),
        );
      }
      if (architecture !== 'x86_64') {
        found.push(
          warning(`This machine is ${architecture}`, 'only x86_64 is tried: guests are x86 machines'),
        );
      }
      return found;
    },
  }),
  check({
    id: 'missing-modules',
    title: 'The kernel has the modules that networks are made of',
    roles: ['host'],
    needs: ['modules', 'system'],
    find: ({ modules: { available, directory }, system }) => {
      const missing = Object.keys(available).filter((name) => available[name] === false);
      const untold = Object.keys(available).filter((name) => available[name] === null);
      if (!directory && untold.length > 0) {
        return [
          wrong(
            `/lib/modules/${system.kernel} does not exist and ${some(untold)} are not loaded`,
            'the kernel was upgraded and this machine still runs the old one: it can load no module any more',
            'reboot',
          ),
        ];
      }
      if (missing.length === 0) return [];
      return [
        wrong(
          `This kernel (${system.kernel}) has no ${some(missing)}`,
          'bridges, tunnels or filters of guests cannot be made; images for clouds leave modules out',
          `apt-get install linux-modules-extra-${system.kernel} || apt-get install linux-image-amd64`,
          `modprobe -a ${missing.join(' ')}`,
        ),
      ];
    },
  }),
  check({
    id: 'br-netfilter-missing',
    title: 'br_netfilter is loaded',
    roles: ['host'],
    phase: 'installed',
    needs: ['sysctls', 'modules'],
    find: ({ sysctls, modules }) => {
      if ('net.bridge.bridge-nf-call-iptables' in sysctls || modules.available.br_netfilter === false)
        return [];
      return [
        wrong(
          'br_netfilter is not loaded',
          'packets between guests of a bridge do not reach the security groups: all ports stay closed',
          'modprobe br_netfilter',
          'echo br_netfilter > /etc/modules-load.d/maru.conf',
        ),
      ];
    },
  }),
  check({
    id: 'bridge-settings',
    title: 'Bridged packets go through the firewall',
    roles: ['host'],
    phase: 'installed',
    needs: ['sysctls'],
    find: ({ sysctls }) =>
      Object.entries(BRIDGE_SETTINGS).flatMap(([name, [value, why]]) =>
        sysctls[name] === undefined || sysctls[name] === value
          ? []
          : [wrong(`${name} is ${sysctls[name]}, not ${value}`, why, ...setSysctl(name, value))],
      ),
  }),
  check({
    id: 'conntrack-loose',
    title: 'Connections that were cut stay cut',
    roles: ['host'],
    phase: 'installed',
    needs: ['sysctls'],
    find: ({ sysctls }) =>
      sysctls['net.netfilter.nf_conntrack_tcp_loose'] === '1'
        ? [
            warning(
              'net.netfilter.nf_conntrack_tcp_loose is 1, not 0',
              'a connection that a security group forbids from now on comes back with its next packet',
              ...setSysctl('net.netfilter.nf_conntrack_tcp_loose', 0),
            ),
          ]
        : [],
  }),
  check({
    id: 'conntrack-full',
    title: 'There is room for connections',
    roles: ['host'],
    needs: ['sysctls'],
    find: ({ sysctls }) => {
      const most = Number(sysctls['net.netfilter.nf_conntrack_max'] ?? 0);
      const count = Number(sysctls['net.netfilter.nf_conntrack_count'] ?? 0);
      if (most === 0) return [];
      const mend = setSysctl('net.netfilter.nf_conntrack_max', Math.max(262_144, most * 2));
      const percent = Math.round((count / most) * 100);
      if (percent >= 80) {
        const say = percent >= 95 ? wrong : warning;
        const why =
          'new connections of all guests are dropped once it is full (dmesg: nf_conntrack: table full)';
        return [say(`${count} of ${most} connections are tracked (${percent} %)`, why, ...mend)];
      }
      if (most >= FEWEST_CONNECTIONS) return [];
      return [
        warning(
          `At most ${most} connections are tracked`,
          'a few busy guests fill that for everybody',
          ...mend,
        ),
      ];
    },
  }),
  check({
    id: 'reverse-path-filter',
    title: 'Provider bridges take packets whose way back is another one',
    roles: ['host'],
    needs: ['sysctls'],
    find: ({ sysctls }, { settings }) =>
      [...new Set(Object.values(settings.host?.physical_networks ?? {}))].flatMap((bridge) => {
        const name = `net.ipv4.conf.${bridge}.rp_filter`;
        const own = sysctls[name];
        if (own === undefined) return [];
        const effective = Math.max(Number(own), Number(sysctls['net.ipv4.conf.all.rp_filter'] ?? 0));
        if (effective !== 1) return [];
        return [
          warning(
            `The reverse path filter of ${bridge} is strict (rp_filter 1)`,
            'with a second way out, packets whose answer would leave by the other one are dropped without a word',
            ...setSysctl(name, 2),
          ),
        ];
      }),
  }),
  check({
    id: 'router-advertisements-ignored',
    title: 'Router advertisements are taken where the host forwards',
    roles: ['host'],
    needs: ['sysctls', 'routes'],
    find: ({ sysctls, routes }, { settings }) =>
      [...new Set(Object.values(settings.host?.physical_networks ?? {}))].flatMap((bridge) => {
        const learned = routes.some((route) => route.device === bridge && route.protocol === 'ra');
        const name = `net.ipv6.conf.${bridge}.accept_ra`;
        if (!learned || sysctls[`net.ipv6.conf.${bridge}.forwarding`] !== '1' || sysctls[name] !== '1')
          return [];
        return [
          warning(
            `${bridge} has its IPv6 route from router advertisements, forwards, and has accept_ra 1`,
            'the kernel takes no advertisements where it forwards: the route is lost when its lifetime ends',
            ...setSysctl(name, 2),
          ),
        ];
      }),
  }),
  check({
    id: 'inotify-limits',
    title: 'The agent can watch for changes',
    roles: ['host'],
    needs: ['sysctls'],
    find: ({ sysctls }) => {
      const limits = {
        'fs.inotify.max_user_instances': [FEWEST_INOTIFY_INSTANCES, 512],
        'fs.inotify.max_user_watches': [FEWEST_INOTIFY_WATCHES, 65_536],
      } as const;
      return Object.entries(limits).flatMap(([name, [fewest, good]]) =>
        sysctls[name] === undefined || Number(sysctls[name]) >= fewest
          ? []
          : [
              warning(
                `${name} is ${sysctls[name]}`,
                'changes by other hands are noticed late, and systemd and journald run short too',
                ...setSysctl(name, good),
              ),
            ],
      );
    },
  }),
  check({
    id: 'open-files',
    title: 'There is room for open files',
    roles: ['host', 'controller'],
    needs: ['sysctls'],
    find: ({ sysctls }) => {
      const [open = 0, , most = 0] = (sysctls['fs.file-nr'] ?? '').split(/\s+/).map(Number);
      if (most === 0 || open / most < 0.9) return [];
      return [
        wrong(
          `${open} of ${most} files are open on this machine`,
          'at the limit nothing can open a file or a connection any more',
          ...setSysctl('fs.file-max', most * 2),
        ),
      ];
    },
  }),
];
