import type { Command } from 'commander';
import type { AuthorityStatus } from '../core/gateway.js';
import { Client } from './client.js';
import { printFields, printJson, printTable } from './output.js';

/** `maru ca …`: the certificate authority that controller and hosts know each other by. */
export function addAuthorityCommands(program: Command): void {
  const ca = program
    .command('ca')
    .description('Show and replace the certificate authority of controller and hosts')
    .addHelpText(
      'after',
      `
Replacing it:
  maru ca rotate     a new authority is made; hosts take certificates of it with their next heartbeat
  maru ca show       how far each host is; one that is off catches up when it comes back
  maru ca finish     once all have one: the old authority is trusted no longer
  maru ca abort      or back to the old one (then maru ca finish)`,
    );
  ca.command('show')
    .description(
      'Show the authorities and which host has a certificate of which. Exit code 1 while hosts wait',
    )
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExamples:\n  maru ca show\n  maru ca show --json | jq .waiting_for')
    .action(async ({ json }: { json?: boolean }) => {
      const { ca: status } = await new Client().get<{ ca: AuthorityStatus }>('/maru/v1/ca');
      if (status.waiting_for.length > 0) process.exitCode = 1;
      if (json) printJson(status);
      else printStatus(status);
    });
  for (const [action, text] of [
    ['rotate', 'Make a new authority and have every host take a certificate of it'],
    ['abort', 'Turn the replacement back: hosts take certificates of the old authority again'],
  ] as const) {
    ca.command(action)
      .description(text)
      .option('--json', 'print JSON')
      .addHelpText('after', `\nExamples:\n  maru ca ${action}`)
      .action(async ({ json }: { json?: boolean }) => {
        const reply = await new Client().request<{ ca: AuthorityStatus }>(
          'POST',
          `/maru/v1/ca/${action}`,
          {},
        );
        if (json) printJson(reply.ca);
        else printStatus(reply.ca);
      });
  }
  ca.command('finish')
    .description('End the trust in the authority that no longer signs, when no host needs it any more')
    .option('--force', 'also when hosts still need it: those are out and have to join again')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExamples:\n  maru ca finish\n  maru ca finish --force')
    .action(async ({ force, json }: { force?: boolean; json?: boolean }) => {
      const { ca: status } = await new Client().request<{
        ca: AuthorityStatus & { tokens_ended: number };
      }>('POST', '/maru/v1/ca/finish', { force: force === true });
      if (json) return printJson(status);
      process.stdout.write('the old certificate authority is trusted no longer\n');
      for (const name of status.waiting_for) {
        process.stdout.write(`host ${name} has to join again: maru host token --name ${name}\n`);
      }
      if (status.tokens_ended > 0) {
        process.stdout.write(
          `${status.tokens_ended} unused join token(s) from before the replacement no longer work\n`,
        );
      }
    });
}

const PHASES = {
  none: 'not being replaced',
  rotating: 'being replaced: hosts take certificates of the new one',
  aborting: 'the replacement was called off: hosts take certificates of the old one again',
} as const;

function printStatus(status: AuthorityStatus): void {
  printFields([
    ['state', PHASES[status.phase]],
    ...(status.since ? [['since', status.since] as const] : []),
    [
      'authorities',
      status.authorities.map((one) => {
        const roles = [
          ...(one.signs_hosts ? ['signs hosts'] : []),
          ...(one.signs_controller ? ['signs the controller'] : []),
        ];
        return `${short(one.fingerprint)} until ${one.expires_at.slice(0, 10)}: ${roles.join(', ') || 'is trusted'}`;
      }),
    ],
  ]);
  process.stdout.write('\n');
  printTable(
    ['host', 'state', 'certificate of', 'until', 'note'],
    status.hosts.map((host) => [
      host.name,
      host.up ? 'up' : 'down',
      host.authority ? short(host.authority) : '-',
      host.expires_at,
      note(status, host),
    ]),
  );
  if (status.phase === 'none') return;
  const next =
    status.waiting_for.length > 0
      ? `${status.waiting_for.length} host(s) wait; those that are down renew when they come back`
      : 'no host waits: maru ca finish ends it';
  process.stdout.write(`\n${next}\n`);
}

function note(status: AuthorityStatus, host: AuthorityStatus['hosts'][number]): string {
  if (host.expires_at && Date.parse(host.expires_at) < Date.now()) {
    return `expired: maru host token --name ${host.name}`;
  }
  if (status.phase !== 'none' && !host.renewed) return 'waits for a new certificate';
  return host.trusts_retired ? 'still trusts a retired authority, until it next asks' : '';
}

function short(fingerprint: string): string {
  return fingerprint.slice(0, 12);
}
