import type { Command } from 'commander';
import { Client } from './client.js';
import { printJson, printTable } from './output.js';

interface Key {
  readonly purpose: string;
  readonly id: string;
  readonly created_at: string;
  readonly in_use: boolean;
}

/** `maru keys …`: the keys that sign tokens and seal credentials. */
export function addKeyCommands(program: Command): void {
  const keys = program
    .command('keys')
    .description('Show and rotate the keys that sign tokens and seal credentials')
    .addHelpText(
      'after',
      `
The keys are in the database, sealed by STATE_DIR/credential-key, which every controller of one database needs.
A new key for tokens begins daily by itself.`,
    );
  keys
    .command('list')
    .description('List the keys: their ids and ages, never the keys themselves')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExamples:\n  maru keys list')
    .action(async ({ json }: { json?: boolean }) => {
      const reply = await new Client().get<{ keys: Key[] }>('/maru/v1/keys');
      if (json) printJson(reply.keys);
      else print(reply.keys);
    });
  const rotate = keys.command('rotate').description('Begin to use a new key');
  rotate
    .command('tokens')
    .description('Sign tokens with a new key; those signed before stay good until they expire')
    .option('--end-tokens', 'forget the older keys, which ends every token: for keys that were stolen')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExamples:\n  maru keys rotate tokens\n  maru keys rotate tokens --end-tokens')
    .action(async ({ endTokens, json }: { endTokens?: boolean; json?: boolean }) => {
      const body = { end_tokens: endTokens === true };
      const reply = await new Client().request<{ keys: Key[] }>('POST', '/maru/v1/keys/tokens/rotate', body);
      if (json) printJson(reply.keys);
      else print(reply.keys);
    });
  rotate
    .command('credentials')
    .description('Seal EC2, TOTP and OAuth secrets anew with a new key')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExamples:\n  maru keys rotate credentials')
    .action(async ({ json }: { json?: boolean }) => {
      const reply = await new Client().request<{ keys: Key[]; sealed: number }>(
        'POST',
        '/maru/v1/keys/credentials/rotate',
        {},
      );
      if (json) return printJson(reply);
      process.stdout.write(`${reply.sealed} secret(s) sealed anew\n`);
      print(reply.keys);
    });
}

function print(keys: readonly Key[]): void {
  printTable(
    ['KEY OF', 'ID', 'MADE', 'IN USE'],
    keys.map((key) => [key.purpose, key.id, key.created_at, key.in_use ? 'yes' : '']),
  );
}
