import { BAD_CONFIG } from './bad-host.js';
import type { Fault } from './faults.js';
import { UNDERLAY } from './machine.js';

/** What doctor says of the bad host, and what its commands need beside them. In the order in which they are mended. */
export interface BadFinding extends Pick<Fault, 'check' | 'says' | 'mend' | 'help'> {
  /** The commands only show something, or leave it to somebody else: after `help` nothing is run. Why stands beside it. */
  readonly instead?: true;
  /** The commands read a join token. */
  readonly token?: true;
}

/** What an operator changes in the configuration, where doctor names the key. */
const set = (key: string, value: string) => `sed -i 's|^  ${key}:.*|  ${key}: ${value}|' ${BAD_CONFIG}`;

export const BAD_FINDINGS: readonly BadFinding[] = [
  {
    check: 'pending-takeover',
    says: /takeover of eth0 by br-ex, begun at 2026-01-01/,
    mend: /^maru bridge revert$/,
    // there were no changes that it could undo: only the record is left
    help: 'rm -r /var/lib/maru-bridge/pending',
    instead: true,
  },
  {
    check: 'no-time-sync',
    says: /No program keeps this machine’s clock right/,
    mend: /^apt-get install chrony$/,
  },
  {
    check: 'clock-skew',
    says: /clock is 1[12]\d s ahead of the controller’s/,
    mend: /timedatectl set-ntp true|apt-get install chrony/,
    // it is the controller's clock that is wrong, and the one here is the machine's that all tests run on
    help: set('controller', 'https://cloud.test:5443'),
    instead: true,
  },
  {
    check: 'missing-programs',
    says: /Not installed: ipset$/,
    mend: /^apt-get install --no-install-recommends ipset$/,
  },
  {
    check: 'certificates',
    says: /certificate of this host’s agent .* expired at .*, 3 day\(s\) ago/,
    mend: /^read -rs MARU_JOIN_TOKEN .* maru agent --join-only --config \/etc\/maru\/bad\.yaml$/,
    token: true,
  },
  {
    check: 'foreign-authority',
    says: /another authority than those in \/var\/lib\/bad\/identity\.json/,
    mend: /maru host token --name bad/,
    token: true,
  },
  {
    check: 'port-taken',
    says: /TCP port 5999, for the agent \(agent\.listen\), is taken by socat/,
    mend: /^kill \d+$/,
  },
  {
    check: 'kvm-permission',
    says: /\/dev\/kvm has mode 600 and group root/,
    mend: /^chmod 660 \/dev\/kvm$/,
  },
  {
    check: 'kvm-hangs',
    says: /did not run within 3 s, although \/dev\/kvm opens/,
    mend: /virt_type: qemu/,
    help: set('virt_type', 'qemu'),
  },
  {
    check: 'libvirt-down',
    says: /libvirt does not answer: virsh .*no answer within 5 s/,
    mend: /^systemctl restart libvirtd$/,
    // libvirt asks it what it can do: the guest that hangs was planted for the check before
    help: 'rm /usr/local/sbin/qemu-system-x86_64',
  },
  {
    check: 'underlay-address-missing',
    says: /underlay_ip is 203\.0\.113\.77, which no device/,
    mend: /agent\.underlay_ip/,
    help: set('underlay_ip', UNDERLAY),
  },
  {
    check: 'bridge-missing',
    says: /no bridge br-none, which provider network 'extnet' is on/,
    mend: /^maru bridge br-none --uplink/,
    // the other way that it names: the device that it would take is that of the tunnels here
    help: set('physical_networks', '{ extnet: br-ex }'),
    instead: true,
  },
  {
    check: 'qemu-denied',
    says: /DENIED.*\/srv\/x\.qcow2/,
    mend: /^journalctl -k -b/,
    // what the kernel has said is forgotten with the next boot
    help: 'rm /usr/local/bin/journalctl',
    instead: true,
  },
];

/**
 * Packages of the names that doctor has installed, in a repository of the machine's own: apt and dpkg are real, what they install
 * is what was taken away.
 */
export const PACKAGES = `
  mkdir -p /srv/repo/ipset/DEBIAN /srv/repo/ipset/usr/sbin /srv/repo/chrony/DEBIAN
  cp /usr/sbin/ipset.away /srv/repo/ipset/usr/sbin/ipset
  printf '#!/bin/sh\\nsystemctl start time\\n' > /srv/repo/chrony/DEBIAN/postinst
  chmod 755 /srv/repo/chrony/DEBIAN/postinst
  cd /srv/repo
  for name in ipset chrony; do
    printf 'Package: %s\\nVersion: 1:99\\nArchitecture: all\\nMaintainer: nobody <nobody@localhost>\\nDescription: test\\n' $name > $name/DEBIAN/control
    dpkg-deb -b $name $name.deb >/dev/null
    cat $name/DEBIAN/control
    printf 'Filename: ./%s.deb\\nSize: %s\\nSHA256: %s\\n\\n' $name $(stat -c %s $name.deb) $(sha256sum < $name.deb | cut -d' ' -f1)
  done > Packages
  rm -rf /etc/apt/sources.list.d/* && echo 'deb [trusted=yes] file:/srv/repo ./' > /etc/apt/sources.list
  apt-get update -qq -o APT::Sandbox::User=root`;
