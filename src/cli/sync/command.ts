/** `sync`: makes the database true to Calendly. */
import { InvalidArgumentError } from '@commander-js/extra-typings';
import { CalendlySyncError } from '../../errors.js';
import { type DefineCommand, runCommand, withSharedOptions } from '../command.js';

export const sync: DefineCommand = {
  name: 'sync',
  define(program, session) {
    withSharedOptions(program.command('sync'))
      .description('bring the database up to date: everything the first time, what changed after that')
      .option(
        '--user <id-or-email>',
        'only this user of the database (may be repeated)',
        collect,
        [] as string[],
      )
      .option('--dry-run', 'say what would change and write nothing')
      .option('--concurrency <n>', 'requests under way at once, at most (default: 24)', positiveInteger)
      .option('--since <date>', 'only meetings that start from this day or time on (UTC)', instant)
      .option('--until <date>', 'only meetings that start before this day or time (UTC)', instant)
      .option('--event <uri>', 'read this one meeting again')
      .option('--no-repair', 'leave a disabled webhook subscription as it is')
      .addHelpText('after', EXAMPLES)
      .action((options) =>
        runCommand(session, 'sync', options, async ({ config, output, signal }) => {
          const { since, until } = options;
          if (since !== undefined && until !== undefined && since >= until) {
            throw new CalendlySyncError('usage', '--since must be before --until.');
          }
          const { runSync } = await import('./run.js');
          return runSync({ config, output, signal, ...options, users: options.user });
        }),
      );
  },
};

const EXAMPLES = `
Examples:
  $ calendly-sync sync
  $ calendly-sync sync --json | jq .totals
  $ calendly-sync sync --dry-run
  $ calendly-sync sync --since 2025-01-01 --until 2025-02-01
  $ calendly-sync sync --event https://api.calendly.com/scheduled_events/ID
  */15 * * * * cd /srv/app && calendly-sync sync --quiet        (a crontab line)`;

/** Gathers a flag that may be repeated. */
export function collect(value: string, all: string[]): string[] {
  return [...all, value];
}

/** A whole number from 1 on. */
export function positiveInteger(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError('It must be a whole number from 1 on.');
  return Number(text);
}

function instant(text: string): number {
  const day = /^\d{4}-\d{2}-\d{2}$/.test(text);
  const time = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})?$/.test(text);
  const ms =
    day || time ? Date.parse(day || /(Z|[+-]\d{2}:\d{2})$/.test(text) ? text : `${text}Z`) : Number.NaN;
  if (Number.isNaN(ms)) throw new InvalidArgumentError('Write 2025-01-31 or 2025-01-31T09:00Z.');
  return ms;
}
