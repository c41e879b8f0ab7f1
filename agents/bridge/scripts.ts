import { words } from './lines.js';
import { confirmedDirectory, LAST, PENDING, STATE_DIRECTORY, STEP } from './paths.js';
import {
  closing,
  commandLine,
  NO_LONGER_PENDING,
  NOT_APPLIED,
  opening,
  PATH_LINE,
  quote,
  restoreFile,
  revertBegan,
  runMarker,
  type ScriptedChange,
  stopTimer,
  syncLine,
} from './script-parts.js';

/**
 * `step.sh ID SECONDS COMMAND…`: runs one command of the change while no revert is at work, and not at all (exit code 97)
 * when one has begun: else a change that goes on beside its revert would leave a mixture.
 */
export function renderStep(change: ScriptedChange): string {
  return [
    ...opening(change, 'Runs one command of a change of the uplink.', NO_LONGER_PENDING),
    `if ${revertBegan(change)}; then exit ${NO_LONGER_PENDING}; fi`,
    'shift',
    '# ended by SIGTERM to the process of that id, with all that it has started',
    `( trap - HUP INT TERM; exec /bin/sh -c 'echo $$ > ${STEP}; exec timeout -k 2 "$@"' sh "$@" )`,
    'code=$?',
    `rm -f ${STEP}`,
    'exit $code',
    ...closing(),
  ].join('\n');
}

/**
 * `commit.sh ID`: makes the change permanent. Exit code 97: it is no longer pending; 98: its commands have not all been run yet; 4:
 * a command failed, so revert.
 */
export function renderCommit(change: ScriptedChange): string {
  const { manager, kind, bridge } = change;
  const kept = confirmedDirectory(bridge);
  return [
    ...opening(change, "Makes a change of the host's uplink permanent.", NO_LONGER_PENDING),
    `if ${revertBegan(change)}; then exit ${NO_LONGER_PENDING}; fi`,
    '# half of a change is not to be kept',
    `[ -e ${PENDING}/applied ] || exit ${NOT_APPLIED}`,
    'fail() { echo "failed: $1"; exit 4; }',
    ...(manager.permanent.length
      ? [
          `touch ${PENDING}/etc-touched && sync ${PENDING} || fail 'writing down that files change'`,
          ...manager.permanent.map(
            (file, index) =>
              `${restoreFile(file, `${PENDING}/permanent/${index}`)} || fail ${quote(`writing ${file.path}`)}`,
          ),
          syncLine(manager.permanent),
        ]
      : []),
    ...manager.trialFiles.map(({ path }) => `rm -f ${quote(path)}`),
    ...manager.confirmCommands.map((argv) => `${commandLine(argv)} || fail ${quote(argv.join(' '))}`),
    ...(kind === 'takeover'
      ? [`rm -rf ${kept}`, `mv ${PENDING} ${kept} || fail 'keeping the originals'`]
      : [
          `printf 'confirmed\\n' > ${PENDING}/result`,
          `rm -rf ${LAST}`,
          `mv ${PENDING} ${LAST} || fail 'ending the change'`,
          `rm -rf ${kept}`,
          `ip link del dev ${words([bridge])}`,
        ]),
    `sync ${STATE_DIRECTORY}`,
    stopTimer(change),
    'exit 0',
    ...closing(),
  ].join('\n');
}

/**
 * `watchdog.sh PID STARTTIME DEADLINE`: reverts at the deadline (seconds of /proc/uptime), when asked to, and at once when
 * the process PID is gone without having left the change to wait for a confirmation.
 */
export function renderWatchdog(change: Pick<ScriptedChange, 'id' | 'bridge' | 'uplink'>): string {
  return [
    '#!/bin/sh',
    `# Watches the change of ${words([change.uplink])} and ${words([change.bridge])} from outside of the program that makes it.`,
    "trap '' HUP INT TERM",
    PATH_LINE,
    'parent=$1 born=$2 deadline=$3',
    'cd /',
    'echo -1000 2>/dev/null > /proc/self/oom_score_adj',
    'alive() {',
    '  [ -r "/proc/$parent/stat" ] || return 1',
    '  read -r line 2>/dev/null < "/proc/$parent/stat" || return 1',
    '  # the name, in brackets, may contain anything',
    `  set -- \${line##*) }`,
    '  case $1 in Z | X) return 1 ;; esac',
    `  [ "\${20}" = "$born" ]`,
    '}',
    `revert() { /bin/sh ${PENDING}/revert.sh ${quote(change.id)} "$1"; }`,
    `echo $$ >> ${PENDING}/watching`,
    'while :; do',
    `  id=; read -r id 2>/dev/null < ${PENDING}/id`,
    `  [ "$id" = ${quote(change.id)} ] || exit 0`,
    '  # undone, though the disk does not let it be written down',
    `  [ ! -e ${runMarker('reverted', change)} ] || exit 0`,
    '  read -r now rest < /proc/uptime',
    `  if [ -e ${PENDING}/revert-asked ]; then revert asked`,
    `  elif [ "\${now%%.*}" -ge "$deadline" ]; then revert deadline`,
    `  elif [ ! -e ${PENDING}/awaiting ] && ! alive; then revert 'the command is gone'`,
    '  fi',
    '  sleep 0.3',
    'done',
    '',
  ].join('\n');
}
