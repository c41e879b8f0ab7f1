import { splitAddress } from '../../../src/net/listen-address.js';
import { closedWords, OPENED_BY, UNIT_OF } from '../../../src/protocol/unit-paths.js';
import { type Check, check, some, warning, wrong } from '../check.js';
import type { Facts, SocketFacts } from '../facts.js';

const AHEAD_WARNING = 5;
const AHEAD_WRONG = 30;
const WILDCARD = new Set(['0.0.0.0', '*', '::', '[::]']);

/**
 * Units whose restart may cut off the machine or its guests: those that set up the network, ways in, rules of the firewall (they
 * begin by removing all), guests on boot.
 */
const DELICATE =
  /^(networking|ifup@.*|NetworkManager.*|systemd-networkd.*|netplan.*|dhcpcd.*|wpa_supplicant.*|sshd?(@.*)?|maru-bridge.*|libvirt-guests|nftables|netfilter-persistent|ip6?tables|firewalld|ufw|dbus.*|systemd-logind)\.(service|socket)$/;

function restart(names: readonly string[]): string[] {
  const delicate = names.filter((name) => DELICATE.test(name));
  const others = names.filter((name) => !delicate.includes(name));
  return [
    ...(others.length > 0 ? [`systemctl restart ${others.join(' ')}`] : []),
    ...(delicate.length > 0
      ? [
          `# not restarted blindly, it may cut this machine or its guests off: ${delicate.join(' ')}; read why it failed, and act from the console`,
        ]
      : []),
  ];
}

/** What this machine's own programs listen on, by the configuration. */
function ownPorts({ settings, roles }: Facts): { name: string; key: string; port: number; unit: string }[] {
  const { host, controller } = settings;
  const port = (address: string) => splitAddress(address).port;
  return [
    ...(roles.includes('controller') && controller
      ? [
          {
            name: 'the API',
            key: 'controller.listen',
            port: port(controller.listen),
            unit: 'maru-controller',
          },
          {
            name: 'the listener for agents',
            key: 'controller.agent_listen',
            port: port(controller.agent_listen),
            unit: 'maru-controller',
          },
        ]
      : []),
    ...(roles.includes('host') && host
      ? [{ name: 'the agent', key: 'agent.listen', port: port(host.listen), unit: 'maru-agent' }]
      : []),
  ].filter((one) => one.port > 0);
}

/** Programs and services, ours and others', and what they need of each other. */
export const serviceChecks: readonly Check[] = [
  check({
    id: 'port-taken',
    title: 'The ports of agent and controller are theirs',
    roles: ['host', 'controller'],
    needs: ['sockets', 'processes'],
    find: ({ sockets, processes }, facts) =>
      ownPorts(facts).flatMap(({ name, key, port, unit }) => {
        const taker = sockets.find((one) => one.protocol === 'tcp' && one.port === port && one.pid !== null);
        const command = processes.find(({ pid }) => pid === taker?.pid)?.command ?? '';
        if (!taker || /\bmaru\b|main\.js|agents\/main/.test(command)) return [];
        return [
          wrong(
            `TCP port ${port}, for ${name} (${key}), is taken by ${taker.process} (process ${taker.pid}): ${command.slice(0, 120)}`,
            `${unit} cannot start`,
            `# end it, or give ${name} another port in ${facts.settings.file}`,
            `kill ${taker.pid}`,
          ),
        ];
      }),
  }),
  check({
    id: 'not-listening',
    title: 'Agent and controller listen',
    roles: ['host', 'controller'],
    phase: 'installed',
    needs: ['sockets'],
    find: ({ sockets }, facts) => {
      const silent = ownPorts(facts).filter(
        ({ port }) => !sockets.some((one: SocketFacts) => one.protocol === 'tcp' && one.port === port),
      );
      return [...new Set(silent.map(({ unit }) => unit))].map((unit) => {
        const ports = silent.filter((one) => one.unit === unit);
        const what = ports.map(({ name, port }) => `${name} on port ${port}`).join(' and ');
        const why =
          unit === 'maru-agent'
            ? 'guests run on, but nothing is changed, started or repaired on this host'
            : 'the cloud’s APIs do not answer; guests and networks of the hosts run on';
        return wrong(
          `Nothing listens for ${what}: ${unit} does not run`,
          why,
          `systemctl restart ${unit}`,
          `journalctl -u ${unit} -n 50 --no-pager`,
        );
      });
    },
  }),
  check({
    id: 'unit-paths',
    title: 'Units let agent and controller write where the configuration says',
    roles: ['host', 'controller'],
    phase: 'installed',
    needs: ['closed'],
    find: ({ closed }, { settings }) =>
      closed.map((one) => {
        const { what } = closedWords(one.program, one);
        const choose = `# in ${settings.file}, choose another ${one.program}.${one.key}, such as one in /srv/maru; then`;
        return wrong(
          `${one.program}.${one.key} ${what}`,
          `${UNIT_OF[one.program].replace('.service', '')} does not start, or loses what it has written there; the installation opens what the configuration names`,
          ...(one.because === 'closed' ? [] : [choose]),
          OPENED_BY[one.program],
        );
      }),
  }),
  check({
    id: 'failed-units',
    title: 'No unit of systemd has failed',
    roles: ['host', 'controller'],
    needs: ['units'],
    find: ({ units: { failed } }) => {
      const ours = failed.filter((name) => /^(maru|libvirt|virt)/.test(name));
      const others = failed.filter((name) => !ours.includes(name));
      const mend = (names: readonly string[]) => [
        ...names.slice(0, 3).map((name) => `journalctl -u ${name} -b -n 30 --no-pager`),
        ...restart(names),
        `# or, when it does not matter: systemctl reset-failed ${names.join(' ')}`,
      ];
      return [
        ...(ours.length > 0
          ? [
              wrong(
                `Failed: ${ours.join(', ')}`,
                'guests or the cloud’s own programs depend on it',
                ...mend(ours),
              ),
            ]
          : []),
        ...(others.length > 0
          ? [warning(`Failed: ${some(others)}`, 'something on this machine does not work', ...mend(others))]
          : []),
      ];
    },
  }),
  check({
    id: 'dnsmasq-everywhere',
    title: 'No other dnsmasq serves every network',
    roles: ['host'],
    needs: ['sockets'],
    find: ({ sockets }) => {
      // with a device (0.0.0.0%virbr0) it is for that one alone
      const found = sockets.filter(
        ({ process, address, port }) =>
          process === 'dnsmasq' && WILDCARD.has(address) && (port === 53 || port === 67),
      );
      if (found.length === 0) return [];
      const ports = [...new Set(found.map(({ port, address }) => `${address}:${port}`))];
      const dhcp = found.some(({ port }) => port === 67);
      const say = dhcp ? wrong : warning;
      return [
        say(
          `dnsmasq (process ${found[0]!.pid}) listens on ${ports.join(' and ')}`,
          dhcp
            ? 'it answers DHCP on provider bridges too: guests and machines of that network get addresses of it'
            : 'it answers DNS on every network of this host, also to the outside',
          'systemctl disable --now dnsmasq',
          `# or, when it is not a service: kill ${found[0]!.pid}`,
        ),
      ];
    },
  }),
  check({
    id: 'controller-unknown-name',
    title: 'The controller’s name is known here',
    roles: ['host'],
    needs: ['controller'],
    find: ({ controller: { resolves, hostname, url } }) =>
      resolves
        ? []
        : [
            wrong(
              `The name ${hostname} (of ${url}) is not known on this host`,
              'the agent does not find its controller: guests run on, but nothing is changed',
              `getent ahosts ${hostname}`,
              `echo 'ADDRESS ${hostname}' >> /etc/hosts`,
            ),
          ],
  }),
  check({
    id: 'controller-unreachable',
    title: 'The controller answers',
    roles: ['host'],
    needs: ['controller'],
    find: ({ controller: { resolves, reached, hostname, url, problem } }) => {
      if (!resolves || reached) return [];
      const { port, protocol } = new URL(url);
      return [
        wrong(
          `The controller at ${url} does not answer: ${problem}`,
          'guests run on, but nothing is changed, and after a boot of this host only guests on local disks start',
          '# on the controller’s machine: is it running, and is its port open?',
          'systemctl status maru-controller',
          `ss -ltn 'sport = :${port || (protocol === 'https:' ? 443 : 80)}'`,
          `# and from here: nc -vz ${hostname} ${port || 443}`,
        ),
      ];
    },
  }),
  check({
    id: 'clock-skew',
    title: 'The clock agrees with the controller’s',
    roles: ['host'],
    needs: ['controller'],
    find: ({ controller: { ahead, url } }) => {
      if (ahead === null || Math.abs(ahead) < AHEAD_WARNING) return [];
      const say = Math.abs(ahead) >= AHEAD_WRONG ? wrong : warning;
      const words = ahead > 0 ? `${ahead} s ahead of` : `${-ahead} s behind`;
      return [
        say(
          `This machine’s clock is ${words} the controller’s (${url})`,
          'certificates seem not yet or no longer valid, and times in logs and trails of two hosts do not match',
          'timedatectl set-ntp true || apt-get install chrony',
          '# at once: chronyc makestep; and look at the controller’s clock too: date -u',
        ),
      ];
    },
  }),
  check({
    id: 'no-time-sync',
    title: 'The clock is kept right',
    roles: ['host', 'controller'],
    needs: ['timeSync'],
    find: ({ timeSync: { synchronized, daemon } }) => {
      if (synchronized === true || (synchronized === null && daemon !== null)) return [];
      const what =
        daemon === null
          ? 'No program keeps this machine’s clock right'
          : `${daemon} runs, but the clock is not synchronised`;
      return [
        warning(
          what,
          'it drifts by seconds a day, until certificates and logs do not match those of other machines',
          daemon === null ? 'apt-get install chrony' : 'chronyc sources || timedatectl timesync-status',
        ),
      ];
    },
  }),
];
