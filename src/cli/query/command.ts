/** `query`: one read-only SQL statement, also on the embedded database, which no other client can open. */
import { commandAction, type DefineCommand } from '../command.js';
import { withExistingDatabase } from '../database.js';

export const query: DefineCommand = (program, session) => {
  program
    .command('query')
    .description('run one read-only SQL statement')
    .argument('<sql>', 'the statement; quote it for the shell')
    .option('--csv', 'print CSV')
    .addHelpText('after', EXAMPLES)
    .action(
      commandAction(session, async (context, flags, statement) => {
        const { output } = context;
        const { runQuery } = await import('../../reports/query.js');
        const { columns, rows } = await withExistingDatabase(context, (database) =>
          runQuery(database, statement),
        );
        const { cellText, csv } = await import('../terminal/formats.js');
        if (flags.csv) output.raw(csv(columns, rows));
        else {
          await output.table(
            columns,
            rows.map((row) => row.map(cellText)),
          );
          output.note(`${rows.length} ${rows.length === 1 ? 'row' : 'rows'}`, 'dim');
        }
        return { document: { columns, rows } };
      }),
    );
};

const EXAMPLES = `
Examples:
  $ calendly-sync query 'select outcome, count(*) from calendly_bookings group by 1'
  $ calendly-sync query 'select * from calendly_people limit 10' --csv`;
