import { EXTERNAL, UNDERLAY } from './machine.js';

/** A fault, how it is made, what doctor has to say of it, and what ends it. */
export interface Fault {
  /** Id of the check that finds it. */
  readonly check: string;
  /** Script in the machine that makes it. */
  readonly plant: string;
  /** Arguments of `ip` in the namespace outside. */
  readonly outside?: readonly (readonly string[])[];
  /** What is found, in its words. */
  readonly says: RegExp;
  /** One of the commands that mend it. */
  readonly mend: RegExp;
  /** Run before the commands that doctor names; `instead`: they cannot do it here (a package to install, another machine to change). */
  readonly help?: string;
  readonly instead?: true;
  /** Run when everything is mended. */
  readonly after?: string;
  readonly outsideInstead?: readonly (readonly string[])[];
}

const ROUTER = 'qrouter-11111111-2222-4333-8444-555555555555';

/** Faults of a machine on which everything runs. */
export const RUNNING: readonly Fault[] = [
  {
    check: 'bridge-stp',
    plant: 'ip link set br-ex type bridge forward_delay 1500 stp_state 1',
    says: /br-ex has STP on, with a forward delay of 15 s/,
    mend: /^ip link set br-ex type bridge stp_state 0$/,
  },
  {
    check: 'address-on-uplink',
    plant: 'ip addr add 192.0.2.77/24 dev eth0 noprefixroute',
    says: /eth0 is a port of br-ex and has 192\.0\.2\.77\/24/,
    mend: /^ip addr del 192\.0\.2\.77\/24 dev eth0$/,
  },
  {
    check: 'default-route-on-uplink',
    plant: 'ip route add default via 192.0.2.254 dev eth0 metric 50 onlink',
    says: /IPv4 default route leaves by eth0, which is a port of br-ex/,
    mend: /^ip -4 route replace default via 192\.0\.2\.254 dev br-ex metric 50 && ip -4 route del /,
  },
  {
    check: 'two-default-routes',
    plant: 'ip route add default via 198.51.100.254 dev underlay metric 100',
    says: /2 IPv4 default routes: .*198\.51\.100\.254 by underlay \(metric 100\)/,
    mend: /^ip -4 route del default via 198\.51\.100\.254 dev underlay metric 100$/,
  },
  {
    check: 'duplicate-address',
    plant: 'true',
    outside: [['addr', 'add', `${EXTERNAL}/24`, 'dev', 'out-eth0']],
    says: /has 192\.0\.2\.5 as well: ([0-9a-f]{2}:){5}[0-9a-f]{2} answers for it/,
    mend: /switch/,
    instead: true,
    outsideInstead: [['addr', 'del', `${EXTERNAL}/24`, 'dev', 'out-eth0']],
  },
  {
    check: 'duplicate-address',
    outside: [['addr', 'add', '2001:db8::5/64', 'dev', 'out-eth0', 'nodad']],
    plant: `ip -6 addr add 2001:db8::5/64 dev br-ex
      for i in $(seq 1000); do ip -6 addr show dev br-ex | grep -q dadfailed && break; sleep 0.05; done
      ip -6 addr show dev br-ex | grep -q dadfailed`,
    says: /has 2001:db8::5 as well: it had it first \(dadfailed\)/,
    mend: /ip addr del 2001:db8::5 dev br-ex/,
    help: 'ip -6 addr del 2001:db8::5/64 dev br-ex',
    instead: true,
  },
  {
    check: 'forward-drop',
    plant: 'iptables-legacy -P FORWARD DROP',
    says: /policy of FORWARD is DROP in iptables-legacy/,
    mend: /^iptables-legacy -P FORWARD ACCEPT$/,
  },
  {
    check: 'foreign-nat',
    plant: 'iptables-legacy -t nat -A POSTROUTING -o br-ex -j MASQUERADE',
    says: /iptables-legacy has, in table nat: -A POSTROUTING -o br-ex -j MASQUERADE/,
    mend: /^iptables-legacy -t nat -D POSTROUTING -o br-ex -j MASQUERADE$/,
  },
  {
    check: 'mixed-iptables',
    plant: 'iptables-legacy -A FORWARD -s 203.0.113.0/24 -j DROP',
    says: /iptables-legacy has \d rule\(s\) .* iptables here is nft/,
    mend: /^iptables-legacy-save$/,
    help: 'iptables-legacy -F FORWARD',
    instead: true,
  },
  {
    check: 'nft-forward-drop',
    plant: `nft add table inet site
      nft add chain inet site pass '{ type filter hook forward priority 0 ; policy drop ; }'`,
    says: /nft chain inet site pass drops/,
    mend: /^nft chain inet site pass '\{ policy accept ; \}'$/,
  },
  {
    check: 'foreign-nat',
    plant: `nft add table ip way
      nft add chain ip way out '{ type nat hook postrouting priority 100 ; }'
      nft add rule ip way out oifname "br-ex" masquerade`,
    says: /nft chain ip way out masquerades/,
    mend: /^nft delete rule ip way out handle \d+$/,
  },
  {
    check: 'firewall-manager',
    plant: 'systemctl start firewalld',
    says: /firewalld is active/,
    mend: /^systemctl disable --now firewalld$/,
  },
  {
    check: 'dnsmasq-everywhere',
    plant: `systemctl start dnsmasq
      for i in $(seq 1000); do ss -Hlnu | grep -q ':67 ' && break; sleep 0.05; done`,
    says: /dnsmasq \(process \d+\) listens on .*0\.0\.0\.0:67/,
    mend: /^systemctl disable --now dnsmasq$/,
  },
  {
    check: 'libvirt-guests-starts',
    plant: `mkdir -p /etc/systemd/system/multi-user.target.wants
      ln -sf /lib/systemd/system/libvirt-guests.service /etc/systemd/system/multi-user.target.wants/
      echo '#ON_BOOT=start' > /etc/default/libvirt-guests`,
    says: /ON_BOOT is start/,
    mend: /^echo 'ON_BOOT=ignore' >> \/etc\/default\/libvirt-guests$/,
  },
  {
    check: 'libvirt-default-network',
    plant: `mkdir -p /etc/libvirt/qemu/networks/autostart
      echo "<network><name>default</name><ip address='192.0.2.1' netmask='255.255.255.0'/></network>" > /etc/libvirt/qemu/networks/default.xml
      ln -sf /etc/libvirt/qemu/networks/default.xml /etc/libvirt/qemu/networks/autostart/default.xml`,
    says: /starts with libvirt with 192\.0\.2\.1\/24, which overlaps with .*br-ex \(192\.0\.2\.5\/24\)/,
    mend: /rm -f \/etc\/libvirt\/qemu\/networks\/autostart\/default\.xml/,
  },
  {
    check: 'file-permissions',
    plant: 'chmod 644 /var/lib/maru-agent/identity.json',
    says: /identity\.json has mode 644: it holds secrets/,
    mend: /^chmod o-rwx \/var\/lib\/maru-agent\/identity\.json$/,
  },
  {
    check: 'file-permissions',
    plant: 'chmod 660 /etc/maru/maru.yaml',
    says: /maru\.yaml has mode 660: others can write/,
    mend: /^chmod go-w \/etc\/maru\/maru\.yaml$/,
  },
  {
    check: 'file-permissions',
    plant: 'chown nobody /var/lib/maru/admin-password',
    says: /admin-password belongs to nobody, not to root/,
    mend: /^chown root \/var\/lib\/maru\/admin-password$/,
  },
  {
    check: 'disk-full',
    plant: `mount -t tmpfs -o size=16m,mode=755 images /var/lib/maru/images
      head -c 20000000 /dev/zero > /var/lib/maru/images/large 2>/dev/null || true`,
    says: /\/var\/lib\/maru\/images .* is 100 % full: 0 MiB of 16 MiB are free/,
    mend: /^du -xh -d 2 \/var\/lib\/maru\/images/,
    help: 'umount /var/lib/maru/images',
    instead: true,
  },
  {
    check: 'inodes-full',
    plant: `mount -t tmpfs -o nr_inodes=40,size=64m log /var/log
      for i in $(seq 50); do touch /var/log/$i 2>/dev/null || true; done`,
    says: /\/var\/log .* has used 100 % of its inodes/,
    mend: /^du -x --inodes/,
    help: 'umount /var/log',
    instead: true,
  },
  {
    check: 'read-only-file-system',
    plant: 'mount -t tmpfs -o ro,size=64m libvirt /var/lib/libvirt',
    says: /\/var\/lib\/libvirt .* is mounted read-only/,
    mend: /^mount -o remount,rw \/var\/lib\/libvirt$/,
    after: 'umount /var/lib/libvirt',
  },
  {
    check: 'reverse-path-filter',
    plant: 'sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.br-ex.rp_filter=1',
    says: /reverse path filter of br-ex is strict/,
    mend: /^sysctl -w net\.ipv4\.conf\.br-ex\.rp_filter=2$/,
  },
  {
    check: 'underlay-mtu',
    plant: 'ip link set underlay mtu 1400',
    says: /underlay \(198\.51\.100\.1\) has an MTU of 1400; tunnels need 1500/,
    mend: /^ip link set underlay mtu 1500$/,
  },
  {
    check: 'failed-units',
    plant: 'systemctl start backup || true',
    says: /Failed: backup\.service/,
    mend: /^systemctl restart backup\.service$/,
    help: 'touch /run/backup-fine',
  },
  {
    check: 'vxlan-port-taken',
    plant: `setsid socat -u UDP-RECV:4789 STDOUT </dev/null >/dev/null 2>&1 &
      for i in $(seq 1000); do ss -Hlnu | grep -q ':4789 ' && break; sleep 0.05; done`,
    says: /UDP port 4789 is taken by socat/,
    mend: /^kill \d+$/,
  },
  {
    check: 'database',
    plant: `python3 -c "import sqlite3; db = sqlite3.connect('/var/lib/maru/maru.db'); db.execute(\\"insert into kysely_migration values ('999-later', '2030')\\"); db.commit()"`,
    says: /used by a newer release: this one does not know 999-later/,
    mend: /newer release/,
    help: `python3 -c "import sqlite3; db = sqlite3.connect('/var/lib/maru/maru.db'); db.execute(\\"delete from kysely_migration where name = '999-later'\\"); db.commit()"`,
    instead: true,
  },
];

/** Faults of a machine whose agent and libvirt are off. Mended in this order. */
export const STOPPED: readonly Fault[] = [
  {
    check: 'controller-unknown-name',
    plant: `grep -v cloud.test /etc/hosts > /run/hosts && cat /run/hosts > /etc/hosts`,
    says: /The name cloud\.test .* is not known/,
    mend: /^echo 'ADDRESS cloud\.test' >> \/etc\/hosts$/,
    help: `echo '${UNDERLAY} cloud.test' >> /etc/hosts`,
    instead: true,
  },
  {
    check: 'libvirt-down',
    plant: 'systemctl stop libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket libvirtd',
    says: /libvirt does not run/,
    mend: /^systemctl enable --now libvirtd\.socket libvirtd$/,
  },
  {
    check: 'bridge-settings',
    plant: 'sysctl -qw net.bridge.bridge-nf-call-iptables=0',
    says: /bridge-nf-call-iptables is 0, not 1/,
    mend: /^sysctl -w net\.bridge\.bridge-nf-call-iptables=1$/,
  },
  {
    check: 'bridge-without-port',
    plant: 'ip link set eth0 down nomaster && ip link set eth0 name enp9s0',
    says: /br-ex has no port that leads out; enp9s0 could be it/,
    mend: /^ip link set enp9s0 master br-ex && ip link set enp9s0 up$/,
  },
  {
    check: 'router-not-forwarding',
    plant: `ip netns add ${ROUTER} && ip netns exec ${ROUTER} sysctl -qw net.ipv4.ip_forward=0`,
    says: new RegExp(`ip_forward is 0 in ${ROUTER}`),
    mend: new RegExp(`^ip netns exec ${ROUTER} sysctl -w net.ipv4.ip_forward=1$`),
  },
  {
    check: 'not-listening',
    plant: 'true',
    says: /Nothing listens for the agent on port 5444/,
    mend: /^systemctl restart maru-agent$/,
  },
];
