import { Argument, type Command } from 'commander';
import { type CommandFacts, commandFacts } from './command-facts.js';
import { bashCompletion } from './completion/bash.js';
import { fishCompletion } from './completion/fish.js';
import { zshCompletion } from './completion/zsh.js';

const SHELLS: Readonly<Record<string, (commands: readonly CommandFacts[]) => string>> = {
  bash: bashCompletion,
  zsh: zshCompletion,
  fish: fishCompletion,
};

/** `maru completion SHELL`: prints the script with which a shell completes commands and options. */
export function addCompletionCommand(program: Command): void {
  program
    .command('completion')
    .description('Print the script with which a shell completes the commands and options of maru')
    .addArgument(new Argument('<shell>', 'the shell').choices(Object.keys(SHELLS)))
    .addHelpText(
      'after',
      `
Examples:
  . <(maru completion bash)                                          this shell only
  maru completion bash > /etc/bash_completion.d/maru
  maru completion zsh > /usr/local/share/zsh/site-functions/_maru
  maru completion fish > ~/.config/fish/completions/maru.fish`,
    )
    .action((shell: string) => {
      process.stdout.write(completionScript(program, shell));
    });
}

/** The script for one of bash, zsh and fish. It is made from the program's commands, so it has all of them. */
export function completionScript(program: Command, shell: string): string {
  const make = SHELLS[shell];
  if (!make) throw new Error(`no completion for ${shell} (there is ${Object.keys(SHELLS).join(', ')})`);
  return make(commandFacts(program));
}
