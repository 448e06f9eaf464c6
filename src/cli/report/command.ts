/** `report`: bookings by week, host, source and so on, from the views that any SQL client can read too. */
import { Option } from '@commander-js/extra-typings';
import { CalendlySyncError } from '../../errors.js';
import { type CommandContext, commandAction, type DefineCommand } from '../command.js';
import { withExistingDatabase } from '../database.js';
import { localTime, tableColumn } from '../option-parsers.js';

const NAMES = [
  'weekly',
  'hosts',
  'sources',
  'cancellations',
  'lead-time',
  'people',
  'answers',
  'chains',
  'revenue',
] as const;

export const report: DefineCommand = (program, session) => {
  program
    .command('report')
    .description('show what became of the bookings, by week, host, source and so on')
    .argument('[report]', `one of ${NAMES.join(', ')}`, 'weekly')
    .option('--from <date>', 'bookings from this day or time on, in the time zone of the report', localTime)
    .option('--to <date>', 'bookings before this day or time', localTime)
    .option('--timezone <zone>', "days and weeks of this time zone (default: the host's)")
    .addOption(
      new Option('--axis <axis>', 'a booking counts when the meeting takes place, or when it was booked')
        .choices(['meeting', 'booked'])
        .default('meeting' as const),
    )
    .addOption(new Option('--by <group>', 'one row for each').choices(['host', 'type', 'source']))
    .option('--match <table:column>', 'how many invitees a column of e-mail addresses has', tableColumn)
    .option('--csv', 'print CSV')
    .addHelpText('after', EXAMPLES)
    .action(commandAction(session, run));
};

interface Flags {
  from?: string;
  to?: string;
  timezone?: string;
  axis: 'meeting' | 'booked';
  by?: 'host' | 'type' | 'source';
  match?: { table: string; column: string };
  csv?: true;
}

async function run(context: CommandContext, flags: Flags, name: string) {
  const { output } = context;
  const chosen = NAMES.find((known) => known === name);
  if (!chosen) {
    const hint = `Choose one of ${NAMES.join(', ')}.`;
    throw new CalendlySyncError('usage', `There is no report ${name}.`, { hint });
  }
  const { match } = flags;
  if (match) {
    const { matchInvitees } = await import('../../reports/match.js');
    const result = await withExistingDatabase(context, (database) =>
      matchInvitees(database, match.table, match.column),
    );
    output.result(`${result.matched} of ${result.people} people are in ${match.table}.${match.column}`);
    await output.table(
      ['Not there', 'Bookings'],
      result.unmatched.map(({ email, bookings }) => [email, String(bookings)]),
    );
    const rest = result.unmatched_count - result.unmatched.length;
    if (rest > 0) output.result(`… and ${rest} more`);
    return { document: result };
  }
  const { readReport, REPORTS } = await import('../../reports/report.js');
  const { from = null, to = null, timezone = null, axis, by = null } = flags;
  const result = await withExistingDatabase(context, (database) =>
    readReport({ database, report: chosen, from, to, timezone, axis, by }),
  );
  const { showReport } = await import('./output.js');
  await showReport(context, result, REPORTS[chosen].chart, flags.csv === true);
  return { document: result };
}

const EXAMPLES = `
Examples:
  $ calendly-sync report
  $ calendly-sync report weekly --axis booked --from 2026-01-01 --timezone Europe/Berlin
  $ calendly-sync report sources --by type --csv > sources.csv
  $ calendly-sync report people --match customers:email`;
