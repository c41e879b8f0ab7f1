import { cidrsOverlap } from '../../../src/net/cidr.js';
import { type Check, check, some, warning, wrong } from '../check.js';
import { HOST_PROGRAMS } from '../facts/services.js';

/** Ubuntu 22.04's. */
const OLDEST_LIBVIRT = 8;
const OLDEST_QEMU = 6;

/** libvirt, QEMU and the programs that the agent runs. */
export const libvirtChecks: readonly Check[] = [
  check({
    id: 'missing-programs',
    title: 'The programs that the agent runs are installed',
    roles: ['host'],
    needs: ['programs'],
    find: ({ programs }) => {
      const missing = Object.keys(programs).filter((name) => !programs[name]);
      if (missing.length === 0) return [];
      const packages = [...new Set(missing.map((name) => HOST_PROGRAMS[name]!))];
      const why = missing.some((name) => name.startsWith('qemu'))
        ? 'guests cannot be run without QEMU'
        : 'the agent cannot make networks or guests without them';
      return [
        wrong(
          `Not installed: ${some(missing, 20)}`,
          why,
          `apt-get install --no-install-recommends ${packages.join(' ')}`,
        ),
      ];
    },
  }),
  check({
    id: 'libvirt-down',
    title: 'libvirt answers',
    roles: ['host'],
    needs: ['libvirt', 'programs'],
    find: ({ libvirt, programs }, { settings, units, phase }) => {
      // the check above has said it
      if (libvirt.answers === 'yes' || !programs.virsh) return [];
      const uri = settings.host?.libvirt_uri ?? 'qemu:///system';
      const unit = units.known && 'virtqemud.service' in units.value.states ? 'virtqemud' : 'libvirtd';
      if (libvirt.answers === 'hangs') {
        return [
          wrong(
            `libvirt does not answer: ${libvirt.problem}`,
            'guests go on, but none can be started, stopped or seen; often a guest’s storage hangs',
            `ps -o pid,stat,wchan,args -C libvirtd,virtqemud,qemu-system-x86_64`,
            '# guests survive this:',
            `systemctl restart ${unit}`,
          ),
        ];
      }
      const why = 'guests go on, but none can be started, stopped or seen';
      const problem = libvirt.problem ? `: ${libvirt.problem.split('\n')[0]}` : '';
      if (!libvirt.socket) {
        const say = phase === 'before' ? warning : wrong;
        const what = `libvirt does not run: it has no socket below /run/libvirt${problem}`;
        return [say(what, why, `systemctl enable --now ${unit}.socket ${unit}`)];
      }
      const mend = [
        `systemctl restart ${unit}`,
        `journalctl -u ${unit} -n 50 --no-pager`,
        `virsh -c ${uri} version`,
      ];
      return [wrong(`libvirt refuses${problem}`, why, ...mend)];
    },
  }),
  check({
    id: 'libvirt-version',
    title: 'libvirt and QEMU are new enough',
    roles: ['host'],
    needs: ['libvirt'],
    find: ({ libvirt: { version, qemu } }) => {
      const found = [
        { name: 'libvirt', version, oldest: OLDEST_LIBVIRT },
        { name: 'QEMU', version: qemu, oldest: OLDEST_QEMU },
      ].filter((one) => one.version !== null && Number.parseInt(one.version, 10) < one.oldest);
      return found.map(({ name, version: have, oldest }) =>
        wrong(
          `${name} is ${have}; ${oldest}.0 is the oldest that does`,
          'guests’ definitions are refused, or lack what live migration and backups need',
          'apt-get update && apt-get install libvirt-daemon-system qemu-system-x86',
        ),
      );
    },
  }),
  check({
    id: 'libvirt-guests-starts',
    title: 'libvirt-guests starts no guests at boot',
    roles: ['host'],
    needs: ['libvirtGuests'],
    find: ({ libvirtGuests: { enabled, onBoot } }, { phase }) => {
      if (!enabled || onBoot === 'ignore') return [];
      const say = phase === 'before' ? warning : wrong;
      return [
        say(
          `libvirt-guests is enabled and ON_BOOT is ${onBoot}`,
          'after a boot it starts guests before their networks stand, and guests that run on another host by now: two of them write one disk',
          `echo 'ON_BOOT=ignore' >> /etc/default/libvirt-guests`,
        ),
      ];
    },
  }),
  check({
    id: 'libvirt-default-network',
    title: 'libvirt’s own network is in nobody’s way',
    roles: ['host'],
    needs: ['defaultNetwork', 'links'],
    find: ({ defaultNetwork: { active, autostart, subnet }, links }) => {
      if ((!active && !autostart) || subnet === null) return [];
      const others = links
        .filter(({ name }) => name !== 'virbr0')
        .flatMap(({ name, addresses }) =>
          addresses
            .filter(
              ({ address, prefix }) => address.includes('.') && cidrsOverlap(`${address}/${prefix}`, subnet),
            )
            .map(({ address, prefix }) => `${name} (${address}/${prefix})`),
        );
      if (others.length === 0) return [];
      const state = active ? 'is active' : 'starts with libvirt';
      return [
        wrong(
          `libvirt’s network 'default' ${state} with ${subnet}, which overlaps with ${some(others)}`,
          'packets for that network go to virbr0, where nobody is: this host loses its network when libvirt starts',
          ...(active ? ['virsh net-destroy default'] : []),
          'virsh net-autostart default --disable',
          'rm -f /etc/libvirt/qemu/networks/autostart/default.xml',
        ),
      ];
    },
  }),
  check({
    id: 'qemu-denied',
    title: 'AppArmor and SELinux let guests be',
    roles: ['host'],
    needs: ['denials'],
    find: ({ denials }) =>
      denials.length === 0
        ? []
        : [
            warning(
              `The kernel has refused guests something ${denials.length} time(s) since boot; last: ${denials.at(-1)}`,
              'guests do not start, or find no disk, when their files are where AppArmor does not expect them',
              `journalctl -k -b | grep -E 'apparmor="DENIED"|avc:.*denied' | tail`,
              '# allow it in /etc/apparmor.d/local/abstractions/libvirt-qemu, then: systemctl reload apparmor',
            ),
          ],
  }),
];
