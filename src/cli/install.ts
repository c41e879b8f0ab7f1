import { type Command, InvalidArgumentError, Option } from 'commander';
import type { InstallOptions, Role } from '../../scripts/install.d/options.js';
import { CliError } from './error.js';

const ROLES = {
  controller: 'Install the controller: the APIs, the database, the scheduler',
  host: 'Install a host: libvirt, the agent, networking; it joins a controller with a token',
  'all-in-one': 'Install controller and host on this machine, joined',
} as const satisfies Record<Role, string>;

/** `maru install …`: puts this machine to work as systemd services, and takes it out of work again. */
export function addInstallCommands(program: Command): void {
  const install = program
    .command('install')
    .description('Install this machine as a controller, a host or both; from a checkout: scripts/install')
    .addHelpText(
      'after',
      `
Examples:
  sudo maru install all-in-one --dry-run
  sudo maru install controller --address cloud.example.org --tls-cert cloud.pem --tls-key cloud.key
  maru host token --name host2 > token        (on the controller)
  sudo maru install host --controller https://192.0.2.10:5443 --token-file token
  sudo maru install uninstall

Running it again changes nothing, or what a new version changes; an interrupted run goes on when it is started again.`,
    );
  for (const role of Object.keys(ROLES) as Role[]) addRole(install, role);
  install
    .command('uninstall')
    .description("Take Maru's programs off this machine; guests, their disks, images and the database stay")
    .option(
      '--purge',
      'remove guests with their disks, volumes, images, the database, keys and configuration too',
    )
    .option('--yes', 'needed with --purge: what it removes is gone for good')
    .option('--dry-run', 'say what would be done, and change nothing')
    .addHelpText(
      'after',
      '\nExamples:\n  sudo maru install uninstall\n  sudo maru install uninstall --purge --yes',
    )
    .action(async ({ purge, yes, dryRun }: { purge?: boolean; yes?: boolean; dryRun?: boolean }) => {
      if (purge && !yes && !dryRun) {
        throw new CliError(
          'uninstall --purge removes every guest with its disks, every image and the database of this machine for good: say --yes as well, or look first with --dry-run',
          2,
        );
      }
      await failuresSaid(async () => {
        const { uninstall } = await import('../../scripts/install.d/uninstall.js');
        const outcome = await uninstall({ dryRun: dryRun === true, purge: purge === true }, print);
        sum(outcome, dryRun === true);
        if (!purge && !dryRun && outcome.changes > 0)
          print('kept: /etc/maru, /var/lib/maru, /var/lib/maru-agent; guests go on running');
      });
    });
}

function addRole(install: Command, role: Role): void {
  const command = install
    .command(role)
    .description(ROLES[role])
    .option(
      '--address <address>',
      'name or address that others reach this machine by (default: that of its default route)',
    )
    .option(
      '--physical-network <alias:bridge>',
      'provider network and its bridge; may be repeated (default: extnet:br-ex)',
      (text: string, before: string[] = []) => [...before, text],
    )
    .option('--no-packages', 'install no Debian packages, only name those that are missing')
    .option('--dry-run', 'say what would be done (commands, differences of files), and change nothing');
  if (role !== 'host') {
    command
      .addOption(
        new Option('--tls <kind>', 'own: an authority made here (the default); none: plain HTTP').choices([
          'own',
          'none',
        ]),
      )
      .option(
        '--tls-cert <file>',
        'certificate of the public API (PEM, with its chain); copied to /etc/maru/tls',
      )
      .option('--tls-key <file>', 'its key')
      .option('--tls-ca <file>', 'authority that clients have to be told of, when it is not a public one')
      .option('--api-port <port>', 'port of the public API, 1024 to 65535 (default: 5000)', unprivilegedPort);
  }
  if (role !== 'controller')
    command.option('--name <host>', "the host's name in the cloud (default: its host name)");
  if (role === 'host') {
    command
      .option('--controller <url>', 'where the controller listens for agents, e.g. https://192.0.2.10:5443')
      .option(
        '--token <token>',
        'from maru host token; other users may see it while this runs, unlike the next',
      )
      .option(
        '--token-file <file>',
        'file with the token; - is standard input. MARU_JOIN_TOKEN will do as well',
      );
  }
  command.addHelpText('after', `\nExamples:\n${EXAMPLES[role]}`);
  command.action(async (given: Partial<InstallOptions>) => {
    if ((given.tlsCert === undefined) !== (given.tlsKey === undefined)) {
      throw new CliError('--tls-cert and --tls-key belong together', 2);
    }
    await failuresSaid(async () => {
      const { install: start } = await import('../../scripts/install.d/install.js');
      const dryRun = given.dryRun === true;
      const options = { packages: true, ...given, dryRun, role };
      const outcome = await start(options, print);
      sum(outcome, dryRun);
      if (!dryRun && outcome.changes > 0) print(NEXT[role]);
    });
  });
}

/** A port that the controller, a user without privileges, may listen on. */
function unprivilegedPort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (port > 0 && port < 1024) {
    throw new InvalidArgumentError(
      'The controller has no privileges and cannot listen below 1024: put a proxy such as HAProxy or nginx on that port, in front of the API, and set controller.public_url to its address.',
    );
  }
  if (!(port >= 1024 && port <= 65_535)) throw new InvalidArgumentError('A port is a number, 1024 to 65535.');
  return port;
}

const EXAMPLES: Record<Role, string> = {
  controller:
    '  sudo maru install controller --address cloud.example.org\n  sudo maru install controller --tls none --dry-run',
  host: '  sudo maru install host --controller https://192.0.2.10:5443 --token-file token',
  'all-in-one':
    '  sudo maru install all-in-one\n  sudo maru install all-in-one --physical-network extnet:br-ex',
};

const NEXT: Record<Role, string> = {
  controller: 'next: sudo maru status; then on each host: maru install host, with a token of maru host token',
  host: 'next: on the controller, maru host list; on this host, maru bridge br-ex --uplink DEVICE for provider networks',
  'all-in-one': 'next: sudo maru status; maru bridge br-ex --uplink DEVICE for provider networks',
};

function sum({ changes, warnings }: { changes: number; warnings: readonly string[] }, dryRun: boolean): void {
  if (changes === 0) print('nothing to do: everything is as it should be');
  else
    print(dryRun ? `${changes} change(s) would be made; nothing was changed` : `done: ${changes} change(s)`);
  if (warnings.length > 0) print(`${warnings.length} warning(s), see above`);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** What fails here is the machine's doing: the message without a stack trace. */
async function failuresSaid(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw new CliError(error instanceof Error ? error.message : String(error));
  }
}
