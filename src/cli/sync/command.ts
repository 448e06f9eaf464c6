/** `sync` brings the database up to date with Calendly; `force-full` lists everything again. */
import { setFlagsFromString } from 'node:v8';
import type { Database } from '../../database/connection.js';
import { CalendlySyncError } from '../../errors.js';
import type { SyncOptions } from '../../sync/options.js';
import { type CommandContext, type CommandResult, commandAction, type DefineCommand } from '../command.js';
import { withDatabase, withExistingDatabase } from '../database.js';
import { duration, instantOrAge, integer, resource, users } from '../option-parsers.js';
import type { ManyFlags } from './many.js';

const concurrency = integer(1, 999_999);

export const sync: DefineCommand = (program, session) => {
  program
    .command('sync')
    .description('bring the database up to date: everything on the first run, only changes after that')
    .option('--user <id-or-email>', 'only this user of the database (repeatable)', users)
    .option('--dry-run', 'report what would change, write nothing')
    .option('--concurrency <n>', 'max parallel requests (default: 24)', concurrency)
    .option(
      '--since <date>',
      'only meetings from this day or time (UTC) on, or from 30d ago on',
      instantOrAge,
    )
    .option('--until <date>', 'only meetings that start before this day or time (UTC)', instantOrAge)
    .option('--event <uri-or-id>', 'read only this meeting again')
    .option(
      '--only <resource>',
      'read only event-types, members, groups, routing-forms or contacts',
      resource,
    )
    .option('--no-repair', 'do not recreate a disabled webhook subscription')
    .option('--due <duration>', 'only accounts whose last sync began so long ago: 15m, 1h', duration)
    .option('--every <duration>', 'keep running, and sync each account at this interval: 15m, 1h', duration)
    .option('--max-every <duration>', 'with --every: the longest interval while webhooks work', duration)
    .option('--for <duration>', 'end cleanly after this time: 50s', duration)
    .option('--accounts <n>', 'accounts at a time (default: 16)', integer(1, 1_000))
    .option('--tokens <file>', 'an ES module that provides the tokens of your application')
    .addHelpText('after', SYNC_EXAMPLES)
    .action(commandAction(session, runSync));
};

export const forceFull: DefineCommand = (program, session) => {
  program
    .command('force-full')
    .description('list the full two years again; unchanged rows are left alone')
    .option('--user <id-or-email>', 'only this user of the database (repeatable)', users)
    .option('--all', 'every user whose token is available')
    .option('--reread', 'read the invitees of all meetings again')
    .option('--mark-only', 'only make the next sync a full one')
    .option('--concurrency <n>', 'max parallel requests (default: 24)', concurrency)
    .addHelpText('after', FORCE_FULL_EXAMPLES)
    .action(
      commandAction(session, (context, { all, markOnly, ...flags }) => {
        if (all && flags.user) {
          throw new CalendlySyncError('usage', "--all and --user can't be used together.");
        }
        return markOnly ? markForFullSync(context, flags) : runSync(context, { ...flags, full: true });
      }),
    );
};

/** The flags have the names of the library's options. */
type SyncFlags = Pick<
  SyncOptions,
  'concurrency' | 'since' | 'until' | 'event' | 'only' | 'repair' | 'full' | 'reread'
> & {
  user?: string[] | undefined;
  dryRun?: boolean | undefined;
} & ManyFlags;

async function runSync(context: CommandContext, flags: SyncFlags): Promise<CommandResult> {
  const { config, output, signal } = context;
  const { user = [], dryRun = false, due, every, maxEvery, for: forMs, accounts, tokens, ...options } = flags;
  const many = { due, every, maxEvery, for: forMs, accounts, tokens };
  const { since, until } = options;
  if (since !== undefined && until !== undefined && since >= until) {
    throw new CalendlySyncError('usage', '--since must be before --until.');
  }
  if (options.only && dryRun)
    throw new CalendlySyncError('usage', "--only and --dry-run can't be used together.");
  const [{ sync }, { requireToken }, { showSync, syncResult }, { databaseExists }] = await Promise.all([
    import('../../sync/sync.js'),
    import('../../sync/options.js'),
    import('./output.js'),
    import('../../open-database.js'),
  ]);
  // A new database contains no token of an account.
  if (tokens === undefined && !(await databaseExists(config))) requireToken(config);
  limitHeapGrowth();
  return withDatabase(
    context,
    async (database) => {
      const common = { config, database, signal, users: user, dryRun };
      if (await isForMany(context, database, many)) {
        const { runMany } = await import('./many.js');
        return runMany(context, { ...common, ...options }, many);
      }
      const shown = await showSync(output, dryRun);
      const result = await sync({ ...common, ...options, onEvent: shown.onEvent }).finally(shown.close);
      if (dryRun) output.note('Nothing was written (--dry-run).');
      return syncResult(output, result);
    },
    { service: config.calendlyToken === null || hasManyFlags(many) },
  );
}

function hasManyFlags(flags: ManyFlags): boolean {
  return Object.values(flags).some((value) => value !== undefined);
}

/** Whether there is more to sync than the account of CALENDLY_TOKEN. */
async function isForMany({ config }: CommandContext, database: Database, flags: ManyFlags): Promise<boolean> {
  if (hasManyFlags(flags)) return true;
  const { hasTokens } = await import('../../database/tables/tokens.js');
  return config.calendlyToken === null || database.transaction(hasTokens, { readOnly: true });
}

async function markForFullSync(
  context: CommandContext,
  { user: users = [], reread }: SyncFlags,
): Promise<CommandResult> {
  const { config, output, signal } = context;
  const { requestFullSync } = await import('../../sync/sync.js');
  return withExistingDatabase(context, async (database) => {
    const marked = await requestFullSync({ config, database, signal, users, reread });
    for (const { user_id: id, email } of marked) {
      output.result(`The next sync of ${email ?? id} will be a full one.`);
    }
    return { document: { marked } };
  });
}

/**
 * Lets the heap grow by a fifth between two collections. V8's own heuristic lets it grow to a multiple of the live data
 * on a machine with much memory. A sync waits for the network most of the time, so the collector costs nothing.
 */
function limitHeapGrowth(): void {
  setFlagsFromString('--heap-growing-percent=20');
}

const SYNC_EXAMPLES = `
Examples:
  $ calendly-sync sync
  $ calendly-sync sync --json | jq .totals
  $ calendly-sync sync --dry-run
  $ calendly-sync sync --since 2025-01-01 --until 2025-02-01
  $ calendly-sync sync --only event-types
  $ calendly-sync sync --event https://api.calendly.com/scheduled_events/ID
All connected accounts, on any number of machines:
  $ calendly-sync sync --every 15m
In a crontab:
  */15 * * * * cd /srv/app && node_modules/.bin/calendly-sync sync --quiet`;

const FORCE_FULL_EXAMPLES = `
Examples:
  $ calendly-sync force-full
  $ calendly-sync force-full --user ada@example.com
  $ calendly-sync force-full --all --mark-only`;
