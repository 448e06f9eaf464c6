/** `sync`: brings the database up to date with Calendly. */
import { commandAction, type DefineCommand } from '../command.js';
import { collect, concurrency, instant } from '../option-parsers.js';

export const sync: DefineCommand = (program, session) => {
  program
    .command('sync')
    .description('bring the database up to date: everything on the first run, only changes after that')
    .option('--user <id-or-email>', 'only this user of the database (repeatable)', collect)
    .option('--dry-run', 'report what would change, write nothing')
    .option('--concurrency <n>', 'max parallel requests (default: 24)', concurrency)
    .option('--since <date>', 'only meetings that start at or after this day or time (UTC)', instant)
    .option('--until <date>', 'only meetings that start before this day or time (UTC)', instant)
    .option('--event <uri>', 'read only this meeting again')
    .option('--no-repair', 'do not recreate a disabled webhook subscription')
    .addHelpText('after', EXAMPLES)
    .action(commandAction(session, async () => (await import('./run.js')).runSync));
};

const EXAMPLES = `
Examples:
  $ calendly-sync sync
  $ calendly-sync sync --json | jq .totals
  $ calendly-sync sync --dry-run
  $ calendly-sync sync --since 2025-01-01 --until 2025-02-01
  $ calendly-sync sync --event https://api.calendly.com/scheduled_events/ID
In a crontab:
  */15 * * * * cd /srv/app && node_modules/.bin/calendly-sync sync --quiet`;
