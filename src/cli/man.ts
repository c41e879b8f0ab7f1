import type { Command } from 'commander';
import { programVersion } from '../protocol/version.js';
import { type CommandFacts, commandFacts, type OptionFacts } from './command-facts.js';

/** `maru man`: prints the manual page, which lists every command and option. */
export function addManCommand(program: Command): void {
  program
    .command('man')
    .description('Print the manual page of maru(1), with every command and option')
    .addHelpText('after', '\nExamples:\n  maru man | man -l -\n  maru man > /usr/local/share/man/man1/maru.1')
    .action(() => {
      process.stdout.write(manualPage(program));
    });
}

/**
 * The manual page in roff's man macros, made from the program's commands. Its date is SOURCE_DATE_EPOCH (seconds) of the
 * environment, so that the same sources give the same page; without it there is none.
 */
export function manualPage(program: Command, env: NodeJS.ProcessEnv = process.env): string {
  const commands = commandFacts(program);
  const [top] = commands;
  if (!top) throw new Error('the program has no commands');
  const epoch = env.SOURCE_DATE_EPOCH;
  const date = epoch ? new Date(Number(epoch) * 1000).toISOString().slice(0, 10) : '';
  return [
    `.TH MARU 1 "${date}" "maru ${plain(programVersion())}" "Maru"`,
    '.SH NAME',
    `maru \\- run and look after a Maru cloud`,
    '.SH SYNOPSIS',
    '.B maru',
    '.I command',
    '.RI [ arguments ]',
    '.RI [ options ]',
    '.SH DESCRIPTION',
    paragraph(top.description),
    ...top.notes.split(/\n\s*\n/).flatMap((part) => (part ? ['.PP', paragraph(part)] : [])),
    ...optionList(top.options),
    ...examples(top),
    '.SH COMMANDS',
    ...commands.slice(1).flatMap(commandSection),
    ...ENDING,
    '',
  ].join('\n');
}

const ENDING: readonly string[] = [
  '.SH EXIT STATUS',
  ...item('0', 'Done.'),
  ...item('1', 'Failed, or what was looked at is not healthy.'),
  ...item('2', 'Wrong usage; of maru policy check: it cannot be told.'),
  '.SH ENVIRONMENT',
  ...item('OS_CLOUD, OS_CLIENT_CONFIG_FILE', 'The cloud of clouds.yaml to ask, and where that file is.'),
  ...item(
    'OS_AUTH_URL, OS_USERNAME, OS_PASSWORD, OS_PROJECT_NAME …',
    'The same without a file, as for openstack(1). OS_AUTH_TYPE is password, token, v3totp, v3multifactor or v3applicationcredential, ' +
      'which takes OS_APPLICATION_CREDENTIAL_ID and OS_APPLICATION_CREDENTIAL_SECRET and no project.',
  ),
  ...item('OS_PASSWORD, OS_PASSCODE, OS_TOKEN', 'Also what a cloud of clouds.yaml leaves out.'),
  ...item('MARU_JOIN_TOKEN', 'The one-time token of maru agent --join, kept out of the list of processes.'),
  '.SH FILES',
  ...item('/etc/maru/maru.yaml', 'Configuration of controller and agent.'),
  ...item(
    '~/.config/openstack/clouds.yaml, /etc/openstack/clouds.yaml, /etc/maru/clouds.yaml',
    'Where the commands that ask the controller find it, and as whom they ask; ./clouds.yaml goes before.',
  ),
  ...item('/var/lib/maru', "The controller's state: database, keys, images."),
  ...item(
    '/var/lib/maru-agent',
    "The agent's state on a host: certificate, last specification, disks of guests.",
  ),
  '.SH SEE ALSO',
  '.BR openstack (1),',
  '.BR virsh (1),',
  '.BR ip (8),',
  '.BR systemctl (1)',
];

/** A command that only has others below it needs no section: they have theirs. Its notes are worth one. */
function commandSection(command: CommandFacts): string[] {
  if (!command.runs && !command.notes) return [];
  const usage = [...command.words, ...command.arguments.map((argument) => argument.term)].join(' ');
  return [
    `.SS ${quoted(command.options.length > 0 ? `${usage} [options]` : usage)}`,
    paragraph(command.description),
    ...command.notes.split(/\n\s*\n/).flatMap((part) => (part ? ['.PP', paragraph(part)] : [])),
    ...command.arguments.flatMap((argument) =>
      argument.description || argument.value.choices.length
        ? item(
            argument.term,
            [argument.description, choices(argument.value.choices)].filter(Boolean).join(' '),
          )
        : [],
    ),
    ...optionList(command.options),
    ...examples(command),
  ];
}

function optionList(options: readonly OptionFacts[]): string[] {
  return options
    .filter((option) => option.long !== '--help')
    .flatMap((option) =>
      item(
        option.flags,
        [
          option.description,
          choices(option.value?.choices ?? []),
          option.default === null ? '' : `(default: ${option.default})`,
          option.environment === null ? '' : `(environment: ${option.environment})`,
        ]
          .filter(Boolean)
          .join(' '),
      ),
    );
}

function choices(values: readonly string[]): string {
  return values.length ? `(one of: ${values.join(', ')})` : '';
}

function examples({ examples: lines }: CommandFacts): string[] {
  return lines.length ? ['.PP', 'Examples:', '.PP', '.RS 4', '.nf', ...lines.map(text), '.fi', '.RE'] : [];
}

function item(term: string, description: string): string[] {
  return ['.TP', `.B ${quoted(term)}`, paragraph(description)];
}

/** Lines are joined: roff fills them anew. */
function paragraph(words: string): string {
  return text(words.trim().replace(/\s*\n\s*/g, ' ')) || '\\&';
}

/** A line of text: nothing in it is a request. */
function text(line: string): string {
  return /^[.']/.test(line) ? `\\&${plain(line)}` : plain(line);
}

function quoted(argument: string): string {
  return `"${plain(argument).replaceAll('"', '\\(dq')}"`;
}

/** Characters that mean something to roff, and those beyond ASCII, which roff would read as Latin-1. */
function plain(words: string): string {
  return words
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('^', '\\(ha')
    .replaceAll('~', '\\(ti')
    .replaceAll('`', '\\(ga')
    .replaceAll("'", '\\(aq')
    .replace(
      /[^\0-\x7f]/gu,
      (character) => `\\[u${character.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0')}]`,
    );
}
