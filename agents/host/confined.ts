import { randomBytes } from 'node:crypto';
import { readlinkSync } from 'node:fs';
import { CommandError, type CommandOptions, type CommandResult, type Daemon } from './host.js';

type Execute = (command: string, args: readonly string[], options: CommandOptions) => Promise<CommandResult>;

let confined: boolean | undefined;

/** True when this process has mounts of its own, as in a systemd unit with a sandbox: what it mounts nobody else sees. */
export function isConfined(): boolean {
  if (confined === undefined) {
    const [own, machines] = [mountNamespace('self'), mountNamespace('1')];
    // who may not look at the first process could not act among its mounts either
    confined = own !== null && machines !== null && own !== machines;
  }
  return confined;
}

/** The command line that runs a command among the machine's mounts. */
export function outside(command: string, args: readonly string[]): [string, string[]] {
  return ['nsenter', ['--target', '1', '--mount', '--', command, ...args]];
}

/**
 * Starts a program that puts itself into the background in a transient systemd unit, `maru-NAME-…`: outside the agent's control
 * group, which ends with the agent, and with a sandbox of its own. Rejects with what the unit's journal says.
 */
export async function startInUnit(
  execute: Execute,
  command: string,
  args: readonly string[],
  options: CommandOptions,
  { name, pidFile, directory }: Daemon,
): Promise<CommandResult> {
  // a name of its own each time: systemd forgets the unit before it only a moment after its end
  const unit = `maru-${name}-${randomBytes(3).toString('hex')}.service`;
  const { netns, daemon: _daemon, ...rest } = options;
  const properties = [
    'Type=forking',
    `PIDFile=${pidFile}`,
    ...(netns === undefined ? [] : [`NetworkNamespacePath=/run/netns/${netns}`]),
    'NoNewPrivileges=yes',
    'ProtectSystem=strict',
    `ReadWritePaths=${directory}`,
    'ProtectHome=yes',
    'PrivateTmp=yes',
    'RestrictSUIDSGID=yes',
  ];
  const run = ['--quiet', '--collect', `--unit=${unit}`, ...properties.map((one) => `--property=${one}`)];
  try {
    return await execute('systemd-run', [...run, '--', command, ...args], rest);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    const said = await execute(
      'journalctl',
      ['--unit', unit, '--output=cat', '--lines=20', '--no-pager'],
      {},
    );
    throw new CommandError(
      error.command,
      error.exitCode,
      `${error.stderr.trim()}\n${said.stdout.trim()}`,
      `${[command, ...args].join(' ')} does not start`,
    );
  }
}

function mountNamespace(process: string): string | null {
  try {
    return readlinkSync(`/proc/${process}/ns/mnt`);
  } catch {
    return null;
  }
}
