import { type Check, check, quote, warning, wrong } from '../check.js';
import { certificateChecks, rejoin } from './certificates.js';

/** Who may read what, and who is believed. */
export const trustChecks: readonly Check[] = [
  check({
    id: 'not-root',
    title: 'doctor may look at everything',
    roles: ['host', 'controller'],
    needs: ['uid'],
    find: ({ uid }) =>
      uid === 0
        ? []
        : [
            warning(
              `This runs as user ${uid}, not as root`,
              'firewalls, sockets and keys cannot be seen',
              'sudo maru doctor',
            ),
          ],
  }),
  check({
    id: 'configuration',
    title: 'The configuration can be used',
    roles: ['host', 'controller'],
    needs: [],
    find: (_, { settings }) =>
      settings.problem === null
        ? []
        : [
            wrong(
              settings.problem,
              'agent and controller do not start with it; what follows goes by defaults',
              `maru config check ${quote(settings.file)}`,
            ),
          ],
  }),
  check({
    id: 'file-permissions',
    title: 'Keys, passwords and state belong to whom they should',
    roles: ['host', 'controller'],
    needs: ['files'],
    find: ({ files }) =>
      files.flatMap(({ path, mode, secret, wanted, owner, directory }) => {
        const found: ReturnType<typeof wrong>[] = [];
        const octal = mode.toString(8);
        if (secret && (mode & 0o007) !== 0) {
          const why = 'every user of this machine can read it: whoever has it can speak as this machine';
          found.push(wrong(`${path} has mode ${octal}: it holds secrets`, why, `chmod o-rwx ${quote(path)}`));
        } else if ((mode & 0o022) !== 0 && !(secret && (mode & 0o002) === 0)) {
          const why = 'others than its owner can put something else there';
          found.push(
            wrong(`${path} has mode ${octal}: others can write to it`, why, `chmod go-w ${quote(path)}`),
          );
        }
        if (wanted !== null && owner !== wanted) {
          const why = `its owner can change it, and ${wanted}, whom it is for, perhaps not`;
          const what = `${directory ? 'The directory' : 'The file'} ${path} belongs to ${owner}, not to ${wanted}`;
          found.push(wrong(what, why, `chown ${wanted} ${quote(path)}`));
        }
        return found;
      }),
  }),
  ...certificateChecks,
  check({
    id: 'foreign-authority',
    title: 'Host and controller have a common authority',
    roles: ['host'],
    needs: ['certificates'],
    find: ({ certificates }, { settings }) =>
      certificates
        .filter(({ what }) => what === 'agent')
        .flatMap(({ path, trusted, trustsController }) => {
          if (!trusted) {
            const what = `The certificate in ${path} is not from an authority that is beside it`;
            return [
              wrong(what, 'the file was put together by hand, or restored in part', ...rejoin(settings)),
            ];
          }
          if (trustsController !== false) return [];
          return [
            wrong(
              `The controller shows a certificate of another authority than those in ${path}`,
              'it was installed anew, or this host belongs to another cloud: neither believes the other',
              ...rejoin(settings),
            ),
          ];
        }),
  }),
  check({
    id: 'pending-takeover',
    title: 'No takeover of an uplink is pending',
    roles: ['host'],
    needs: ['takeover'],
    find: ({ takeover }) =>
      takeover === null
        ? []
        : [
            warning(
              `The ${takeover.kind} of ${takeover.uplink} by ${takeover.bridge}${takeover.since ? `, begun at ${takeover.since},` : ''} is neither confirmed nor reverted`,
              'it is undone at its deadline, and at the next boot',
              'maru bridge status',
              '# then one of these:',
              'maru bridge confirm',
              'maru bridge revert',
            ),
          ],
  }),
  check({
    id: 'database',
    title: 'The database can be used',
    roles: ['controller'],
    needs: ['database'],
    find: ({ database: { where, problem, newer } }) => [
      ...(problem === null
        ? []
        : [
            wrong(
              `The database (${where}) cannot be used: ${problem}`,
              'the controller does not start, or answers 503; guests and networks of the hosts run on',
              'journalctl -u maru-controller -n 50 --no-pager',
            ),
          ]),
      ...(newer.length === 0
        ? []
        : [
            wrong(
              `The database (${where}) was used by a newer release: this one does not know ${newer.join(', ')}`,
              'this release refuses to start on it',
              '# install the newer release again, or restore the backup from before the upgrade',
              'maru --version',
            ),
          ]),
    ],
  }),
];
