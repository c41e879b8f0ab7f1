import type { Command } from 'commander';
import type { CloudStatus } from '../core/status/status.js';
import { Client } from './client.js';
import { CliError, NoAnswer } from './error.js';
import { printJson } from './output.js';

interface StatusOptions {
  readonly json?: boolean;
  readonly watch?: true | string;
}

const WATCH_SECONDS = 5;
/** Its page comes from the database alone: a controller that takes longer is itself the news. */
const TIMEOUT_MS = 10_000;

/** `maru status`: what is wrong, first; then what there is. */
export function addStatusCommand(program: Command): void {
  program
    .command('status')
    .description('Show what is wrong first, then what there is. Exit code 1 when something is wrong')
    .option('--watch [seconds]', 'again and again, until Ctrl-C')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  maru status\n  maru status --watch 2\n  maru status --json | jq .problems',
    )
    .action(async ({ json, watch }: StatusOptions) => {
      const client = new Client(undefined, TIMEOUT_MS);
      if (watch === undefined) return await show(client, json === true);
      const seconds = watch === true ? WATCH_SECONDS : Number(watch);
      if (!(seconds >= 0.5)) throw new CliError(`--watch ${watch}: give seconds, at least 0.5`, 2);
      for (;;) {
        process.exitCode = undefined;
        if (!json) process.stdout.write(`\x1b[2J\x1b[H${new Date().toISOString()}\n`);
        await show(client, json === true);
        await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
      }
    });
}

async function show(client: Client, json: boolean): Promise<void> {
  const status = await ask(client);
  if (status.problems.length > 0) process.exitCode = 1;
  if (json) printJson(status);
  else process.stdout.write(statusText(status));
}

/** The status; that there is no answer is one too, since then this page is needed most. */
async function ask(client: Client): Promise<CloudStatus> {
  try {
    return (await client.get<{ status: CloudStatus }>('/maru/v1/status')).status;
  } catch (error) {
    if (!(error instanceof NoAnswer)) throw error;
    return {
      summary:
        'The controller does not answer. Guests and networks of the hosts run on; nothing can be changed.',
      problems: [
        {
          gravity: 'outage',
          what: error.message,
          advice: 'on the controller’s machine: sudo maru doctor; sudo systemctl restart maru-controller',
        },
      ],
      warnings: [],
      counts: {},
      capacity: {},
      database: { kind: 'sqlite', bytes: 0 },
      version: '',
    };
  }
}

const LABELS = { outage: 'OUTAGE   ', failure: 'FAILURE  ', attention: 'LOOK AT  ' } as const;

/** The page: one line, problems with what to do, warnings, and what there is. */
export function statusText(status: CloudStatus): string {
  const { summary, problems, warnings, counts, capacity, database, version } = status;
  const lines = [summary];
  if (problems.length > 0) lines.push('');
  for (const { gravity, what, advice } of problems)
    lines.push(`${LABELS[gravity]}${what}`, `         → ${advice}`);
  if (warnings.length > 0) lines.push('');
  for (const warning of warnings) lines.push(`warning  ${warning}`);
  const facts = [
    ...Object.entries(counts).map(([name, count]) => `${count} ${name}`),
    ...Object.entries(capacity).map(
      ([name, { used, total }]) => `${resource(name)} ${used} of ${total} given out`,
    ),
    ...(version ? [`database ${size(database.bytes)} (${database.kind})`, `controller ${version}`] : []),
  ];
  if (facts.length > 0) lines.push('', ...wrapped(facts, 100));
  return `${lines.join('\n')}\n`;
}

function resource(name: string): string {
  return { VCPU: 'vCPUs', MEMORY_MB: 'MB of memory', DISK_GB: 'GB of disk' }[name] ?? name;
}

function size(bytes: number): string {
  const mib = bytes / 1024 ** 2;
  return mib >= 1024 ? `${(mib / 1024).toFixed(1)} GiB` : `${mib.toFixed(1)} MiB`;
}

/** The words, separated by commas, in lines no longer than `width`. */
function wrapped(words: readonly string[], width: number): string[] {
  const lines: string[] = [];
  for (const word of words) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length + 2 <= width)
      lines[lines.length - 1] = `${last}, ${word}`;
    else lines.push(word);
  }
  return lines;
}
