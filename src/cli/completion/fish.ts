import type { CommandFacts, OptionFacts } from '../command-facts.js';
import { argumentValues, brief, commandPatterns, optionValues } from './tables.js';

/** The completion script for fish. */
export function fishCompletion(commands: readonly CommandFacts[]): string {
  const name = commands[0]?.words[0] ?? '';
  const described = new Map(commands.map((c) => [c.words.join(' '), brief(c.description)]));
  const at = (path: string) => `complete -c ${name} -n ${quote(`__${name}_at ${quote(path)}`)}`;
  const subcommands = commands.flatMap((c) =>
    c.subcommands.map((sub) => {
      const path = c.words.join(' ');
      return `${at(path)} -a ${quote(sub)} -d ${quote(described.get(`${path} ${sub}`) ?? '')}`;
    }),
  );
  const options = commands.flatMap((c) => c.options.map((o) => `${at(c.words.join(' '))} ${optionText(o)}`));
  const values = argumentValues(commands).flatMap(({ after, value }) => [
    ...(value.choices.length ? [`${at(after)} -a ${quote(value.choices.join(' '))}`] : []),
    ...(value.file ? [`${at(after)} -F`] : []),
  ]);
  return `# fish completion of ${name}, made by: ${name} completion fish
function __${name}_at --description 'Whether the words before the cursor name this command'
    set -l path ${name}
    set -l value
    for word in (commandline -opc)[2..-1]
        if test -n "$value"
            set value
            continue
        end
        switch "$path $word"
            case ${optionValues(commands)
              .map((v) => quote(v.after))
              .join(' ')}
                set value 1
            case ${commandPatterns(commands).map(quote).join(' ')}
                set path "$path $word"
        end
    end
    test "$path" = "$argv[1]"
end
complete -c ${name} -f
${[...subcommands, ...options, ...values].join('\n')}
`;
}

function optionText({ long, short, value, description }: OptionFacts): string {
  const flags = [long && `-l ${long.slice(2)}`, short && `-s ${short.slice(1)}`].filter(Boolean).join(' ');
  const choices = value?.choices.length ? ` -a ${quote(value.choices.join(' '))}` : '';
  const takes = value ? (value.file ? ' -r -F' : ` -x${choices}`) : '';
  return `${flags}${takes} -d ${quote(brief(description))}`;
}

function quote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
