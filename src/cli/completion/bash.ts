import type { CommandFacts } from '../command-facts.js';
import { argumentValues, commandPatterns, optionValues, shellQuote as quote, type Values } from './tables.js';

/** The completion script for bash, which needs nothing but bash itself. */
export function bashCompletion(commands: readonly CommandFacts[]): string {
  const name = commands[0]?.words[0] ?? '';
  const offered = (c: CommandFacts) =>
    `    ${quote(c.words.join(' '))}) commands=${quote(c.subcommands.join(' '))}; options=${quote(optionWords(c))} ;;`;
  return `# bash completion of ${name}, made by: ${name} completion bash
_${name}() {
  local current=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} path=${name} word i value=
  local commands= options= choices= files=
  COMPREPLY=()
  # which command the words before the cursor name; bash splits --name=x into three
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    if [[ $word == = ]]; then value=1; continue; fi
    if [[ -n $value ]]; then value=; continue; fi
    case "$path $word" in
${branch(
  optionValues(commands).map((v) => v.after),
  'value=1',
)}
${branch(commandPatterns(commands), 'path="$path $word"')}
    esac
  done
  if [[ $current == = ]]; then current=; elif [[ $before == = ]]; then before=\${COMP_WORDS[COMP_CWORD-2]}; fi
  case "$path" in
${commands.map(offered).join('\n')}
  esac
  if [[ -n $value ]]; then
    case "$path $before" in
${offers(optionValues(commands))}
    esac
    commands= options=
  elif [[ $current == -* ]]; then
    commands=
  else
    options=
    case "$path" in
${offers(argumentValues(commands))}
    esac
  fi
  if [[ -n $files ]]; then
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
  else
    mapfile -t COMPREPLY < <(compgen -W "$commands $options $choices" -- "$current")
  fi
}
complete -F _${name} ${name}
`;
}

function branch(patterns: readonly string[], then: string): string {
  return patterns.length ? `      ${patterns.map(quote).join(' | ')}) ${then} ;;` : '';
}

function offers(values: readonly Values[]): string {
  return values
    .flatMap(({ after, value }) => {
      if (value.file) return [`      ${quote(after)}) files=1 ;;`];
      return value.choices.length
        ? [`      ${quote(after)}) choices=${quote(value.choices.join(' '))} ;;`]
        : [];
    })
    .join('\n');
}

function optionWords(command: CommandFacts): string {
  return command.options
    .flatMap((option) => [option.long, option.long ? null : option.short])
    .filter(Boolean)
    .join(' ');
}
