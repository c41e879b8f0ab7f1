import { awaitLease, isLeased, settleLease, standIn } from './lease.js';
import {
  addressDeletion,
  addressLine,
  neighbourLine,
  routeLine,
  ruleLine,
  type Seconds,
  words,
} from './lines.js';
import { linkOf, type Snapshot, type SysctlState } from './model.js';
import { LAST, PENDING, STATE_DIRECTORY } from './paths.js';
import { additions, bridgeLines, carriedBy, connectedRoutes, isFirstOfKey, ofFamily } from './plan.js';
import {
  closing,
  commandLine,
  opening,
  quote,
  restoreFile,
  runMarker,
  type ScriptedChange,
  stopTimer,
  syncLine,
} from './script-parts.js';

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
    `{ echo "$reason" > ${PENDING}/reverting; } 2>/dev/null || echo "$reason" > ${runMarker('reverting', change)}`,
    '# a log that cannot be written must not keep what follows from being done',
    `log=${PENDING}/log ran=`,
    '{ true >> "$log"; } 2>/dev/null || log=/dev/null',
    '{',
    `echo "reverting: $reason"`,
    '# files of /etc, only when a confirmation had begun to write them',
    `if [ -e ${PENDING}/etc-touched ]; then`,
    ...change.originals.map((file, index) => restoreFile(file, `${PENDING}/originals/${index}`)),
    ...(manager.permanent.some(({ path }) => path.startsWith('/etc/netplan/'))
      ? ['# its generator ran before this script did', `[ "$reason" != boot ] || netplan generate`]
      : []),
    // on the disk before `pending` is gone: else a power cut leaves what nobody restores
    ...(change.originals.length ? [syncLine(change.originals)] : []),
    ':',
    'fi',
    ...manager.trialFiles.map(({ path }) => `rm -f ${quote(path)}`),
    '# after a reboot the host has made its network anew, from its own files',
    `if [ "$boot" = ${quote(snapshot.bootId)} ]; then`,
    '# lifetimes of addresses and routes have gone on since the snapshot',
    'read -r now rest < /proc/uptime',
    `E=$(( \${now%%.*} - ${Math.floor(snapshot.uptimeSeconds)} ))`,
    ...settings,
    '# nothing is reached yet, so these get less time',
    ...manager.handBackFirst.map((argv) => commandLine(argv, 10)),
    ...networkLines(change),
    ...manager.handBack.map((argv) => commandLine(argv)),
    ...leaseWait(change),
    '# a manager may have flushed what it does not know, and addresses that went took routes with them',
    ...secondPass(change),
    ...generation,
    'fi',
    'ran=1',
    '} >> "$log" 2>&1',
    'if [ "$ran" = 1 ]; then',
    `printf 'reverted: %s\\n' "$reason" > ${PENDING}/result`,
    `rm -rf ${LAST}`,
    `if mv -T ${PENDING} ${LAST}; then rm -f ${runMarker('reverting', change)} ${runMarker('reverted', change)}`,
    `else echo "$reason" > ${runMarker('reverted', change)}; fi`,
    `sync ${STATE_DIRECTORY}`,
    'fi',
    stopTimer(change),
    ...closing(),
  ].join('\n');
}

/** Addresses, neighbours and the port's place, then routes and rules, then the other device's end. */
function networkLines(change: ScriptedChange): readonly string[] {
  const { kind, bridge, uplink, snapshot, manager } = change;
  const carried = carriedBy(snapshot);
  const { device } = snapshot;
  const other = device === uplink ? bridge : uplink;
  const families = [4, 6] as const;
  const addresses = families.flatMap((family) =>
    batch(
      family,
      additions(carried.addresses, family).map((address) =>
        addressLine('replace', standIn(address, manager.lease), device, device, {
          nodad: true,
          seconds: left,
        }),
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
      ...connectedPass(snapshot),
      ...neighbours,
      '# while it is still a port: what is sent by the uplink goes out, what is sent by a bridge without port does not',
      ...routePass(change),
      ...families.flatMap((family) =>
        batch(
          family,
          connectedRoutes(snapshot, family).map((route) => routeLine('del', route, device, other)),
        ),
      ),
      ...batch(null, [words(['link', 'set', 'dev', uplink, 'nomaster'])]),
      ...rulePass(change, other),
      `ip link del dev ${words([bridge])}`,
    ];
  return [
    `if ! ip link show dev ${words([bridge])} > /dev/null 2>&1; then`,
    ...batch(null, bridgeLines(bridge, linkOf(snapshot, bridge)!)),
    'fi',
    ...batch(null, [words(['link', 'set', 'dev', bridge, 'up'])]),
    ...addresses,
    ...neighbours,
    ...batch(null, [words(['link', 'set', 'dev', uplink, 'master', bridge])]),
    ...connectedPass(snapshot),
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
        ...connectedRoutes(snapshot, family).map((route) => routeLine('del', route, device, other)),
      ]),
    ),
  ];
}

function secondPass(change: ScriptedChange): readonly string[] {
  const { snapshot, manager } = change;
  const addresses = ([4, 6] as const).flatMap((family) =>
    batch(
      family,
      additions(carriedBy(snapshot).addresses, family)
        .filter((address) => !isLeased(address, manager.lease))
        .map((address) =>
          // this time as it was: with duplicate detection at the next loss of carrier, if it had that
          addressLine('replace', address, snapshot.device, snapshot.device, { nodad: false, seconds: left }),
        ),
    ),
  );
  return [
    ...addresses,
    ...(manager.lease ? settleLease(manager.lease, snapshot.device, left) : []),
    ...connectedPass(snapshot),
    ...routePass(change),
  ];
}

/** Meanwhile all that hangs on the address stays there, too. */
function leaseWait(change: ScriptedChange): readonly string[] {
  const { device } = change.snapshot;
  const { lease } = change.manager;
  if (!lease) return [];
  const address = addressLine('replace', standIn(lease.address, lease), device, device, {
    nodad: false,
    seconds: left,
  });
  return awaitLease(lease, device, [
    ...batch(4, [address]),
    ...connectedPass(change.snapshot),
    ...routePass(change),
  ]);
}

/** What the kernel makes with an address it does not make with one that is there already, perhaps as somebody else added it. */
function connectedPass(snapshot: Snapshot): readonly string[] {
  const { device } = snapshot;
  return batch(
    4,
    connectedRoutes(snapshot, 4).map((route) => routeLine('append', route, device, device)),
  );
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
function settingLines({ snapshot, uplink }: ScriptedChange) {
  const of = (device: string, sysctls: readonly SysctlState[]) =>
    sysctls
      // whoever makes this host a router meanwhile means it
      .filter(({ path }) => !path.endsWith('forwarding'))
      .map(({ path, value }) => words([path.replace('/DEV/', `/${device}/`), value]));
  const all = [...of(snapshot.device, snapshot.sysctls), ...of(uplink, snapshot.portSysctls ?? [])];
  const loop = (lines: readonly string[]) =>
    lines.length
      ? [
          'while read -r path value; do',
          '  is=; read -r is 2>/dev/null < "/proc/sys/net/$path"',
          '  [ "$is" = "$value" ] || echo "$value" > "/proc/sys/net/$path"',
          'done <<END',
          ...lines,
          'END',
        ]
      : [];
  const late = (line: string) => line.includes('/addr_gen_mode ');
  return {
    settings: loop(all.filter((line) => !late(line))),
    generation: loop(all.filter(late)),
  };
}

/** Seconds that are left of what the snapshot saw, as an expression of the script. */
const left: Seconds = (seconds) => `$((${seconds}>E?${seconds}-E:1))`;

function batch(family: 4 | 6 | null, lines: readonly string[]): readonly string[] {
  if (!lines.length) return [];
  return [`ip ${family ? `-${family} ` : ''}-force -batch - <<END`, ...lines, 'END'];
}
