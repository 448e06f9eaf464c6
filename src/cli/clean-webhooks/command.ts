/** `clean-webhooks`: deletes webhook events that are no longer needed. */
import { Option } from '@commander-js/extra-typings';
import { commandAction, type DefineCommand } from '../command.js';
import { durationFrom } from '../option-parsers.js';

/** The JSON document repeats the duration as it was typed. */
const age = (text: string) => ({ text, ms: durationFrom(0)(text) });

export const cleanWebhooks: DefineCommand = (program, session) => {
  program
    .command('clean-webhooks')
    .description('delete old webhook events that were processed')
    .addOption(
      new Option('--older-than <duration>', 'min age of an event: 90s, 30m, 36h, 30d')
        .argParser(age)
        .default(age('30d'), '30d'),
    )
    .option('--dry-run', 'count them, delete nothing')
    .option('--include-unprocessed', 'also delete events that were never processed')
    .addHelpText('after', EXAMPLES)
    .action(commandAction(session, async () => (await import('./run.js')).runClean));
};

const EXAMPLES = `
Examples:
  $ calendly-sync clean-webhooks
  $ calendly-sync clean-webhooks --older-than 90d --dry-run
In a crontab, every night:
  17 3 * * * cd /srv/app && node_modules/.bin/calendly-sync clean-webhooks --quiet`;
