import { CommanderError } from 'commander';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { findCredentials } from '../../../src/cli/credentials.js';
import { createProgram } from '../../../src/cli/program.js';

describe('maru', () => {
  beforeEach(() => {
    vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  });
  afterEach(() => vi.restoreAllMocks());

  const outcome = async (...words: string[]) => {
    try {
      await createProgram().parseAsync(['node', 'maru', ...words]);
      return 'done';
    } catch (error) {
      return error instanceof CommanderError ? error.code : error;
    }
  };

  it('refuses wrong usage of every command instead of ending the process', async () => {
    expect(await outcome('nope')).toBe('commander.unknownCommand');
    expect(await outcome('host', 'nope')).toBe('commander.unknownCommand');
    expect(await outcome('host', 'show')).toBe('commander.missingArgument');
    expect(await outcome('plan', 'host1', '--nope')).toBe('commander.unknownOption');
  });

  it('has help with examples for every command that takes arguments', async () => {
    for (const words of [
      ['host', 'show'],
      ['server', 'explain'],
      ['plan'],
      ['lab', 'up'],
      ['controller'],
      ['agent'],
    ]) {
      vi.mocked(process.stdout.write).mockClear();
      expect(await outcome(...words, '--help')).toBe('commander.helpDisplayed');
      const text = vi
        .mocked(process.stdout.write)
        .mock.calls.map(([part]) => String(part))
        .join('');
      expect(text, words.join(' ')).toContain('Examples:');
    }
  });

  it('says which credentials are missing', () => {
    expect(() =>
      findCredentials({ OS_AUTH_URL: 'http://127.0.0.1:1/identity/v3', OS_USERNAME: 'admin' }),
    ).toThrow('OS_PASSWORD is missing');
  });
});
