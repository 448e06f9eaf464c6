/** `runs`: what the last syncs did, from the database. */
import { countOf } from '../../counting.js';
import { formatDuration, formatUtc } from '../../duration.js';
import { type CommandContext, type CommandResult, commandAction, type DefineCommand } from '../command.js';
import { withExistingDatabase } from '../database.js';
import { integer, users } from '../option-parsers.js';

export const runs: DefineCommand = (program, session) => {
  program
    .command('runs')
    .description('list the last syncs that changed something or failed, the newest first')
    .option('--failed', 'only those that failed')
    .option('--user <id-or-email>', 'only this user of the database (repeatable)', users)
    .option('--limit <n>', 'max runs', integer(1, 999_999), 20)
    .addHelpText('after', EXAMPLES)
    .action(commandAction(session, runRuns));
};

interface Flags {
  failed?: boolean | undefined;
  user?: string[] | undefined;
  limit: number;
}

async function runRuns(
  context: CommandContext,
  { failed = false, user = [], limit }: Flags,
): Promise<CommandResult> {
  const { output, terminal } = context;
  const { readRuns } = await import('../../database/tables/run-history.js');
  const { requireSchema } = await import('../../database/schema.js');
  const recorded = await withExistingDatabase(context, (database) =>
    database.transaction(
      async (sql) => {
        await requireSchema(sql);
        return readRuns(sql, { users: user, failed, limit });
      },
      { readOnly: true },
    ),
  );
  const onTerminal = terminal.stdout.isTTY === true;
  const rows = recorded.map((run) => {
    const ms = run.finished_at === null ? null : +run.finished_at - +run.started_at;
    const error = [run.error_code, run.error].filter(Boolean).join(': ');
    const tone = run.status === 'complete' ? ('good' as const) : ('bad' as const);
    const { new: inserted, updated, deleted } = run;
    return [
      onTerminal ? formatUtc(run.started_at).slice(0, 16) : run.started_at.toISOString(),
      run.email ?? run.user_id,
      { text: error === '' ? run.status : `${run.status}: ${error}`, tone },
      `+${inserted} ~${updated} -${deleted}`,
      ms === null ? '' : onTerminal ? formatDuration(ms) : String(ms / 1_000),
      String(run.requests),
      run.mode,
    ];
  });
  // In order of importance: a narrow terminal loses the last ones. + new, ~ updated, - deleted.
  const head = onTerminal
    ? ['started (UTC)', 'user', 'result', '+ ~ -', 'took', 'requests', 'mode']
    : ['started', 'user', 'result', 'new_updated_deleted', 'seconds', 'requests', 'mode'];
  if (rows.length > 0) await output.table(head, rows, { minColumns: 4 });
  else output.result(failed ? 'No failed runs.' : 'No runs.');
  output.note(
    `${countOf(rows.length, 'run')}. A sync that changed nothing is recorded only once a day; rows are kept for 30 days.`,
    'dim',
  );
  return { document: { runs: recorded } };
}

const EXAMPLES = `
Examples:
  $ calendly-sync runs
  $ calendly-sync runs --failed --limit 100
  $ calendly-sync runs --user dana@example.com --json | jq '.runs[0]'`;
