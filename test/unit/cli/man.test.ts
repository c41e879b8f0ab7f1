import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { commandFacts } from '../../../src/cli/command-facts.js';
import { manualPage } from '../../../src/cli/man.js';
import { createProgram } from '../../../src/cli/program.js';
import { machine } from '../../support/machine.js';

const ENV = { SOURCE_DATE_EPOCH: '1700000000' };

/** What man(1) shows, on a screen wide enough that no line is broken in the middle of a term; fails on any warning. */
async function shown(page: string): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'maru-man-'));
  try {
    const file = join(directory, 'maru.1');
    writeFileSync(file, page);
    const env = {
      MANWIDTH: '300',
      LC_ALL: 'C.UTF-8',
      MANROFFOPT: '-ww',
      GROFF_NO_SGR: '1',
      MAN_KEEP_FORMATTING: '',
    };
    const { stdout, stderr } = await machine.read('man', ['--warnings', '-E', 'UTF-8', '-l', file], { env });
    expect(stderr).toBe('');
    return stdout;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

describe('every command', () => {
  const commands = commandFacts(createProgram());

  it('is found', () => {
    expect(commands.length).toBeGreaterThan(30);
  });

  it.each(commands.map((c) => [c.words.join(' '), c] as const))(
    '%s says what it does, with examples',
    (words, c) => {
      expect(c.description).not.toBe('');
      for (const option of c.options) expect(option.description, option.flags).not.toBe('');
      if (!c.runs) return;
      expect(c.examples.length).toBeGreaterThan(0);
      expect(c.examples.join('\n')).toContain(words);
    },
  );
});

describe('the manual page', () => {
  it('lists every command, argument, option and example, and man shows it without a warning', async () => {
    const text = await shown(manualPage(createProgram(), ENV));
    expect(text).toMatch(/^MARU\(1\)/);
    expect(text).toContain('2023-11-14');
    for (const heading of ['NAME', 'SYNOPSIS', 'COMMANDS', 'EXIT STATUS', 'FILES']) {
      expect(text).toMatch(new RegExp(`^${heading}$`, 'm'));
    }
    const lines = text.split('\n');
    for (const command of commandFacts(createProgram()).filter((c) => c.runs && c.words.length > 1)) {
      const usage = [...command.words, ...command.arguments.map((a) => a.term)].join(' ');
      // headings of commands are indented less than everything else
      const at = lines.findIndex((line) => line === `   ${usage}` || line === `   ${usage} [options]`);
      expect(at, usage).toBeGreaterThan(0);
      const end = lines.findIndex((line, n) => n > at && /^ {0,3}\S/.test(line));
      const section = lines.slice(at, end).map((line) => line.trim());
      for (const option of command.options.filter((o) => o.long !== '--help')) {
        expect(
          section.some((line) => line.startsWith(option.flags)),
          `${usage}: ${option.flags}`,
        ).toBe(true);
      }
      for (const example of command.examples.filter(Boolean)) expect(section).toContain(example.trim());
    }
  });

  it('shows characters that mean something to roff as they are', async () => {
    const program = new Command('maru').version('1').description("It's \\fBnot bold\\fR");
    program
      .command('odd')
      .description(".SH is no request, 'nor this; a-b ~/c `d` ^e … 마루")
      .option('--say <"word">', 'a \\ and "quotes"')
      .addHelpText('after', "\nExamples:\n  .so /etc/passwd\n  'x' \\n");
    const text = await shown(manualPage(program, ENV));
    for (const piece of [
      "It's \\fBnot bold\\fR",
      ".SH is no request, 'nor this; a-b ~/c `d` ^e … 마루",
      '--say <"word">',
      'a \\ and "quotes"',
      '.so /etc/passwd',
      "'x' \\n",
    ]) {
      expect(text).toContain(piece);
    }
  });

  it('has no date without SOURCE_DATE_EPOCH: the same sources give the same page', () => {
    expect(manualPage(createProgram(), {})).toBe(manualPage(createProgram(), {}));
    expect(manualPage(createProgram(), {})).toMatch(/^\.TH MARU 1 "" /);
  });
});
