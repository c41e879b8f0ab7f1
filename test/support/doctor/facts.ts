import type { Fact, Facts } from '../../../agents/doctor/facts.js';

function known<T>(value: T): Fact<T> {
  return { known: true, value };
}

/** What doctor saw on a machine that is controller and host, and well; recorded from one with systemd, libvirt and br-ex. */
export const WELL: Facts = {
  now: '2026-06-01T00:00:00.000Z',
  phase: 'installed',
  roles: ['controller', 'host'],
  uid: known(0),
  settings: {
    file: '/etc/maru/maru.yaml',
    problem: null,
    host: {
      name: 'h1',
      state_dir: '/var/lib/maru-agent',
      controller: 'https://cloud.test:5443',
      listen: '0.0.0.0:5444',
      underlay_ip: '198.51.100.1',
      physical_networks: { extnet: 'br-ex' },
      virt_type: 'auto',
      libvirt_uri: 'qemu:///system',
      log_file: null,
    },
    controller: {
      state_dir: '/var/lib/maru',
      database: 'sqlite:/var/lib/maru/maru.db',
      listen: '127.0.0.1:5000',
      agent_listen: '0.0.0.0:5443',
      image_dir: '/var/lib/maru/images',
      underlay_mtu: 1500,
      log_file: null,
      admin_password_file: '/var/lib/maru/admin-password',
      tls_cert_file: '/var/lib/maru/tls/api.pem',
    },
  },
  system: known({
    hostname: 'h1',
    kernel: '6.1.0-13-amd64',
    architecture: 'x86_64',
    distribution: 'debian',
    release: '12',
    systemd: true,
  }),
  processor: known({ model: 'Intel(R) Xeon(R)', count: 8, extension: 'vmx', virtual: false }),
  kvm: known({ device: true, mode: '660', group: 'kvm', probe: 'ran', reason: 'KVM probe guest ran' }),
  modules: known({ directory: true, available: { bridge: true, br_netfilter: true, vxlan: true } }),
  sysctls: known({
    'net.bridge.bridge-nf-call-iptables': '1',
    'net.bridge.bridge-nf-call-ip6tables': '1',
    'net.bridge.bridge-nf-call-arptables': '0',
    'net.netfilter.nf_conntrack_tcp_loose': '0',
    'net.netfilter.nf_conntrack_max': '262144',
    'net.netfilter.nf_conntrack_count': '812',
    'net.ipv4.conf.all.rp_filter': '0',
    'net.ipv4.conf.br-ex.rp_filter': '2',
    'net.ipv6.conf.br-ex.accept_ra': '1',
    'net.ipv6.conf.br-ex.forwarding': '0',
    'fs.inotify.max_user_instances': '128',
    'fs.inotify.max_user_watches': '192536',
    'fs.file-nr': '1984\t0\t9223372036854775807',
  }),
  memory: known({ total: 64_000, available: 30_000, swapTotal: 2_000, swapFree: 2_000, guests: 20_000 }),
  links: known([
    link('eth0', { master: 'br-ex' }),
    link('br-ex', {
      kind: 'bridge',
      bridge: { stp: false, forwardDelaySeconds: 0 },
      addresses: [{ address: '192.0.2.5', prefix: 24, scope: 'global', dadFailed: false }],
    }),
    link('underlay', {
      addresses: [{ address: '198.51.100.1', prefix: 24, scope: 'global', dadFailed: false }],
    }),
    link('vxlan-7', { kind: 'vxlan', mtu: 1450, master: 'brq7' }),
  ]),
  routes: known([{ family: 4, device: 'br-ex', gateway: '192.0.2.254', metric: 0, protocol: 'static' }]),
  duplicates: known([]),
  tunnelPeers: known([{ address: '198.51.100.2', answers: true, size: 1500, fullSizeArrives: true }]),
  routerForwarding: known({ 'qrouter-1': '1' }),
  firewall: known({
    backend: 'nft',
    tables: [
      {
        command: 'iptables-nft',
        forwardPolicy: 'DROP',
        forward: ['-A FORWARD -m physdev --physdev-is-bridged -j maru-FORWARD', '-A FORWARD -j DOCKER-USER'],
        postrouting: [
          '-A POSTROUTING -m physdev --physdev-is-bridged -j maru-POSTROUTING',
          '-A POSTROUTING -j MASQUERADE',
        ],
      },
    ],
    chains: [{ family: 'inet', table: 'site', name: 'in', hook: 'input', policy: 'drop', masquerades: [] }],
    firewalld: false,
    ufw: false,
  }),
  programs: known({ 'qemu-system-x86_64': true, virsh: true, ipset: true }),
  processes: known([
    { pid: 7, name: 'node', command: '/usr/lib/maru/bin/node /usr/lib/maru/dist/src/main.js agent' },
  ]),
  sockets: known([
    { protocol: 'tcp', address: '127.0.0.1', port: 5000, process: 'node', pid: 7 },
    { protocol: 'tcp', address: '0.0.0.0', port: 5443, process: 'node', pid: 7 },
    { protocol: 'tcp', address: '0.0.0.0', port: 5444, process: 'node', pid: 7 },
    { protocol: 'udp', address: '0.0.0.0', port: 4789, process: null, pid: null },
    { protocol: 'udp', address: '0.0.0.0%virbr0', port: 67, process: 'dnsmasq', pid: 9 },
  ]),
  units: known({ failed: [], states: { 'libvirtd.service': 'active' } }),
  closed: known([]),
  libvirt: known({ socket: true, answers: 'yes', problem: null, version: '9.0.0', qemu: '7.2.9' }),
  libvirtGuests: known({ enabled: true, onBoot: 'ignore' }),
  defaultNetwork: known({ active: true, autostart: true, subnet: '192.168.122.1/24' }),
  fileSystems: known([
    {
      path: '/var/lib/maru-agent',
      mount: '/',
      source: '/dev/sda1',
      bytes: 1e12,
      free: 6e11,
      used: 40,
      inodesUsed: 5,
      readOnly: false,
    },
  ]),
  files: known([
    {
      path: '/var/lib/maru-agent/identity.json',
      owner: 'root',
      group: 'root',
      mode: 0o600,
      directory: false,
      secret: true,
      wanted: 'root',
    },
  ]),
  certificates: known([
    {
      what: 'agent',
      path: '/var/lib/maru-agent/identity.json',
      from: '2026-05-20T00:00:00.000Z',
      to: '2026-06-19T00:00:00.000Z',
      trusted: true,
      trustsController: true,
    },
    {
      what: 'authority',
      path: '/var/lib/maru/ca-1.json',
      from: '2026-01-01T00:00:00.000Z',
      to: '2036-01-01T00:00:00.000Z',
      trusted: true,
      trustsController: null,
    },
  ]),
  controller: known({
    url: 'https://cloud.test:5443',
    hostname: 'cloud.test',
    resolves: true,
    reached: true,
    problem: null,
    ahead: 1,
  }),
  timeSync: known({ synchronized: true, daemon: 'chronyd' }),
  denials: known([]),
  takeover: known(null),
  database: known({
    kind: 'sqlite',
    where: '/var/lib/maru/maru.db',
    problem: null,
    newer: [],
    bytes: 1_000_000,
  }),
};

type LinkFact = Extract<Facts['links'], { known: true }>['value'][number];

/** A device that is up, with what differs from an ordinary card. */
export function link(name: string, more: Partial<LinkFact> = {}): LinkFact {
  return {
    name,
    kind: null,
    mtu: 1500,
    up: true,
    carrier: true,
    mac: '02:00:00:00:00:01',
    master: null,
    bridge: null,
    addresses: [],
    ...more,
  };
}

/** The same facts, where one of them differs. */
export function but<K extends keyof Facts>(
  name: K,
  change: object | readonly unknown[],
  from: Facts = WELL,
): Facts {
  const fact = from[name] as { known?: boolean; value?: unknown };
  const before = fact.known ? fact.value : fact;
  const value = Array.isArray(change) ? change : { ...(before as object), ...change };
  return { ...from, [name]: fact.known ? { known: true, value } : value };
}
