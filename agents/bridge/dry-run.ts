import type { PlannedCommand } from './plan.js';
import type { PreparedChange } from './prepare.js';

/** The change as text that could be pasted into a root shell, in the order in which it would be made. Pure. */
export function describeChange({ change, steps, managerName }: PreparedChange): string {
  const { manager, kind, bridge, uplink } = change;
  const section = (title: string, lines: readonly string[]) =>
    lines.length ? [`# ${title}`, ...lines, ''] : [];
  const commands = (all: readonly (readonly string[])[]) => all.map((argv) => shown({ argv }));
  return [
    `# ${kind}: uplink ${uplink}, bridge ${bridge}; ${uplink} is configured by ${managerName === 'none' ? 'nothing that Maru knows' : managerName}`,
    '',
    ...section('on trial, gone after a reboot', manager.trialFiles.flatMap(file)),
    ...section('before the addresses move', commands(manager.dhcp?.before ?? [])),
    ...steps.flatMap(({ name, commands: all }) => section(name, all.map(shown))),
    ...section(`handed over to ${managerName}`, commands(manager.handOver)),
    ...section('after the addresses have moved', commands(manager.dhcp?.after ?? [])),
    ...section('when it is confirmed', [
      ...manager.permanent.flatMap(({ path, content, mode }) =>
        content === null ? [`rm -f ${path}`] : file({ path, content, mode }),
      ),
      ...commands(manager.confirmCommands),
      ...(kind === 'release' ? [`ip link del dev ${bridge}`] : []),
    ]),
  ].join('\n');
}

function shown({ argv, input, optional }: PlannedCommand): string {
  const command = argv.map((word) => (/^[\w./:@%+=!-]+$/.test(word) ? word : `'${word}'`)).join(' ');
  const fed = input === undefined ? command : `${command} <<'END'`;
  const tolerant = optional ? `${fed} || true` : fed;
  return input === undefined ? tolerant : `${tolerant}\n${input}END`;
}

function file({ path, content, mode }: { path: string; content: string; mode: number }): string[] {
  return [
    `install -D -m ${mode.toString(8).padStart(4, '0')} /dev/stdin ${path} <<'END'`,
    content.trimEnd(),
    'END',
  ];
}
