import type { CommandFacts } from '../command-facts.js';
import {
  argumentValues,
  brief,
  commandPatterns,
  optionValues,
  shellQuote as quote,
  type Values,
} from './tables.js';

/** The completion script for zsh, to be found in $fpath as `_maru`. */
export function zshCompletion(commands: readonly CommandFacts[]): string {
  const name = commands[0]?.words[0] ?? '';
  const described = new Map(commands.map((c) => [c.words.join(' '), brief(c.description)]));
  const found = (c: CommandFacts) => {
    const path = c.words.join(' ');
    const children = c.subcommands.map((sub) => item(sub, described.get(`${path} ${sub}`) ?? ''));
    const options = c.options.flatMap((o) =>
      (o.long ?? o.short) ? [item(o.long ?? o.short ?? '', brief(o.description))] : [],
    );
    return `    ${quote(path)}) commands=(${children.join(' ')}); options=(${options.join(' ')}) ;;`;
  };
  return `#compdef ${name}
# zsh completion of ${name}, made by: ${name} completion zsh
_${name}() {
  local path_=${name} word value= current=\${words[CURRENT]} before=\${words[CURRENT-1]}
  local -a commands options choices
  local files=
  integer i
  # which command the words before the cursor name
  for ((i = 2; i < CURRENT; i++)); do
    word=\${words[i]}
    if [[ -n $value ]]; then value=; continue; fi
    case "$path_ $word" in
${branch(
  optionValues(commands).map((v) => v.after),
  'value=1',
)}
${branch(commandPatterns(commands), 'path_="$path_ $word"')}
    esac
  done
  case "$path_" in
${commands.map(found).join('\n')}
  esac
  if [[ -n $value ]]; then
    case "$path_ $before" in
${offers(optionValues(commands))}
    esac
    commands=() options=()
  elif [[ $current == -* ]]; then
    commands=()
  else
    options=()
    case "$path_" in
${offers(argumentValues(commands))}
    esac
  fi
  (( $#commands )) && _describe -t commands command commands
  (( $#options )) && _describe -t options option options
  (( $#choices )) && _describe -t values value choices
  [[ -n $files ]] && _files
  return 0
}
# read as a completion function it runs; sourced it registers itself
if [[ $funcstack[1] == _${name} ]]; then _${name} "$@"; else compdef _${name} ${name}; fi
`;
}

function branch(patterns: readonly string[], then: string): string {
  return patterns.length ? `      (${patterns.map(quote).join('|')}) ${then} ;;` : '';
}

function offers(values: readonly Values[]): string {
  return values
    .flatMap(({ after, value }) => {
      if (value.file) return [`      (${quote(after)}) files=1 ;;`];
      return value.choices.length
        ? [`      (${quote(after)}) choices=(${value.choices.map(quote).join(' ')}) ;;`]
        : [];
    })
    .join('\n');
}

/** `name:description` as _describe wants it. */
function item(name: string, description: string): string {
  return quote(`${name.replaceAll(':', '\\:')}:${description}`);
}
