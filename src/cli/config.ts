import type { Command } from 'commander';
import type { KeyTable, Section } from '../protocol/config/key.js';
import { describeProblem, inOrder } from '../protocol/config/problem.js';
import type { SectionReading } from '../protocol/config/read.js';
import { renderDefaults, renderEffective, shownValue } from '../protocol/config/render.js';
import { CliError } from './error.js';
import { printJson } from './output.js';

const FILE = '/etc/maru/maru.yaml';

/** `maru config …`: the configuration file, as the programs read it. */
export function addConfigCommands(program: Command): void {
  const config = program.command('config').description('Check and show the configuration file');
  config
    .command('check [file]')
    .description(`Check a configuration file (${FILE}); exit code 1 when a program could not start with it`)
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Tells everything that is wrong, with line, column and what was probably meant. Warnings are about what may be meant so.

Examples:
  maru config check
  maru config check ./maru.yaml --json`,
    )
    .action(async (file: string | undefined, { json }: { json?: boolean }) => {
      await check(file ?? FILE, json === true);
    });
  config
    .command('show [file]')
    .description('Show what is in force, and where each value comes from; secrets are masked')
    .option('--defaults', 'print the whole documented file with all defaults, ready to be saved')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  maru config show\n  maru config show --defaults > /etc/maru/maru.yaml\n  maru config show --json',
    )
    .action(async (file: string | undefined, { defaults, json }: { defaults?: boolean; json?: boolean }) => {
      if (defaults) await showDefaults(json === true);
      else await show(file ?? FILE, json === true);
    });
}

async function check(file: string, json: boolean): Promise<void> {
  const { readWhole, usedSections } = await import('./config/sections.js');
  const { crossCheck } = await import('./config/cross-checks.js');
  const whole = readWhole(file);
  const { document } = whole;
  // what is derived from values that were refused says nothing
  if (document.problems.length === 0) await crossCheck(whole);
  const problems = inOrder(document.problems);
  const errors = problems.filter(({ severity }) => severity === 'error').length;
  if (errors > 0) process.exitCode = 1;
  if (json) return printJson({ file, valid: errors === 0, problems });
  for (const problem of problems) process.stdout.write(`${describeProblem(problem)}\n`);
  if (errors > 0) return;
  const used = usedSections(whole);
  const what =
    used.length > 0 ? `section ${used.join(' and section ')}` : 'it sets nothing: all is as by default';
  process.stdout.write(`${file} can be used (${what})\n`);
}

async function show(file: string, json: boolean): Promise<void> {
  const { ALL_SECTIONS, readWhole, usedSections } = await import('./config/sections.js');
  const whole = readWhole(file);
  const errors = whole.document.problems.filter(({ severity }) => severity === 'error');
  if (errors.length > 0) throw new CliError(inOrder(errors).map(describeProblem).join('\nmaru: '), 1);
  const used = usedSections(whole);
  const sections = ALL_SECTIONS.filter(({ name }) => used.length === 0 || used.includes(name));
  const readingOf = ({ name }: Section) => whole[name] as unknown as SectionReading<KeyTable>;
  if (json) {
    const shown = sections.map((section) => [section.name, asJson(section, readingOf(section))]);
    return printJson({ file, ...Object.fromEntries(shown) });
  }
  process.stdout.write(sections.map((section) => renderEffective(section, readingOf(section))).join('\n'));
}

function asJson({ keys }: Section, { values, origins }: SectionReading<KeyTable>): object {
  return Object.fromEntries(
    Object.entries(keys).map(([one, declared]) => [
      one,
      { value: shownValue(declared, values[one]), ...origins[one]!, reload: declared.reload === true },
    ]),
  );
}

async function showDefaults(json: boolean): Promise<void> {
  const { ALL_SECTIONS } = await import('./config/sections.js');
  if (!json) {
    process.stdout.write(renderDefaults(ALL_SECTIONS));
    return;
  }
  const described = ALL_SECTIONS.map(({ name, keys }) => [
    name,
    Object.fromEntries(
      Object.entries(keys).map(
        ([one, { type, description, unit, reload, secret, defaultWords, ...rest }]) => [
          one,
          {
            description,
            value: type.words,
            default: defaultWords ?? (typeof rest.default === 'function' ? null : rest.default),
            unit: unit ?? null,
            reload: reload === true,
            secret: secret === true,
          },
        ],
      ),
    ),
  ]);
  printJson(Object.fromEntries(described));
}
