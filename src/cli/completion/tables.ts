import type { CommandFacts, ValueFacts } from '../command-facts.js';

/** Words as they are typed, joined by spaces, and what may come next. */
export interface Values {
  readonly after: string;
  readonly value: ValueFacts;
}

/** `maru host`, `maru host show` …: what leads from a command to one below it. */
export function commandPatterns(commands: readonly CommandFacts[]): string[] {
  return commands.flatMap((c) => c.subcommands.map((name) => [...c.words, name].join(' ')));
}

/** `maru host token --name` …: after these words the next one is a value. */
export function optionValues(commands: readonly CommandFacts[]): Values[] {
  return commands.flatMap((c) =>
    c.options.flatMap(({ long, short, value }) =>
      [long, short].flatMap((flag) =>
        flag && value ? [{ after: [...c.words, flag].join(' '), value }] : [],
      ),
    ),
  );
}

/** What commands take as arguments: the choices of all of them together, or files when one is a file. */
export function argumentValues(commands: readonly CommandFacts[]): Values[] {
  return commands.map((c) => ({
    after: c.words.join(' '),
    value: {
      choices: c.arguments.flatMap((argument) => argument.value.choices),
      file: c.arguments.some((argument) => argument.value.file),
    },
  }));
}

/** The first sentence of a description: what fits beside a name. */
export function brief(text: string): string {
  return text.split(/(?<=[^.])\.\s|;\s/)[0]?.replace(/\.$/, '') ?? '';
}

/** A word of bash or zsh. */
export function shellQuote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
