/** The completion scripts. Static: completing starts no program. Pure. */
import type { DescribedCommand, DescribedFlag } from '../command-tree.js';

type Script = (commands: readonly DescribedCommand[]) => string;

const quote = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;
const takesFile = ({ value }: DescribedFlag) => value === '<file>';

/** The flags of a command, with those that all commands share. */
function flagsOf({ path, flags }: DescribedCommand, [program]: readonly DescribedCommand[]): DescribedFlag[] {
  const help = { short: '-h', long: '--help', value: '', description: 'display help', choices: [] };
  const shared = path === '' ? [] : (program?.flags ?? []).filter(({ long }) => long !== '--version');
  return [...flags, ...shared, help];
}

/** Nothing is offered after a flag that takes a value, but its choices, and files for `<file>`. */
const bash: Script = (commands) => {
  const paths = commands.filter(({ path }) => path !== '').map(({ path }) => quote(` ${path}`));
  const values = commands.flatMap((command) =>
    flagsOf(command, commands)
      .filter(({ value }) => value !== '')
      .map((flag) => {
        const choices = takesFile(flag)
          ? '$(compgen -f -- "$cur")'
          : `$(compgen -W ${quote(flag.choices.join(' '))} -- "$cur")`;
        return `    ${quote(`${command.path} ${flag.long}`.trim())}) COMPREPLY=(${choices}); return ;;`;
      }),
  );
  const words = commands.map((command) => {
    const all = [
      ...command.next.map(({ name }) => name),
      ...flagsOf(command, commands).map(({ long }) => long),
    ];
    return `    ${quote(command.path)}) words=${quote(all.join(' '))} ;;`;
  });
  return `# calendly-sync completion for bash
_calendly_sync() {
  local cur=\${COMP_WORDS[COMP_CWORD]} path='' words='' index
  for ((index = 1; index < COMP_CWORD; index++)); do
    case "\${path:+ $path} \${COMP_WORDS[index]}" in
    ${paths.join(' | ')}) path="\${path:+$path }\${COMP_WORDS[index]}" ;;
    esac
  done
  case "\${path:+$path }\${COMP_WORDS[COMP_CWORD - 1]}" in
${values.join('\n')}
  esac
  case "$path" in
${words.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -F _calendly_sync calendly-sync
`;
};

/** zsh runs the functions of bash. */
const zsh: Script = (commands) =>
  `autoload -U +X bashcompinit && bashcompinit\n${bash(commands).replace('for bash', 'for zsh')}`;

const fish: Script = (commands) => {
  const lines = commands.flatMap((command) => {
    const { path, next } = command;
    const others = next.map(({ name }) => name).join(' ');
    const seen = path
      .split(' ')
      .map((name) => `__fish_seen_subcommand_from ${name}`)
      .join('; and ');
    const here = path === '' ? '__fish_use_subcommand' : seen;
    const first = others && path !== '' ? `${here}; and not __fish_seen_subcommand_from ${others}` : here;
    const add = (condition: string, rest: string, description: string) =>
      `complete -c calendly-sync -n ${quote(condition)} ${rest}${description ? ` -d ${quote(description)}` : ''}`;
    return [
      ...next.map(({ name, description }) => add(first, `-a ${name}`, description)),
      ...flagsOf(command, commands).map((flag) => {
        const value =
          flag.value === ''
            ? ''
            : takesFile(flag)
              ? ' -r -F'
              : ` -x${flag.choices.length > 0 ? ` -a ${quote(flag.choices.join(' '))}` : ''}`;
        const short = flag.short ? `-s ${flag.short.slice(1)} ` : '';
        return add(first, `${short}-l ${flag.long.slice(2)}${value}`, flag.description);
      }),
    ];
  });
  return ['# calendly-sync completion for fish', 'complete -c calendly-sync -f', ...lines, ''].join('\n');
};

export const SCRIPTS = { bash, zsh, fish };
