/** `clean-webhooks`: deletes webhook events that are no longer needed. */
import { commandAction, type DefineCommand } from '../command.js';
import { durationFrom } from '../option-parsers.js';

const parseAge = durationFrom(0);

export const cleanWebhooks: DefineCommand = (program, session) => {
  program
    .command('clean-webhooks')
    .description('delete old webhook events that were processed')
    .option('--older-than <duration>', 'min age of an event: 90s, 30m, 36h, 30d', checkAge, '30d')
    .option('--dry-run', 'count them, delete nothing')
    .option('--include-unprocessed', 'also delete events that were never processed')
    .addHelpText('after', EXAMPLES)
    .action(
      commandAction(session, async (context, { olderThan, ...flags }) => {
        const { runClean } = await import('./run.js');
        return runClean(context, { ...flags, olderThan, olderThanMs: parseAge(olderThan) });
      }),
    );
};

/** The JSON document repeats the text as it was typed. */
function checkAge(text: string): string {
  parseAge(text);
  return text;
}

const EXAMPLES = `
Examples:
  $ calendly-sync clean-webhooks
  $ calendly-sync clean-webhooks --older-than 90d --dry-run
In a crontab, every night:
  17 3 * * * cd /srv/app && node_modules/.bin/calendly-sync clean-webhooks --quiet`;
