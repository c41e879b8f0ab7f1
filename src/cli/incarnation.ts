import type { Command } from 'commander';
import type { HostDifference, IncarnationStatus } from '../core/incarnation/incarnation.js';
import { Client } from './client.js';
import { CliError } from './error.js';
import { ago, printFields, printJson } from './output.js';

/** `maru incarnation …`: after a backup was restored, hosts only observe until they are accepted. */
export function addIncarnationCommands(program: Command): void {
  const incarnation = program
    .command('incarnation')
    .description('After a backup of the database was restored: see what hosts would change, and let them')
    .addHelpText(
      'after',
      `
A restored database knows nothing of what happened since. Hosts notice that by themselves, or are told with
maru incarnation new; from then on they change nothing, until maru incarnation accept.
Every token ends at that moment, since what revoked some of them may be lost: everybody has to log in again.`,
    );
  incarnation
    .command('show')
    .description('Show what each host that only observes would change. Exit code 1 while there are any')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExamples:\n  maru incarnation show\n  maru incarnation show --json | jq .hosts')
    .action(async ({ json }: { json?: boolean }) => {
      const { incarnation: status } = await new Client().get<{ incarnation: IncarnationStatus }>(
        '/maru/v1/incarnation',
      );
      const observing = status.hosts.filter((host) => host.observe_only);
      if (observing.length > 0) process.exitCode = 1;
      if (json) return printJson(status);
      printFields([
        ['incarnation', status.id],
        ['since', status.since || 'unknown'],
        ['reason', status.reason],
      ]);
      process.stdout.write('\n');
      if (observing.length === 0) process.stdout.write('All hosts act on the database.\n');
      for (const host of observing) printDifference(host);
      if (observing.length > 0) {
        process.stdout.write(
          'maru incarnation accept HOST (or --all) lets a host do this; orphans are kept\n',
        );
      }
    });
  incarnation
    .command('new')
    .description(
      'Have every host only observe from now on, and end every token (everybody has to log in again): to be called when a ' +
        'backup was restored',
    )
    .option('--reason <text>', 'shown until the hosts are accepted')
    .addHelpText('after', '\nExamples:\n  maru incarnation new --reason "restored the backup of Monday"')
    .action(async ({ reason }: { reason?: string }) => {
      await new Client().request('POST', '/maru/v1/incarnation', reason ? { reason } : {});
      process.stdout.write(
        'all hosts only observe now, and everybody has to log in again; maru incarnation show tells what they would change\n',
      );
    });
  incarnation
    .command('accept [hosts...]')
    .description('Let hosts act on the database again')
    .option('--all', 'all that only observe')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExamples:\n  maru incarnation accept host1\n  maru incarnation accept --all')
    .action(async (hosts: string[], { all, json }: { all?: boolean; json?: boolean }) => {
      if ((hosts.length === 0) === (all !== true)) throw new CliError('name hosts, or give --all', 2);
      const { accepted } = await new Client().request<{ accepted: string[] }>(
        'POST',
        '/maru/v1/incarnation/accept',
        all ? { all: true } : { hosts },
      );
      if (json) return printJson(accepted);
      process.stdout.write(
        accepted.length > 0
          ? `these hosts act on the database again: ${accepted.join(', ')}\n`
          : 'no host had to be accepted\n',
      );
    });
}

const MOST_SHOWN = 40;

function printDifference(host: HostDifference): void {
  process.stdout.write(`HOST ${host.name} (${host.up ? 'up' : 'down'})\n`);
  if (host.steps === null) process.stdout.write(`  cannot tell what it would change: ${host.problem}\n`);
  else if (host.steps.length === 0) process.stdout.write('  would change nothing\n');
  for (const step of host.steps?.slice(0, MOST_SHOWN) ?? []) {
    process.stdout.write(`  would change  ${step.object}: ${step.action} ${step.detail}\n`);
  }
  const more = (host.steps?.length ?? 0) - MOST_SHOWN;
  if (more > 0) process.stdout.write(`  … and ${more} more (maru plan ${host.name})\n`);
  for (const orphan of host.orphans) {
    process.stdout.write(
      `  keeps         ${orphan.kind}/${orphan.name} (${orphan.detail}; known ${ago(orphan.since)})\n`,
    );
  }
  process.stdout.write('\n');
}
