/** `demo`: a walkthrough in one command, without any settings. */
import { commandAction, type DefineCommand } from '../command.js';

export const demo: DefineCommand = (program, session) => {
  const load = async () => {
    const { runDemo } = await import('./script.js');
    return runDemo(session.run);
  };
  program
    .command('demo')
    .description('walk through everything: a local Calendly, a database, two syncs, webhooks, health')
    .addHelpText('after', HELP)
    .action(commandAction(session, load, { needsConfig: false }));
};

const HELP = `
It reads no settings, sends no requests outside this machine, and leaves nothing behind.

Examples:
  $ calendly-sync demo`;
