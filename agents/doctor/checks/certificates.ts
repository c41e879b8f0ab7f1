import { type Check, check, quote, warning, wrong } from '../check.js';
import type { CertificateFacts, Settings } from '../facts.js';

const DAY_MS = 24 * 3600 * 1000;

/** What is said of a kind of certificate. */
interface Words {
  readonly whose: string;
  /** It is told of when it lasts no longer than so many days. */
  readonly days: number;
  /** What comes of it when it has ended. */
  readonly ended: string;
  /** What is odd about one that ends soon, where something should have renewed it. */
  readonly late: string;
  readonly mend: (settings: Settings, path: string) => readonly string[];
  /** For one that has not ended yet, where that is something else. */
  readonly mendInTime?: readonly string[];
}

/** Commands that let a host join again. The token is no argument: others could read it in the list of processes. */
export function rejoin({ host, file }: Settings): string[] {
  return [
    `# on the controller: maru host token --name ${host?.name ?? 'HOST'}`,
    `read -rs MARU_JOIN_TOKEN && export MARU_JOIN_TOKEN && maru agent --join-only --config ${quote(file)}`,
    'systemctl restart maru-agent',
  ];
}

const AUTHORITY: Words = {
  whose: 'A certificate authority of this cloud',
  days: 60,
  ended: 'no host believes the controller any more',
  late: 'then no host believes the controller any more',
  mend: () => ['maru ca rotate', 'maru ca show'],
};

const WORDS: Readonly<Record<CertificateFacts['what'], Words>> = {
  agent: {
    whose: 'The certificate of this host’s agent',
    // it lasts 30 days and is renewed after 20
    days: 8,
    ended: 'the controller does not let this host in',
    late: 'it should have been renewed by itself long since: after that day the controller does not let this host in',
    mend: rejoin,
    mendInTime: [
      'journalctl -u maru-agent --no-pager | grep -i certificate | tail',
      'systemctl restart maru-agent',
    ],
  },
  authority: AUTHORITY,
  'api-own': {
    whose: 'The certificate of the public API',
    days: 14,
    ended: 'clients refuse the APIs',
    late: 'the controller should have renewed it long since: after that day clients refuse the APIs',
    mend: () => [
      'journalctl -u maru-controller --no-pager | grep -i certificate | tail',
      'maru install controller',
      'systemctl restart maru-controller',
    ],
  },
  'api-given': {
    whose: 'The certificate of the public API',
    days: 14,
    ended: 'clients refuse the APIs',
    late: 'it was given, so nothing here renews it: after that day clients refuse the APIs',
    mend: (_, path) =>
      path.startsWith('/etc/maru/tls/')
        ? [
            '# renew it where you have it from; these are copies:',
            'maru install controller --tls-cert CERTIFICATE --tls-key KEY',
          ]
        : [
            `# renew it where you have it from, so that ${path} and its key are replaced; then`,
            'systemctl reload maru-controller',
          ],
  },
  'api-authority': {
    whose: 'The certificate authority of the public API',
    days: 60,
    ended: 'clients refuse the APIs',
    late: 'then clients refuse the APIs, whatever certificate it has signed',
    mend: () => [
      '# makes a new one; then give clients the new /etc/maru/tls/ca.pem:',
      'maru install controller --tls own',
      'systemctl restart maru-controller',
    ],
  },
};

/** Whether certificates are good, and for how long. */
export const certificateChecks: readonly Check[] = [
  check({
    id: 'certificates',
    title: 'Certificates are good for a while',
    roles: ['host', 'controller'],
    needs: ['certificates'],
    find: ({ certificates }, { now, settings }) =>
      certificates.flatMap(({ what, from, to, path }) => {
        const { whose, days, ended, late, mend, mendInTime } = WORDS[what];
        const left = Math.floor((Date.parse(to) - Date.parse(now)) / DAY_MS);
        const ago = Math.floor((Date.parse(now) - Date.parse(to)) / DAY_MS);
        if (Date.parse(from) > Date.parse(now)) {
          const why = 'nobody believes it until then; more likely this clock is wrong';
          return [
            wrong(`${whose} (${path}) is valid only from ${from}, and it is ${now} here`, why, 'timedatectl'),
          ];
        }
        const commands = mend(settings, path);
        if (left < 0)
          return [wrong(`${whose} (${path}) expired at ${to}, ${ago} day(s) ago`, ended, ...commands)];
        if (left >= days) return [];
        const found = `${whose} (${path}) expires at ${to}, in ${left} day(s)`;
        return [warning(found, late, ...(mendInTime ?? commands))];
      }),
  }),
];
