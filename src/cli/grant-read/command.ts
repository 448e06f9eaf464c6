/** `grant-read`: lets a database role read what was synced. */
import { commandAction, type DefineCommand } from '../command.js';
import { withDatabase } from '../database.js';

export const grantRead: DefineCommand = (program, session) => {
  program
    .command('grant-read')
    .description('let a database role read the synced tables and views; rollback undoes it')
    .argument('<role>', 'a role that exists')
    .addHelpText('after', EXAMPLES)
    .action((role, flags, command) =>
      commandAction(session, async (context) => {
        const { grantRead: grant } = await import('../../database/readers.js');
        const result = await withDatabase(context, (database) => grant(database, role), { create: false });
        const { tables, views } = result;
        context.output.result(`✅ ${role} may read ${tables.length} tables and ${views.length} views`);
        return { document: result };
      })(flags, command),
    );
};

const EXAMPLES = `
Examples:
  $ calendly-sync grant-read reporting`;
