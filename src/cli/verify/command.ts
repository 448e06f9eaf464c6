/** `verify`: compares the database with Calendly without writing. */
import { countOf } from '../../counting.js';
import { commandAction, type DefineCommand } from '../command.js';
import { withExistingDatabase } from '../database.js';
import { EXIT } from '../exit-codes.js';
import { integer, users } from '../option-parsers.js';
import { oneLine } from '../terminal/sanitize.js';

export const verify: DefineCommand = (program, session) => {
  program
    .command('verify')
    .description('compare the database with Calendly, write nothing; exits 0 if they agree, 4 if not')
    .option('--user <id-or-email>', 'only this user of the database (repeatable)', users)
    .option(
      '--sample <n>',
      'meetings whose invitees are compared, chosen at random (default: 100)',
      integer(0, 999_999),
    )
    .addHelpText('after', EXAMPLES)
    .action(
      commandAction(session, async (context, { user = [], sample }) => {
        const { config, output, signal } = context;
        const { verify: compare } = await import('../../sync/verify.js');
        const result = await withExistingDatabase(context, (database) =>
          compare({ config, database, signal, users: user, sample }),
        );
        const { differences, differences_count: total, meetings, invitees, sampled } = result;
        for (const { uri, kind, columns } of differences)
          output.result(
            oneLine(`${kind.padEnd(8)} ${uri}${columns.length > 0 ? `: ${columns.join(', ')}` : ''}`),
          );
        if (total > differences.length) output.result(`… and ${total - differences.length} more`);
        const compared = `${countOf(meetings, 'meeting')}, and ${countOf(invitees, 'invitee')} of ${sampled} of them`;
        output.result(
          total === 0 ? `✅ No differences: ${compared}` : `❌ ${countOf(total, 'difference')}: ${compared}`,
        );
        return { document: result, exitCode: total === 0 ? EXIT.ok : EXIT.checkFailed };
      }),
    );
};

const EXAMPLES = `
Examples:
  $ calendly-sync verify
  $ calendly-sync verify --sample 1000 --json | jq .differences`;
