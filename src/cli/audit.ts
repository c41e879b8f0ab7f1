import type { Command } from 'commander';
import type { AuditRecord } from '../core/audit/read.js';
import { isTrailKind } from '../core/trail/kinds.js';
import { Client } from './client.js';
import { CliError } from './error.js';
import { printFields, printJson, printTable } from './output.js';

interface ListOptions {
  readonly user?: string;
  readonly project?: string;
  readonly action?: string;
  readonly service?: string;
  readonly outcome?: string;
  readonly status?: string;
  readonly target?: string;
  readonly type?: string;
  readonly request?: string;
  readonly address?: string;
  readonly since?: string;
  readonly until?: string;
  readonly limit?: string;
  readonly marker?: string;
  readonly json?: boolean;
}

const UNITS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `maru audit`: who did what. */
export function addAuditCommands(program: Command): void {
  const audit = program.command('audit').description('List who changed what, or tried to, in all services');
  audit
    .command('list')
    .description('List requests that changed something or were to, and logins, the latest first')
    .option('--user <user>', 'of the user with that id or name')
    .option(
      '--project <project>',
      'in the project with that id or name, or about what is in the project with that id',
    )
    .option(
      '--action <action>',
      'policy name, such as identity:create_user; with * at its end: all that begin so',
    )
    .option(
      '--service <service>',
      'identity, compute, network, image, volume, placement, admin or controller',
    )
    .option('--outcome <outcome>', 'succeeded, refused, failed or unfinished')
    .option('--status <code>', 'HTTP status of the answer')
    .option('--target <target>', 'about the thing with that id or name')
    .option('--type <type>', 'about things of that type, such as server or user')
    .option('--request <id>', 'of the request with that id, or with that global id of its client')
    .option('--address <address>', 'from that address')
    .option('--since <time>', 'from then on: 30m, 12h, 7d, or a time such as 2030-01-31T09:00:00Z')
    .option('--until <time>', 'before then')
    .option('--limit <n>', 'so many at most (usually 100, at most 1000)')
    .option('--marker <id>', 'go on from this record to older ones')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Times are UTC. Outcomes: refused is an answer 4xx (nothing was changed), failed is 5xx, unfinished was changing something when its
controller ended. What a request led to can be followed by its id: maru server trail, maru logs --request.

Examples:
  maru audit list --since 1h
  maru audit list --outcome refused --status 401 --since 1d
  maru audit list --action 'identity:delete_*'
  maru audit list --target web1`,
    )
    .action(async ({ json, type, request, since, until, ...options }: ListOptions) => {
      const query = new URLSearchParams(options as Record<string, string>);
      if (type) query.set('target_type', type);
      if (request) query.set('request_id', request);
      for (const [name, time] of Object.entries({ since, until })) if (time) query.set(name, timeOf(time));
      const found = await new Client().get<{ records: AuditRecord[]; next: string | null }>(
        `/maru/v1/audit?${query}`,
      );
      if (json) return printJson(found);
      printTable(
        ['time', 'who', 'project', 'action', 'target', 'outcome', 'from', 'id'],
        found.records.map((one) => [
          inUtc(one.at),
          one.user ? (one.user.name ?? one.user.id) : '-',
          scopeOf(one),
          one.action,
          targetOf(one),
          outcomeOf(one),
          one.address,
          one.id,
        ]),
      );
      if (found.next) process.stdout.write(`\nThere are more: --marker ${found.next}\n`);
    });
  audit
    .command('show <record>')
    .description('Show one record; a request id shows those of the request')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExamples:\n  maru audit show req-5f0b54c3-6d3f-4c53-8ea5-0f1e0f9d6b8e')
    .action(async (id: string, { json }: { json?: boolean }) => {
      const records = await find(id);
      if (json) return printJson(id.startsWith('req-') ? records : records[0]);
      records.forEach((record, index) => {
        if (index > 0) process.stdout.write('\n');
        printRecord(record);
      });
    });
}

async function find(id: string): Promise<readonly AuditRecord[]> {
  const client = new Client();
  if (!id.startsWith('req-')) {
    return [(await client.get<{ record: AuditRecord }>(`/maru/v1/audit/${encodeURIComponent(id)}`)).record];
  }
  const { records } = await client.get<{ records: AuditRecord[] }>(
    `/maru/v1/audit?request_id=${encodeURIComponent(id)}`,
  );
  if (records.length === 0) {
    throw new CliError(
      `Request ${id} has left no record: it only read, is no longer kept, or was counted with others.`,
    );
  }
  return records;
}

function printRecord(record: AuditRecord): void {
  const { request, user, target, detail } = record;
  const more = detail !== null && typeof detail === 'object' ? Object.entries(detail) : [];
  printFields([
    ['Record', record.id],
    ['Time', inUtc(record.at)],
    ...(record.repeats > 1
      ? [['Stands for', `${record.repeats} requests until ${inUtc(record.last_at)}`] as const]
      : []),
    ['Action', `${record.action} (${record.service})`],
    ['Outcome', `${outcomeOf(record)}${record.reason ? `: ${record.reason}` : ''}`],
    ['User', user ? `${withId(user)} of domain ${user.domain ? withId(user.domain) : '-'}` : 'not known'],
    [
      'Scope',
      record.scope === null ? '-' : `${record.scope}${record.project ? ` ${withId(record.project)}` : ''}`,
    ],
    [record.project ? "Project's domain" : 'Domain', record.domain && withId(record.domain)],
    ['Application credential', record.application_credential_id],
    ['Trust', record.trust_id],
    ['Token', record.token_audit_id],
    ['From', record.address],
    ['Target', targetOf(record)],
    ['Target id', target.id],
    ["Target's project", target.project_id],
    ['Request', request.id],
    ['Global request', request.global_id],
    ['Call', request.method && `${request.method} ${request.path}`],
    ...more.map(
      ([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)] as const,
    ),
  ]);
  if (isTrailKind(target.type ?? '') && target.id) {
    process.stdout.write(`\nWhat it led to:  maru trail ${target.type}/${target.id}\n`);
  }
  if (request.id) process.stdout.write(`What was logged: maru logs --request ${request.id}\n`);
}

function scopeOf({ project, domain, scope }: AuditRecord): string {
  if (project) return project.name ?? project.id;
  if (scope === 'domain') return `domain ${domain?.name ?? domain?.id}`;
  return scope ?? '-';
}

function targetOf({ target: { type, id, name } }: AuditRecord): string {
  return type === null ? '-' : `${type}${name || id ? ` ${name ?? id}` : ''}`;
}

function outcomeOf({ outcome, status, repeats }: AuditRecord): string {
  return `${outcome}${status === null ? '' : ` ${status}`}${repeats > 1 ? ` ×${repeats}` : ''}`;
}

function withId({ id, name }: { readonly id: string; readonly name: string | null }): string {
  return name === null || name === id ? id : `${name} (${id})`;
}

function inUtc(time: string): string {
  return time.replace('T', ' ').replace('Z', '');
}

/** `30m`, `12h`, `7d` ago, or what is a time already. */
function timeOf(text: string): string {
  const [, number, unit] = /^(\d+)([mhd])$/.exec(text) ?? [];
  return number ? new Date(Date.now() - Number(number) * UNITS[unit!]!).toISOString() : text;
}
