/** `demo`: a walkthrough in one command, without any settings. */
import { commandAction, type DefineCommand } from '../command.js';

/** Enough for two pages of a listing, and few enough to be copied in a second. */
const MEETINGS = 150;

export const demo: DefineCommand = (program, session) => {
  program
    .command('demo')
    .description(
      'walk through everything: a local Calendly, an embedded database, two syncs, webhooks, health',
    )
    .addHelpText('after', HELP)
    .action(
      commandAction(
        session,
        async (context) => {
          const [{ createEnvironment }, { runDemo }] = await Promise.all([
            import('./environment.js'),
            import('./script.js'),
          ]);
          const environment = await createEnvironment(context, session.run, MEETINGS);
          try {
            return { document: await runDemo(context, environment) };
          } finally {
            await environment.close();
          }
        },
        { needsConfig: false },
      ),
    );
};

const HELP = `
It needs and reads no settings, sends no requests outside this machine, and leaves
nothing behind.

Examples:
  $ calendly-sync demo`;
