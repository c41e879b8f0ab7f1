import type { Command } from 'commander';
import { stringify } from 'yaml';
import type { PolicyChangeView, PolicyView } from '../api/admin/policies.js';
import type { PolicyAnswer } from '../core/policy/check.js';
import type { Explanation } from '../core/policy/explain.js';
import { parsePolicies } from '../core/policy/file.js';
import { Client } from './client.js';
import { CliError } from './error.js';
import { printFields, printJson, printTable } from './output.js';
import { readTextFile } from './text-file.js';

const PATH = '/maru/v1/policies';

interface ListOptions {
  readonly overridden?: boolean;
  readonly service?: string;
  readonly json?: boolean;
}

interface CheckOptions {
  readonly user: string;
  readonly project?: string;
  readonly domain?: string;
  readonly system?: boolean;
  readonly userDomain?: string;
  readonly projectDomain?: string;
  readonly action: string;
  readonly target?: readonly string[];
  readonly rule?: string;
  readonly file?: string;
  readonly json?: boolean;
}

const ROLE_OF_YOUR_OWN = `
A role of your own: anna may look at everything in project web, and reboot its servers, but nothing else.
The key policy_file of the controller's configuration names a file as "maru policy export" writes it; what
was set by command replaces rules of the same name in that file.

Examples:
  openstack role create operator
  openstack implied role create operator --implied-role reader
  openstack role add --user anna --project web operator
  maru policy set compute:servers:reboot \\
    'rule:project_member_or_admin or (role:operator and project_id:%(project_id)s)'
  maru policy check --user anna --project web --action compute:servers:reboot`;

/** `maru policy …`: who may do what, without a policy file. */
export function addPolicyCommands(program: Command): void {
  const policy = program
    .command('policy')
    .description('Show, try and change who may do what')
    .addHelpText('after', ROLE_OF_YOUR_OWN);
  policy
    .command('list [words]')
    .description('List policies whose name or operation has the words in it, with the rule in force')
    .option('--overridden', 'only those whose rule is not the default')
    .option('--service <name>', 'only those of one service: compute, network, image, volume, placement …')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExamples:\n  maru policy list reboot\n  maru policy list --overridden')
    .action(list);
  policy
    .command('show <name>')
    .description('Show a policy: its rule, where that comes from, and what it governs')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExamples:\n  maru policy show compute:servers:create')
    .action(async (name: string, { json }: { json?: boolean }) => {
      const found = await new Client().get<{ policy: PolicyView }>(pathOf(name));
      if (json) return printJson(found.policy);
      printPolicy(found.policy);
    });
  policy
    .command('set <name> <rule>')
    .description("Set the rule of a policy, in oslo.policy's language; it holds at once, on all controllers")
    .option('--new', 'the name is new, for other rules to refer to as rule:NAME')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Examples:
  maru policy set compute:servers:create 'rule:project_manager_or_admin'
  maru policy set --new operators 'role:operator and project_id:%(project_id)s'
  maru policy set compute:servers:reboot 'rule:project_member_or_admin or rule:operators'`,
    )
    .action(async (name: string, rule: string, options: { new?: boolean; json?: boolean }) => {
      const body = { policy: { rule, ...(options.new && { own: true }) } };
      const { policy: set, notes } = await new Client().request<{ policy: PolicyView; notes: string[] }>(
        'PUT',
        pathOf(name),
        body,
      );
      printNotes(notes);
      if (options.json) return printJson(set);
      printPolicy(set);
    });
  policy
    .command('unset <name>')
    .description('Remove the rule that was set: that of the policy file, or the default, holds again')
    .addHelpText('after', '\nExamples:\n  maru policy unset compute:servers:create')
    .action(async (name: string) => {
      await new Client().request('DELETE', pathOf(name));
    });
  addCheckCommand(policy);
  addFileCommands(policy);
}

function addCheckCommand(policy: Command): void {
  policy
    .command('check')
    .description('Try whether a user may do something, also with a rule that is not set yet, and why')
    .requiredOption('--user <user>', 'name or id')
    .requiredOption('--action <name>', 'name of the policy, such as compute:servers:create')
    .option('--project <project>', "name or id of the token's project; otherwise the user's default one")
    .option('--domain <domain>', 'a token for a domain instead')
    .option('--system', 'a token for the system instead')
    .option('--user-domain <domain>', 'domain of the user (default)')
    .option('--project-domain <domain>', 'domain of the project (default)')
    .option('--target <attribute=value...>', "attributes of what it is done to; otherwise the user's own")
    .option('--rule <rule>', 'the rule to try instead of the one in force')
    .option('--file <file>', 'try with the rules of a policy file, as if it were imported')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Ends with 0 when it is allowed, with 1 when not, with 2 when that cannot be told.

Examples:
  maru policy check --user anna --project web --action compute:servers:create
  maru policy check --user anna --project web --action compute:servers:delete \\
    --target user_id=0123… --rule 'user_id:%(user_id)s'`,
    )
    .action(check);
}

function addFileCommands(policy: Command): void {
  policy
    .command('export')
    .description("Print the rules that differ from the defaults as a policy file (oslo.policy's YAML)")
    .option('--all', 'also the defaults, as comments')
    .addHelpText('after', '\nExamples:\n  maru policy export > policy.yaml\n  maru policy export --all')
    .action(async ({ all }: { all?: boolean }) => {
      const { policies } = await new Client().get<{ policies: PolicyView[] }>(PATH);
      process.stdout.write(policyFile(policies, all === true));
    });
  policy
    .command('import <file>')
    .description('Set the rules of a policy file, all or none')
    .option('--replace', 'remove what was set and is not in the file')
    .addHelpText('after', '\nExamples:\n  maru policy import policy.yaml')
    .action(async (file: string, { replace }: { replace?: boolean }) => {
      const body = { policies: rulesOf(file), ...(replace && { replace: true }) };
      const { changes, notes } = await new Client().request<{
        changes: PolicyChangeView[];
        notes: string[];
      }>('PUT', PATH, body);
      printNotes(notes);
      printTable(
        ['name', 'before', 'now'],
        changes.map((change) => [change.name, ruleText(change.old), ruleText(change.new)]),
      );
    });
}

/** The rules as a file that oslo.policy, and `policy_file`, read. */
export function policyFile(policies: readonly PolicyView[], all: boolean): string {
  const lines: string[] = [];
  for (const { name, rule, source, uses, default: usual } of policies) {
    if (source === 'default' && !all) continue;
    for (const { service, method, path, summary } of uses) {
      lines.push(`# ${service}: ${method} ${path}: ${summary}`);
    }
    if (source !== 'default' && usual !== null) lines.push(`# default: ${usual}`);
    const entry = stringify({ [name]: rule }, { lineWidth: 0, defaultStringType: 'QUOTE_DOUBLE' }).trimEnd();
    lines.push(source === 'default' ? entry.replaceAll(/^/gm, '#') : entry, '');
  }
  return lines.length === 0 ? '# every rule is the default\n{}\n' : `${lines.join('\n').trimEnd()}\n`;
}

/** An explanation as lines: what holds, what does not, and why. */
export function explanationLines(part: Explanation, depth = 0): string[] {
  const why = part.why === '' ? '' : `  (${part.why})`;
  return [
    `${'  '.repeat(depth)}${part.holds ? '✓' : '✗'} ${part.check}${why}`,
    ...part.parts.flatMap((inner) => explanationLines(inner, depth + 1)),
  ];
}

async function list(words: string | undefined, { overridden, service, json }: ListOptions): Promise<void> {
  const { policies } = await new Client().get<{ policies: PolicyView[] }>(PATH);
  const wanted = policies.filter(
    (one) =>
      (!overridden || one.source !== 'default') &&
      (service === undefined || one.uses.some((use) => use.service === service)) &&
      (words === undefined || searchText(one).includes(words.toLowerCase())),
  );
  if (json) return printJson(wanted);
  printTable(
    ['name', 'from', 'rule'],
    wanted.map((one) => [one.name, one.source, ruleText(one.rule)]),
  );
}

function searchText({ name, uses }: PolicyView): string {
  return [name, ...uses.flatMap(({ method, path, summary }) => [`${method} ${path}`, summary])]
    .join('\n')
    .toLowerCase();
}

/** Exit codes of its own: 1 is an answer, so what cannot be answered is 2. */
async function check(options: CheckOptions): Promise<void> {
  const answer = await ask(options).catch((error: unknown) => {
    throw error instanceof CliError ? new CliError(error.message, 2) : error;
  });
  if (options.json) printJson(answer);
  else printAnswer(answer);
  if (!answer.allowed) process.exitCode = 1;
}

async function ask(options: CheckOptions): Promise<PolicyAnswer> {
  const { user, project, domain, system, action, rule } = options;
  const body = {
    user,
    action,
    ...(project !== undefined && { project }),
    ...(domain !== undefined && { domain }),
    ...(system && { system: true }),
    ...(options.userDomain !== undefined && { user_domain: options.userDomain }),
    ...(options.projectDomain !== undefined && { project_domain: options.projectDomain }),
    target: Object.fromEntries((options.target ?? []).map(attribute)),
    ...(rule !== undefined && { rule }),
    ...(options.file !== undefined && { rules: rulesOf(options.file) }),
  };
  const reply = await new Client().request<{ check: PolicyAnswer }>('POST', `${PATH}/check`, { check: body });
  return reply.check;
}

function printAnswer(answer: PolicyAnswer): void {
  printFields([
    ['policy', answer.policy],
    ['allowed', answer.allowed ? 'yes' : 'no'],
    ['user', `${answer.user.name} (${answer.user.id})`],
    ['scope', answer.scope],
    ['roles', answer.roles.join(', ') || 'none'],
    ['target', Object.entries(answer.target).map(([name, value]) => `${name}=${value}`)],
    ['rule', ruleText(answer.rule)],
    ['why', explanationLines(answer.explanation)],
    ...(answer.notes.length > 0 ? ([['notes', answer.notes]] as const) : []),
  ]);
}

function printPolicy(policy: PolicyView): void {
  printFields([
    ['name', policy.name],
    ['rule', ruleText(policy.rule)],
    ['from', policy.source],
    ['default', policy.default ?? 'none: a name of your own'],
    ...(policy.file === null ? [] : ([['policy file', ruleText(policy.file)]] as const)),
    ...(policy.updated_at === null
      ? []
      : ([['set', `${policy.updated_at} by user ${policy.updated_by ?? 'unknown'}`]] as const)),
    ['governs', policy.uses.map(({ method, path, summary }) => `${method} ${path}: ${summary}`)],
  ]);
}

/** Beside what is printed for others to read. */
function printNotes(notes: readonly string[]): void {
  for (const note of notes) process.stderr.write(`maru: note: ${note}\n`);
}

function ruleText(rule: unknown): string {
  if (rule === null) return '-';
  return typeof rule === 'string' ? rule || "'' (everybody)" : JSON.stringify(rule);
}

function rulesOf(file: string): Record<string, unknown> {
  const text = readTextFile(file);
  try {
    return Object.fromEntries(parsePolicies(text, file));
  } catch (error) {
    throw new CliError((error as Error).message);
  }
}

function attribute(text: string): [string, string | boolean] {
  const at = text.indexOf('=');
  if (at <= 0) throw new CliError(`--target ${text}: expected attribute=value`);
  const value = text.slice(at + 1);
  return [text.slice(0, at), value === 'true' || value === 'false' ? value === 'true' : value];
}

function pathOf(name: string): string {
  return `${PATH}/${encodeURIComponent(name)}`;
}
