/** `completion`: prints a script that completes commands, flags and choices in a shell. */
import { Argument } from '@commander-js/extra-typings';
import { commandAction, type DefineCommand, type Handler } from '../command.js';
import { describeCommands } from '../command-tree.js';
import { SCRIPTS } from './scripts.js';

const SHELLS = ['bash', 'zsh', 'fish'] as const;

export const completion: DefineCommand = (program, session) => {
  const run: Handler<object, [(typeof SHELLS)[number]]> = async ({ output }, _, shell) => {
    const script = SCRIPTS[shell](describeCommands(await session.wholeProgram()));
    output.raw(script);
    return { document: { shell, script } };
  };
  program
    .command('completion')
    .description('print a script that completes commands and flags in a shell')
    .addArgument(new Argument('<shell>', 'your shell').choices(SHELLS))
    .addHelpText('after', EXAMPLES)
    .action(commandAction(session, run, { needsConfig: false }));
};

const EXAMPLES = `
Examples:
  $ calendly-sync completion bash > ~/.local/share/bash-completion/completions/calendly-sync
  $ calendly-sync completion fish > ~/.config/fish/completions/calendly-sync.fish
  $ echo 'source <(calendly-sync completion zsh)' >> ~/.zshrc    # after compinit`;
