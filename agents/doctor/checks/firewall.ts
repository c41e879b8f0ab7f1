import { type Check, check, warning, wrong } from '../check.js';
import type { Facts, FirewallFacts, IptablesFacts, Link } from '../facts.js';
import { providers, uplinksOf } from './bridges.js';

/** The tables that the agent's rules are in. */
function isOurs({ backend }: FirewallFacts, { command }: IptablesFacts): boolean {
  return command.endsWith(backend === 'legacy' ? '-legacy' : '-nft');
}

/** A rule that rewrites the sender of whatever leaves, whoever sent it: not only this machine's own packets, or bridged ones not. */
function catchesAll(rule: string): boolean {
  if (!/ -j (MASQUERADE|SNAT)/.test(rule)) return false;
  if (/(?<! !) --(src-type LOCAL|[ug]id-owner)\b| ! --physdev-is-bridged\b/.test(rule)) return false;
  return !/ (-s|--source|-i|--mark|--physdev-in|--ctstate|--set-mark|--match-set) /.test(rule);
}

/** Says of a device's name (`eth+`, `eth*`: a beginning) whether guests' packets leave by it. */
function waysOut(links: readonly Link[], facts: Facts): (device: string) => boolean {
  const tenants = links.filter(({ name }) => /^br[qv]/.test(name)).map(({ name }) => name);
  const bridges = providers(facts).map(({ bridge }) => bridge);
  const uplinks = bridges.flatMap((bridge) => uplinksOf(links, bridge).map(({ name }) => name));
  const names = [...tenants, ...bridges, ...uplinks];
  return (device) =>
    /[+*]$/.test(device)
      ? names.some((name) => name.startsWith(device.slice(0, -1)))
      : names.includes(device);
}

/** The only device that a rule of iptables is for. */
function outDevice(rule: string): string | null {
  return /(?<! !) (?:-o|--out-interface) (\S+)/.exec(rule)?.[1] ?? null;
}

const OPENS =
  '# this opens forwarding for everything that no rule drops, also what Docker or ufw keeps closed by it: see what has to stay closed first';

/** Where our chain is in the same table, that it comes first is enough: the policy can stay. */
function forwardMend(
  firewall: FirewallFacts,
  table: IptablesFacts,
  phase: Facts['phase'],
  docker: boolean,
): string[] {
  if (isOurs(firewall, table)) {
    return phase === 'before'
      ? ['# nothing has to be done for guests: the agent puts its chain first and leaves the policy as it is']
      : ['systemctl restart maru-agent'];
  }
  return [
    OPENS,
    `${table.command} -P FORWARD ACCEPT`,
    ...(docker ? [`# and for good, in /etc/docker/daemon.json: {"ip-forward-no-drop": true}`] : []),
  ];
}

/** Rules of other programs that guests' packets meet. */
export const firewallChecks: readonly Check[] = [
  check({
    id: 'firewall-manager',
    title: 'No other program manages the firewall',
    roles: ['host'],
    needs: ['firewall'],
    find: ({ firewall }) => [
      ...(firewall.firewalld
        ? [
            wrong(
              'firewalld is active',
              'its forward chain drops what guests send, and nothing that the agent accepts overrides it',
              'systemctl disable --now firewalld',
              '# if it has to stay: firewall-cmd --permanent --set-target=ACCEPT for the zone of the bridges',
            ),
          ]
        : []),
      ...(firewall.ufw
        ? [
            warning(
              'ufw is active',
              'it drops forwarded packets by default and puts its chains into FORWARD and INPUT: allow what agent and controller listen on, and forwarding',
              'ufw allow 5443/tcp && ufw allow 5444/tcp && ufw allow 4789/udp',
              'ufw default allow routed',
              '# or do without: ufw disable',
            ),
          ]
        : []),
    ],
  }),
  check({
    id: 'forward-drop',
    title: 'Nobody else drops forwarded packets',
    roles: ['host'],
    needs: ['firewall'],
    find: ({ firewall }, { phase }) =>
      firewall.tables.flatMap((table) => {
        if (table.forwardPolicy !== 'DROP') return [];
        const { command, forward } = table;
        const jump = forward.findIndex((rule) => rule.endsWith(' -j maru-FORWARD'));
        // ours comes first: what it accepts is accepted
        if (isOurs(firewall, table) && jump === 0) return [];
        const docker = forward.some((rule) => /-j DOCKER/.test(rule)) ? ' (Docker sets this)' : '';
        const say = isOurs(firewall, table) && phase === 'before' ? warning : wrong;
        const at = jump > 0 ? `, and the agent’s chain is only its rule ${jump + 1}` : '';
        return [
          say(
            `The policy of FORWARD is DROP in ${command}${docker}${at}`,
            isOurs(firewall, table)
              ? 'packets that are bridged outside of guests’ networks are dropped: the agent puts its chain first when it runs'
              : 'these are other tables than the agent’s, and both are asked: what guests send is dropped there, whatever the agent accepts',
            ...forwardMend(firewall, table, phase, docker !== ''),
          ),
        ];
      }),
  }),
  check({
    id: 'nft-forward-drop',
    title: 'No other nft table drops forwarded packets',
    roles: ['host'],
    needs: ['firewall'],
    find: ({ firewall }) =>
      firewall.chains
        .filter(({ hook, policy, table }) => hook === 'forward' && policy === 'drop' && table !== 'firewalld')
        .map(({ family, table, name }) =>
          wrong(
            `The nft chain ${family} ${table} ${name} drops what it does not know when packets are forwarded`,
            'every table is asked: an accept of the agent does not override it, and guests are cut off',
            OPENS,
            `nft chain ${family} ${table} ${name} '{ policy accept ; }'`,
            '# and at boot: grep -n forward /etc/nftables.conf',
          ),
        ),
  }),
  check({
    id: 'foreign-nat',
    title: 'Nobody else rewrites what guests send',
    roles: ['host'],
    needs: ['firewall', 'links'],
    find: ({ firewall, links }, facts) => [
      ...firewall.tables.flatMap((table) => {
        const { command, postrouting } = table;
        const guard = postrouting.findIndex((rule) => rule.endsWith(' -j maru-POSTROUTING'));
        return postrouting.flatMap((rule, i) => {
          const device = outDevice(rule);
          if (device !== null && !waysOut(links, facts)(device)) return [];
          if (!catchesAll(rule) || (isOurs(firewall, table) && guard >= 0 && guard < i)) return [];
          return [
            wrong(
              `${command} has, in table nat: ${rule}`,
              'it rewrites the addresses of bridged packets of guests: floating IPs and tunnels between guests break',
              `${command} -t nat ${rule.replace('-A ', '-D ')}`,
              '# say which senders it is for instead: -s SUBNET',
            ),
          ];
        });
      }),
      ...firewall.chains.flatMap(({ family, table, name, masquerades }) => {
        const found = masquerades.filter(
          ({ devices }) => devices === null || devices.some(waysOut(links, facts)),
        );
        if (found.length === 0) return [];
        return [
          wrong(
            `The nft chain ${family} ${table} ${name} masquerades whatever leaves`,
            'it rewrites the addresses of bridged packets of guests: floating IPs and tunnels between guests break',
            `nft -a list chain ${family} ${table} ${name}`,
            ...found.map(({ handle }) => `nft delete rule ${family} ${table} ${name} handle ${handle}`),
            '# and say which senders it is for: ip saddr SUBNET masquerade',
          ),
        ];
      }),
    ],
  }),
  check({
    id: 'mixed-iptables',
    title: 'iptables-legacy is not in use beside iptables-nft',
    roles: ['host'],
    needs: ['firewall'],
    find: ({ firewall }) => {
      const other = firewall.tables.filter(
        (table) => !isOurs(firewall, table) && table.forward.length + table.postrouting.length > 0,
      );
      return other.map(({ command, forward, postrouting }) =>
        warning(
          `${command} has ${forward.length + postrouting.length} rule(s) in FORWARD and POSTROUTING, and iptables here is ${firewall.backend}`,
          'both are asked for each packet, and each shows only its own: rules seem to be missing or not to work',
          `${command}-save`,
          `# when nobody needs them: ${command} -F FORWARD; ${command} -t nat -F POSTROUTING`,
        ),
      );
    },
  }),
];
