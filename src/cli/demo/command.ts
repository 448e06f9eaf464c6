/** `demo`: the whole story in one command, without any settings. */
import {
  type CommandContext,
  type CommandResult,
  type DefineCommand,
  runCommand,
  withSharedOptions,
} from '../command.js';

/** Enough to fill two pages of a listing, and few enough to be copied in a second. */
const MEETINGS = 150;

export const demo: DefineCommand = {
  name: 'demo',
  define(program, session) {
    withSharedOptions(program.command('demo'))
      .description('show everything once: a local Calendly, an embedded database, two syncs, a health report')
      .addHelpText(
        'after',
        '\nNeeds no settings and heeds none, asks nobody outside this machine, and leaves nothing behind.\n' +
          '\nExamples:\n  $ calendly-sync demo',
      )
      .action((options) => runCommand(session, 'demo', options, run, { needsConfig: false }));
  },
};

async function run(context: CommandContext): Promise<CommandResult> {
  const [{ createStage }, { tell }] = await Promise.all([import('./environment.js'), import('./script.js')]);
  const stage = await createStage(context, MEETINGS);
  try {
    return { document: await tell(context, stage) };
  } finally {
    await stage.close();
  }
}
