/** `migrate`: brings the database to the newest schema. */
import { type DefineCommand, runCommand, withSharedOptions } from '../command.js';

export const migrate: DefineCommand = {
  name: 'migrate',
  define(program, session) {
    withSharedOptions(program.command('migrate'))
      .description('apply the migrations that the database lacks')
      .option('--to <version>', 'stop after this version')
      .option('--status', 'show what is applied and what is pending; exit code 4 when something is')
      .action((options) =>
        runCommand(session, 'migrate', options, async ({ output }) => {
          output.result('nothing here yet');
          return { document: {} };
        }),
      );
  },
};
