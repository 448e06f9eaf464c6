/** `grant-read`: lets a database role read what was synced. */
import { commandAction, type DefineCommand } from '../command.js';
import { withExistingDatabase } from '../database.js';

export const grantRead: DefineCommand = (program, session) => {
  program
    .command('grant-read')
    .description('let a database role read the synced tables and views; rollback undoes it')
    .argument('<role>', 'a role that exists')
    .addHelpText('after', EXAMPLES)
    .action(
      commandAction(session, async (context, _flags, role) => {
        const { grantRead: grant } = await import('../../database/readers.js');
        const result = await withExistingDatabase(context, (database) => grant(database, role));
        const { tables, views } = result;
        context.output.result(`✅ ${role} may read ${tables.length} tables and ${views.length} views`);
        return { document: result };
      }),
    );
};

const EXAMPLES = `
Examples:
  $ calendly-sync grant-read reporting`;
