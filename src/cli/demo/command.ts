/** `demo`: a walkthrough in one command, without any settings. */
import { commandAction, type DefineCommand, type Handler } from '../command.js';

export const demo: DefineCommand = (program, session) => {
  const run: Handler<object> = async (context) => (await import('./script.js')).runDemo(context, session.run);
  program
    .command('demo')
    .description('walk through everything: a local Calendly, a database, two syncs, webhooks, health')
    .addHelpText('after', HELP)
    .action(commandAction(session, run, { needsConfig: false }));
};

const HELP = `
It reads no settings, sends no requests outside this machine, and leaves nothing behind.

Examples:
  $ calendly-sync demo`;
