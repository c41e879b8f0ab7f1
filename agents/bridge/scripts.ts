import {
  addressDeletion,
  addressLine,
  neighbourLine,
  routeLine,
  ruleLine,
  type Seconds,
  words,
} from './lines.js';
import type { ManagerPlan, OriginalFile } from './manager.js';
import { linkOf } from './model.js';
import { confirmedDirectory, LAST, LOCK, PENDING, STATE_DIRECTORY } from './paths.js';
import { additions, type BridgeChange, bridgeLines, carriedBy, isFirstOfKey, ofFamily } from './plan.js';

/** A change with everything that its scripts need to know; they know nothing else, and ask for nothing. */
export interface ScriptedChange extends BridgeChange {
  /** Letters, digits and dashes. */
  readonly id: string;
  readonly manager: ManagerPlan;
  /** Files of `manager.permanent` as they are now, in the same order. */
  readonly originals: readonly OriginalFile[];
}

/**
 * `revert.sh ID|- REASON`: makes the host's network what the snapshot says, from whatever state a change was left in.
 * Static and idempotent; it needs sh, ip, flock and coreutils. After a reboot it only puts files back.
 */
export function renderRevert(change: ScriptedChange): string {
  const { snapshot, manager } = change;
  const { settings, generation } = settingLines(change);
  return [
    ...opening(change, "Undoes a change of the host's uplink. Safe to run at any time, and again."),
    `reason=\${2:-unknown}`,
    'boot=$(cat /proc/sys/kernel/random/boot_id)',
    `if [ "$reason" = boot ] && [ "$boot" = ${quote(snapshot.bootId)} ]; then exit 0; fi`,
    `echo "$reason" > ${PENDING}/reverting`,
    '{',
    `echo "reverting: $reason"`,
    '# files of /etc, only when a confirmation had begun to write them',
    `if [ -e ${PENDING}/etc-touched ]; then`,
    ...change.originals.map((file, index) => restoreFile(file, `${PENDING}/originals/${index}`)),
    ':',
    'fi',
    ...manager.trialFiles.map(({ path }) => `rm -f ${quote(path)}`),
    '# after a reboot the host has made its network anew, from its own files',
    `if [ "$boot" = ${quote(snapshot.bootId)} ]; then`,
    '# lifetimes of addresses and routes have gone on since the snapshot',
    'read -r now rest < /proc/uptime',
    `E=$(( \${now%%.*} - ${Math.floor(snapshot.uptimeSeconds)} ))`,
    ...settings,
    ...networkLines(change),
    ...manager.handBack.map(commandLine),
    '# a manager may have flushed what it does not know, and addresses that went took routes with them',
    ...secondPass(change),
    ...generation,
    'fi',
    `} >> ${PENDING}/log 2>&1`,
    `printf 'reverted: %s\\n' "$reason" > ${PENDING}/result`,
    `rm -rf ${LAST}`,
    `mv ${PENDING} ${LAST}`,
    `sync ${STATE_DIRECTORY}`,
    ...closing(),
  ].join('\n');
}

/**
 * `step.sh ID SECONDS COMMAND…`: runs one command of the change while no revert is at work, and not at all (exit code 97)
 * when one has begun: else a change that goes on beside its revert would leave a mixture.
 */
export function renderStep(change: ScriptedChange): string {
  return [
    ...opening(change, 'Runs one command of a change of the uplink.', NO_LONGER_PENDING),
    `if [ -e ${PENDING}/reverting ]; then exit ${NO_LONGER_PENDING}; fi`,
    'shift',
    'timeout "$@"',
    ...closing(),
  ].join('\n');
}

export const NO_LONGER_PENDING = 97;

/** `commit.sh ID`: makes the change permanent. Exit code 97: it is no longer pending; 4: a command failed, so revert. */
export function renderCommit(change: ScriptedChange): string {
  const { manager, kind, bridge } = change;
  const kept = confirmedDirectory(bridge);
  return [
    ...opening(change, "Makes a change of the host's uplink permanent.", NO_LONGER_PENDING),
    `if [ -e ${PENDING}/reverting ]; then exit ${NO_LONGER_PENDING}; fi`,
    'fail() { echo "failed: $1"; exit 4; }',
    ...(manager.permanent.length
      ? [
          `touch ${PENDING}/etc-touched && sync ${PENDING} || fail 'writing down that files change'`,
          ...manager.permanent.map(
            (file, index) =>
              `${restoreFile(file, `${PENDING}/permanent/${index}`)} || fail ${quote(`writing ${file.path}`)}`,
          ),
          'sync',
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
    `echo $$ > ${PENDING}/watching`,
    'while :; do',
    `  id=; read -r id 2>/dev/null < ${PENDING}/id`,
    `  [ "$id" = ${quote(change.id)} ] || exit 0`,
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

function opening(change: ScriptedChange, purpose: string, otherwise = 0): readonly string[] {
  return [
    '#!/bin/sh',
    `# ${purpose}`,
    `# ${change.kind} of uplink ${words([change.uplink])}, bridge ${words([change.bridge])}, change ${words([change.id])}`,
    "trap '' HUP INT TERM",
    PATH_LINE,
    'cd /',
    `exec 9>> ${LOCK}`,
    'flock 9',
    '# nothing that is started below may keep the lock',
    '{',
    `id=; read -r id 2>/dev/null < ${PENDING}/id`,
    `if [ "$id" != ${quote(change.id)} ] || { [ "\${1:--}" != - ] && [ "$1" != "$id" ]; }; then exit ${otherwise}; fi`,
  ];
}

function closing(): readonly string[] {
  return ['} 9>&-', ''];
}

/** Addresses, neighbours and the port's place, then routes and rules, then the other device's end. */
function networkLines(change: ScriptedChange): readonly string[] {
  const { kind, bridge, uplink, snapshot } = change;
  const carried = carriedBy(snapshot);
  const { device } = snapshot;
  const other = device === uplink ? bridge : uplink;
  const families = [4, 6] as const;
  const addresses = families.flatMap((family) =>
    batch(
      family,
      additions(carried.addresses, family).map((address) =>
        addressLine('replace', address, device, device, { nodad: true, seconds: left }),
      ),
    ),
  );
  const neighbours = batch(
    null,
    snapshot.neighbours.map((neighbour) => neighbourLine(neighbour, device)),
  );
  if (kind === 'takeover')
    return [
      ...batch(null, [
        words(['link', 'set', 'dev', uplink, 'mtu', linkOf(snapshot, uplink)!.mtu]),
        words(['link', 'set', 'dev', uplink, 'up']),
      ]),
      ...addresses,
      ...neighbours,
      ...batch(null, [words(['link', 'set', 'dev', uplink, 'nomaster'])]),
      ...routePass(change),
      ...rulePass(change, other),
      `ip link del dev ${words([bridge])}`,
    ];
  const link = linkOf(snapshot, bridge)!;
  return [
    ...batch(null, [...bridgeLines(bridge, link), words(['link', 'set', 'dev', bridge, 'up'])]),
    ...addresses,
    ...neighbours,
    ...batch(null, [words(['link', 'set', 'dev', uplink, 'master', bridge])]),
    ...routePass(change),
    ...rulePass(change, other),
    ...families.flatMap((family) =>
      batch(family, [
        ...ofFamily(carried.routes, family)
          .filter((route) => family === 6 || !isFirstOfKey(snapshot, route))
          .map((route) => routeLine('del', route, device, other)),
        ...ofFamily(carried.addresses, family)
          .toReversed()
          .map((address) => addressDeletion(address, other)),
      ]),
    ),
  ];
}

function secondPass(change: ScriptedChange): readonly string[] {
  const { snapshot } = change;
  const addresses = ([4, 6] as const).flatMap((family) =>
    batch(
      family,
      additions(carriedBy(snapshot).addresses, family).map((address) =>
        // this time as it was: with duplicate detection at the next loss of carrier, if it had that
        addressLine('replace', address, snapshot.device, snapshot.device, { nodad: false, seconds: left }),
      ),
    ),
  );
  return [...addresses, ...routePass(change)];
}

function routePass({ snapshot }: ScriptedChange): readonly string[] {
  const { routes } = carriedBy(snapshot);
  return ([4, 6] as const).flatMap((family) =>
    batch(
      family,
      ofFamily(routes, family).map((route) =>
        routeLine(
          family === 4 && isFirstOfKey(snapshot, route) ? 'replace' : 'append',
          route,
          snapshot.device,
          snapshot.device,
          left,
        ),
      ),
    ),
  );
}

function rulePass({ snapshot }: ScriptedChange, other: string): readonly string[] {
  const { rules } = carriedBy(snapshot);
  return ([4, 6] as const).flatMap((family) =>
    batch(family, [
      ...ofFamily(rules, family).map((rule) => ruleLine('add', rule, snapshot.device, snapshot.device)),
      ...ofFamily(rules, family).map((rule) => ruleLine('del', rule, snapshot.device, other)),
    ]),
  );
}

/** Kernel settings that are not what they were are written; how addresses are generated comes last, after the addresses. */
function settingLines({ snapshot }: ScriptedChange) {
  const lines = (settings: readonly { path: string; value: string }[]) =>
    settings.length
      ? [
          'while read -r path value; do',
          '  is=; read -r is 2>/dev/null < "/proc/sys/net/$path"',
          '  [ "$is" = "$value" ] || echo "$value" > "/proc/sys/net/$path"',
          'done <<END',
          ...settings.map(({ path, value }) => words([path.replace('/DEV/', `/${snapshot.device}/`), value])),
          'END',
        ]
      : [];
  const late = (path: string) => path.endsWith('/addr_gen_mode');
  const kept = snapshot.sysctls.filter(({ path }) => !path.endsWith('forwarding'));
  return {
    settings: lines(kept.filter(({ path }) => !late(path))),
    generation: lines(kept.filter(({ path }) => late(path))),
  };
}

/** Seconds that are left of what the snapshot saw, as an expression of the script. */
const left: Seconds = (seconds) => `$((${seconds}>E?${seconds}-E:1))`;

function batch(family: 4 | 6 | null, lines: readonly string[]): readonly string[] {
  if (!lines.length) return [];
  return [`ip ${family ? `-${family} ` : ''}-force -batch - <<END`, ...lines, 'END'];
}

function restoreFile(file: OriginalFile, kept: string): string {
  const path = quote(file.path);
  if (file.content === null) return `rm -f ${path}`;
  const fresh = quote(`${file.path}.maru-new`);
  const mode = file.mode.toString(8).padStart(4, '0');
  const directory = quote(file.path.slice(0, file.path.lastIndexOf('/')) || '/');
  return `mkdir -p ${directory} && cp ${kept} ${fresh} && chmod ${mode} ${fresh} && sync ${fresh} && mv ${fresh} ${path}`;
}

function commandLine(argv: readonly string[]): string {
  return `timeout 30 ${argv.map(quote).join(' ')}`;
}

function quote(text: string): string {
  return /^[\w./:@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

const PATH_LINE = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; export PATH';
