/** The commands and flags as plain data, read from commander's tree: what completion scripts and the man page show. */
import type { CommandUnknownOpts } from '@commander-js/extra-typings';

export interface DescribedFlag {
  /** `-V`; null if it has none. */
  short: string | null;
  /** `--port`. */
  long: string;
  /** `<port>`; empty for a switch. */
  value: string;
  description: string;
  choices: readonly string[];
}

export interface DescribedCommand {
  /** Below the program: `webhook serve`; empty for the program itself. */
  path: string;
  /** `<sql>`; empty without arguments. */
  args: string;
  description: string;
  flags: DescribedFlag[];
  /** What may follow its path: commands, or the choices of its argument. */
  next: { name: string; description: string }[];
}

/** A command and all below it, the program first. */
export function describeCommands(command: CommandUnknownOpts, path = ''): DescribedCommand[] {
  const args = command.registeredArguments;
  const choices = args.flatMap(({ argChoices = [] }) => argChoices);
  return [
    {
      path,
      args: args
        .map((argument) => (argument.required ? `<${argument.name()}>` : `[${argument.name()}]`))
        .join(' '),
      description: command.description(),
      flags: command.options
        .filter(({ hidden }) => !hidden)
        .map(({ short, long, flags, description, argChoices }) => ({
          short: short ?? null,
          long: long ?? '',
          value: /[<[].*/.exec(flags)?.[0] ?? '',
          description,
          choices: argChoices ?? [],
        })),
      next: [
        ...command.commands.map((child) => ({ name: child.name(), description: child.description() })),
        ...choices.map((name) => ({ name, description: '' })),
      ],
    },
    ...command.commands.flatMap((child) => describeCommands(child, `${path} ${child.name()}`.trim())),
  ];
}
