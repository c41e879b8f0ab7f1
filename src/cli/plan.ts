import type { Command } from 'commander';
import type { Plan } from '../protocol/messages.js';
import { Client } from './client.js';
import { printJson, printTable } from './output.js';

/** `maru plan HOST`: the diff between what a host has and what it should have. */
export function addPlanCommand(program: Command): void {
  program
    .command('plan <host>')
    .description(
      "Show what the host's agent would change now; nothing on a healthy host. Exit code 1 when there is something",
    )
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExamples:\n  maru plan host1\n  maru plan host1 --json | jq .steps[].action')
    .action(async (host: string, { json }: { json?: boolean }) => {
      const { plan } = await new Client().get<{ plan: Plan }>(
        `/maru/v1/hosts/${encodeURIComponent(host)}/plan`,
      );
      if (json) printJson(plan);
      else if (plan.steps.length === 0) process.stdout.write(`host ${host} matches its specification\n`);
      else
        printTable(
          ['object', 'action', 'detail'],
          plan.steps.map((s) => [s.object, s.action, s.detail]),
        );
      if (plan.steps.length > 0) process.exitCode = 1;
    });
}
