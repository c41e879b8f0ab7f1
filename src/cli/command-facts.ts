import type { Argument, Command, Option } from 'commander';

/** One command of the program as plain data, for what is made from all of them: completion scripts and the manual page. */
export interface CommandFacts {
  /** Its words, from the program's name on: ['maru', 'host', 'show']. */
  readonly words: readonly string[];
  readonly description: string;
  readonly arguments: readonly ArgumentFacts[];
  readonly options: readonly OptionFacts[];
  /** Names of the commands below it. */
  readonly subcommands: readonly string[];
  /** It does something by itself; false where only its subcommands do. */
  readonly runs: boolean;
  /** What its help says after the lists, without the examples. */
  readonly notes: string;
  /** The lines below "Examples:" in its help, without their common indentation. */
  readonly examples: readonly string[];
}

export interface ArgumentFacts {
  /** As usage shows it: `<name>`, `[host]`, `<command...>`. */
  readonly term: string;
  readonly description: string;
  readonly value: ValueFacts;
}

export interface OptionFacts {
  /** As help shows it: `--name <host>`. */
  readonly flags: string;
  readonly short: string | null;
  readonly long: string | null;
  readonly description: string;
  /** What follows the option; null when nothing does. */
  readonly value: ValueFacts | null;
  readonly default: string | null;
  readonly environment: string | null;
}

/** What may be typed as a value: one of the choices, a file, or anything else. */
export interface ValueFacts {
  readonly choices: readonly string[];
  readonly file: boolean;
}

/** The program and every command below it that help shows, each parent before its children. */
export function commandFacts(program: Command): readonly CommandFacts[] {
  return walk(program, []);
}

function walk(command: Command, parents: readonly string[]): CommandFacts[] {
  const words = [...parents, command.name()];
  const help = command.createHelp();
  // the command "help" that commander adds by itself says what --help says
  const children = help.visibleCommands(command).filter((child) => command.commands.includes(child));
  const facts: CommandFacts = {
    words,
    description: command.description(),
    arguments: command.registeredArguments.map(argumentFacts),
    options: help.visibleOptions(command).map(optionFacts),
    subcommands: children.map((child) => child.name()),
    runs: children.length === 0 || acts(command),
    ...textAfterHelp(command),
  };
  return [facts, ...children.flatMap((child) => walk(child, words))];
}

/** Whether `.action()` was called; commander keeps that to itself and tells by the help of a command without arguments only. */
function acts(command: Command): boolean {
  return Boolean((command as unknown as { _actionHandler: unknown })._actionHandler);
}

function argumentFacts(argument: Argument): ArgumentFacts {
  const name = argument.name() + (argument.variadic ? '...' : '');
  return {
    term: argument.required ? `<${name}>` : `[${name}]`,
    description: argument.description,
    value: valueFacts(argument.name(), argument.argChoices),
  };
}

function optionFacts(option: Option): OptionFacts {
  const takesValue = option.required || option.optional;
  const name = /[<[]([^>\].]+)/.exec(option.flags)?.[1] ?? '';
  const said = option.defaultValueDescription ?? option.defaultValue;
  return {
    flags: option.flags,
    short: option.short ?? null,
    long: option.long ?? null,
    description: option.description,
    value: takesValue ? valueFacts(name, option.argChoices) : null,
    default: said === undefined || typeof said === 'boolean' || said === '' ? null : String(said),
    environment: option.envVar ?? null,
  };
}

function valueFacts(name: string, choices: readonly string[] = []): ValueFacts {
  return { choices, file: choices.length === 0 && /(^|[-_ ])(file|path|dir|directory)s?$/i.test(name) };
}

/** What `.addHelpText('after', …)` adds: commander writes it when it shows help. */
function textAfterHelp(command: Command): { notes: string; examples: string[] } {
  let text = '';
  const context = {
    error: false,
    command,
    write: (part: string) => {
      text += part;
    },
  };
  // its types leave out that a command is an emitter
  (command as unknown as NodeJS.EventEmitter).emit('afterHelp', context);
  const [before = '', after = ''] = text.split(/^Examples?:\n/m);
  // what stands at the margin again is no example
  const end = /^\S/m.exec(after)?.index ?? after.length;
  return {
    notes: `${before.trim()}\n\n${after.slice(end).trim()}`.trim(),
    examples: unindented(after.slice(0, end)),
  };
}

function unindented(text: string): string[] {
  const lines = text.trimEnd().split('\n');
  const filled = lines.filter((line) => line.trim());
  if (filled.length === 0) return [];
  const indent = Math.min(...filled.map((line) => line.length - line.trimStart().length));
  return lines.map((line) => line.slice(indent).trimEnd());
}
