import { type Check, check, warning, wrong } from '../check.js';
import type { FirewallFacts, IptablesFacts } from '../facts.js';

/** The tables that the agent's rules are in. */
function isOurs({ backend }: FirewallFacts, { command }: IptablesFacts): boolean {
  return command.endsWith(backend === 'legacy' ? '-legacy' : '-nft');
}

/** A rule that rewrites the sender of whatever leaves, whoever sent it. */
function catchesAll(rule: string): boolean {
  if (!/ -j (MASQUERADE|SNAT)/.test(rule)) return false;
  return !/ (-s|--source|-i|--mark|--physdev-in|--ctstate|--set-mark|--match-set) /.test(rule);
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
            `${command} -P FORWARD ACCEPT`,
            ...(docker ? [`# and for good, in /etc/docker/daemon.json: {"ip-forward-no-drop": true}`] : []),
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
            `nft chain ${family} ${table} ${name} '{ policy accept ; }'`,
            '# and at boot: grep -n forward /etc/nftables.conf',
          ),
        ),
  }),
  check({
    id: 'foreign-nat',
    title: 'Nobody else rewrites what guests send',
    roles: ['host'],
    needs: ['firewall'],
    find: ({ firewall }) => [
      ...firewall.tables.flatMap((table) => {
        const { command, postrouting } = table;
        const guard = postrouting.findIndex((rule) => rule.endsWith(' -j maru-POSTROUTING'));
        return postrouting.flatMap((rule, i) => {
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
      ...firewall.chains
        .filter(({ masqueradesAll }) => masqueradesAll)
        .map(({ family, table, name }) =>
          wrong(
            `The nft chain ${family} ${table} ${name} masquerades whatever leaves`,
            'it rewrites the addresses of bridged packets of guests: floating IPs and tunnels between guests break',
            `nft flush chain ${family} ${table} ${name}`,
            '# and say which senders it is for: ip saddr SUBNET masquerade',
          ),
        ),
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
