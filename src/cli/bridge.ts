import { type Command, InvalidArgumentError, Option } from 'commander';
import { CliError } from './error.js';
import { ago, printFields, printJson } from './output.js';

/** `maru bridge …`: gives the host's addresses from its NIC to a bridge, and back. Local, as root; asks no controller. */
export function addBridgeCommands(program: Command): void {
  const bridge = program
    .command('bridge')
    .description("Move this host's addresses from its NIC to the external bridge, without losing the host")
    .argument('[bridge]', 'the bridge to make, such as br-ex')
    .option('--uplink <nic>', 'the NIC whose addresses, routes and rules the bridge takes over');
  changeOptions(bridge)
    .addHelpText(
      'after',
      `
The change is on trial until everything that answered before answers through the bridge: the gateways, and what --peer and
--controller name. It is undone at once when that fails, on Ctrl-C, when this command dies, at the deadline, and by a reboot.

Examples:
  maru bridge br-ex --uplink eth0 --dry-run
  maru bridge br-ex --uplink eth0 --controller https://cloud.example.org:5443
  maru bridge br-ex --uplink eth0 --wait-confirm     then, from a new ssh connection: maru bridge confirm
  maru bridge release br-ex`,
    )
    .action(async (name: string | undefined, options: ChangeOptions) => {
      if (!name || !options.uplink)
        throw new CliError('say which bridge and which NIC: maru bridge br-ex --uplink eth0', 2);
      await change('takeover', name, options);
    });

  changeOptions(
    bridge
      .command('release <bridge>')
      .description('Give the addresses back to the NIC and remove the bridge, on trial like the takeover')
      .option('--uplink <nic>', "the bridge's port that gets them; found out when there is only one"),
  )
    .addHelpText('after', '\nExamples:\n  maru bridge release br-ex')
    .action((name: string, _options: unknown, command: Command) =>
      // options of the same name are also the parent's, and are stored there
      change('release', name, command.optsWithGlobals<ChangeOptions>()),
    );

  bridge
    .command('confirm')
    .description('Keep the change that is on trial')
    .addHelpText('after', '\nExamples:\n  maru bridge confirm')
    .action(() =>
      failuresSaid(async (parts) => {
        const { bridge: name, uplink } = await parts.confirmChange();
        process.stdout.write(`confirmed: ${name} and ${uplink} stay as they are\n`);
      }),
    );

  bridge
    .command('revert')
    .description('Undo the change that is on trial, at once')
    .addHelpText('after', '\nExamples:\n  maru bridge revert')
    .action(() => failuresSaid(async (parts) => sayReverted(await parts.revertChange())));

  bridge
    .command('status')
    .description(
      'Show the change on trial, bridges that were taken over, and the last change that was undone',
    )
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExamples:\n  maru bridge status')
    .action(({ json }: { json?: boolean }) =>
      failuresSaid(async (parts) => {
        const status = await parts.bridgeStatus();
        if (json) return printJson(status);
        printStatus(status);
      }),
    );
}

function changeOptions(command: Command): Command {
  return command
    .option('--controller <url>', 'whose server must accept connections through the new device')
    .option('--peer <address...>', 'addresses that must answer pings through the new device')
    .option('--confirm-within <seconds>', 'time until an unconfirmed change is undone', seconds, 120)
    .option('--settle <seconds>', 'time for the checks to come right', seconds, 20)
    .addOption(
      new Option('--steady <seconds>', 'time for which everything must be good before it is confirmed')
        .argParser(steadySeconds)
        .hideHelp(),
    )
    .option('--wait-confirm', 'do not confirm by itself: wait for maru bridge confirm')
    .option('--dry-run', 'show the commands and change nothing');
}

async function change(kind: 'takeover' | 'release', bridge: string, options: ChangeOptions): Promise<void> {
  await failuresSaid(async (parts) => {
    const interrupt = new AbortController();
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      process.on(signal, () => interrupt.abort(new Error(`interrupted by ${signal}`)));
    const outcome = await parts.runChange(
      {
        kind,
        bridge,
        uplink: options.uplink,
        controller: options.controller === undefined ? undefined : checkedUrl(options.controller),
        peers: (options.peer ?? []).map(checkedAddress),
        confirmWithin: options.confirmWithin,
        settle: Math.min(options.settle, options.confirmWithin),
        steady: options.steady,
        waitConfirm: options.waitConfirm === true,
      },
      {
        dryRun: options.dryRun === true,
        say: (line) => process.stderr.write(`${line}\n`),
        signal: interrupt.signal,
      },
    );
    switch (outcome.state) {
      case 'planned':
        process.stdout.write(outcome.text);
        return;
      case 'confirmed':
        process.stdout.write(
          kind === 'takeover'
            ? `${bridge} has taken over; confirmed\n`
            : `${bridge} has given everything back and is gone; confirmed\n`,
        );
        return;
      case 'awaiting':
        if (outcome.why !== null)
          process.stdout.write(
            `NOT confirmed by itself, because ${outcome.why}: new connections to this host may not get in any more\n`,
          );
        process.stdout.write(
          `open a new connection to this host and run there, within ${outcome.secondsLeft} s: maru bridge confirm (else it is undone)\n`,
        );
        return;
      case 'reverted':
        sayReverted(outcome.revert);
        throw new CliError(`the ${kind} failed and was undone: ${outcome.why}`);
    }
  });
}

function sayReverted({ reason, differs }: RevertedResult): void {
  process.stdout.write(
    differs.length
      ? `undone (${reason}), but this is not as before:\n${differs.map((line) => `  ${line}\n`).join('')}`
      : `undone (${reason}); the network is as it was before\n`,
  );
  if (differs.length) process.exitCode = 1;
}

function printStatus({ pending, confirmed, last }: Status): void {
  printFields([
    [
      'on trial',
      pending
        ? `${pending.record.kind} of ${pending.record.bridge} (uplink ${pending.record.uplink}), ${pending.awaiting ? 'waits for maru bridge confirm' : pending.applied ? 'being checked' : 'being made'}; undone in ${Math.max(0, Math.ceil(pending.secondsLeft))} s`
        : 'nothing',
    ],
    [
      'taken over',
      confirmed.map(({ bridge, uplink, since }) => `${bridge} (uplink ${uplink}), ${ago(since)}`),
    ],
    ...(last
      ? ([
          ['last undone', `${last.bridge}, begun ${ago(last.at)}: ${last.reason}`],
          ['not as before', last.differs],
        ] as const)
      : []),
  ]);
}

function seconds(text: string): number {
  const value = Number(text);
  if (!(value >= 1 && value <= 86_400)) throw new InvalidArgumentError('seconds, 1 to 86400');
  return value;
}

function steadySeconds(text: string): number {
  return text === '0' ? 0 : seconds(text);
}

function checkedUrl(text: string): string {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol))
    throw new CliError(`'${text}' is not an http or https URL`, 2);
  return text;
}

function checkedAddress(text: string): string {
  if (!/^[0-9a-fA-F:.]+$/.test(text))
    throw new CliError(`--peer ${text}: an IP address is needed, not a name`, 2);
  return text;
}

interface ChangeOptions {
  readonly uplink?: string;
  readonly controller?: string;
  readonly peer?: readonly string[];
  readonly confirmWithin: number;
  readonly settle: number;
  readonly steady?: number;
  readonly waitConfirm?: boolean;
  readonly dryRun?: boolean;
}

type Parts = typeof import('../../agents/bridge/commands.js');
type Status = Awaited<ReturnType<Parts['bridgeStatus']>>;
type RevertedResult = Awaited<ReturnType<Parts['revertChange']>>;

/** What goes wrong here is the host's state, not a defect of the program: the message without a stack trace. */
async function failuresSaid(work: (parts: Parts) => Promise<void>): Promise<void> {
  if (process.getuid?.() !== 0)
    throw new CliError('this changes the network of this host: run it as root (sudo)');
  // only the commands of a host need the agent's code
  const parts = await import('../../agents/bridge/commands.js');
  try {
    await work(parts);
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw new CliError(error instanceof Error ? error.message : String(error));
  }
}
