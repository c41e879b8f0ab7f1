import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Argument, Command } from 'commander';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commandFacts } from '../../../src/cli/command-facts.js';
import { completionScript } from '../../../src/cli/completion.js';
import { createProgram } from '../../../src/cli/program.js';
import { machine } from '../../support/machine.js';

/** What is offered at the cursor after these words, asked of the shells themselves; the last word is the one being typed. */
type Asker = (script: string, ...words: string[]) => Promise<string[]>;

const bash: Asker = async (script, ...words) => {
  const program = `. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _maru; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return listed(await shell('bash', ['--norc', '-c', program, script, ...words]));
};

/** _describe and _files belong to zsh's completion system, which wants a terminal; the words are what they are given. */
const zsh: Asker = async (script, ...words) => {
  const program = `compdef() { }; _describe() { print -rl -- \${\${(P)@[-1]}%%:*} }; _files() { print FILES }
. "$0"; words=("$@"); CURRENT=$#; _maru`;
  return listed(await shell('zsh', ['-f', '-c', program, script, ...words])).filter((word) =>
    word.startsWith(words.at(-1) ?? ''),
  );
};

const fish: Asker = async (script, ...words) => {
  const program = `source ${script}; complete -C '${words.join(' ')}'`;
  return listed(await shell('fish', ['--no-config', '-c', program])).map((line) => line.split('\t')[0] ?? '');
};

async function shell(command: string, args: readonly string[]): Promise<string> {
  return (await machine.read(command, args)).stdout;
}

function listed(text: string): string[] {
  return text.split('\n').filter(Boolean).sort();
}

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'maru-completion-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function written(name: string, program: Command, shellName: string): string {
  const file = join(directory, `${name}.${shellName}`);
  writeFileSync(file, completionScript(program, shellName));
  return file;
}

/** A program with everything that a completion has to get right. */
function difficult(): Command {
  const program = new Command('maru').version('1');
  const host = program.command('host').description("Hosts: the cloud's machines");
  host.command('show <name>').description('Show one').option('--json', 'print JSON');
  host.command('list').description('List them; and more').option('-f, --format <text>', 'how');
  host.command('secret', { hidden: true });
  program
    .command('pick')
    .addArgument(new Argument('<colour>', 'which').choices(['red', 'green']))
    .option('--file <file>', 'a file')
    .option('--level <level>', 'how much');
  program.commands
    .at(-1)
    ?.options.find((o) => o.long === '--level')
    ?.choices(['low', 'high']);
  return program;
}

describe.each([
  ['bash', bash],
  ['zsh', zsh],
  ['fish', fish],
] as const)('completion for %s', (name, ask) => {
  it('offers commands, options and values where they belong', async () => {
    const script = written('difficult', difficult(), name);
    const typed = (...words: string[]) => ask(script, 'maru', ...words);
    expect(await typed('')).toEqual(['host', 'pick']);
    expect(await typed('p')).toEqual(['pick']);
    expect(await typed('host', '')).toEqual(['list', 'show']);
    expect(await typed('host', 'li')).toEqual(['list']);
    expect(await typed('host', 'list', '--')).toEqual(['--format', '--help']);
    expect(await typed('host', 'show', '--j')).toEqual(['--json']);
    // a host called list is no command
    expect(await typed('host', 'show', 'list', '--j')).toEqual(['--json']);
    // nor is the value of an option
    expect(await typed('host', 'list', '--format', '')).toEqual([]);
    expect(await typed('host', 'list', '-f', 'show', '--fo')).toEqual(['--format']);
    expect(await typed('pick', '')).toEqual(['green', 'red']);
    expect(await typed('pick', 'g')).toEqual(['green']);
    expect(await typed('pick', '--level', '')).toEqual(['high', 'low']);
    expect(await typed('pick', '--level', 'low', 'r')).toEqual(['red']);
  });

  it('knows every command of the program', async () => {
    const script = written('real', createProgram(), name);
    const parents = commandFacts(createProgram()).filter((c) => c.subcommands.length > 0);
    expect(parents.length).toBeGreaterThan(5);
    for (const parent of parents) {
      expect(await ask(script, ...parent.words, ''), parent.words.join(' ')).toEqual(
        expect.arrayContaining([...parent.subcommands]),
      );
    }
  });
});

describe('the script for bash', () => {
  it('completes files and the value after =, which bash makes a word of', async () => {
    const script = written('difficult', difficult(), 'bash');
    writeFileSync(join(directory, 'some-file'), '');
    expect(await bash(script, 'maru', 'pick', '--file', `${directory}/some-`)).toEqual([
      `${directory}/some-file`,
    ]);
    expect(await bash(script, 'maru', 'pick', '--level', '=', 'h')).toEqual(['high']);
    expect(await bash(script, 'maru', 'pick', '--level', '=')).toEqual(['high', 'low']);
    expect(await bash(script, 'maru', 'pick', '--level', '=', 'low', 'r')).toEqual(['red']);
  });
});

it('refuses a shell that it has nothing for', () => {
  expect(() => completionScript(difficult(), 'tcsh')).toThrow('no completion for tcsh');
});
