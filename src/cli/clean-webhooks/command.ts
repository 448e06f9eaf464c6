/** `clean-webhooks`: deletes webhook events that are no longer needed. */
import { Option } from '@commander-js/extra-typings';
import { countOf } from '../../counting.js';
import { formatUtc } from '../../duration.js';
import { commandAction, type DefineCommand } from '../command.js';
import { withExistingDatabase } from '../database.js';
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
    .action(
      commandAction(session, async (context, { olderThan, dryRun = false, includeUnprocessed = false }) => {
        const { output, signal } = context;
        const { cleanWebhookEvents } = await import('../../webhook/clean.js');
        const result = await withExistingDatabase(context, async (database) => {
          const text = 'Deleting old webhook events …';
          const progress = await output.progress(text);
          return cleanWebhookEvents({
            database,
            olderThanMs: olderThan.ms,
            includeUnprocessed,
            dryRun,
            signal,
            onProgress: (deleted) => progress.update(`${text} ${deleted.toLocaleString('en-US')}`),
          }).finally(progress.stop);
        });
        const done = dryRun ? 'would be deleted' : 'deleted';
        output.result(
          `${countOf(result.deleted, 'webhook event')} from before ${formatUtc(result.before)} ${done}.`,
        );
        if (result.unprocessed_kept > 0) {
          const kept = countOf(result.unprocessed_kept, 'older event');
          output.note(`${kept} never processed: kept; --include-unprocessed deletes them too.`);
        }
        return { document: { ...result, older_than: olderThan.text, dry_run: dryRun } };
      }),
    );
};

const EXAMPLES = `
Examples:
  $ calendly-sync clean-webhooks
  $ calendly-sync clean-webhooks --older-than 90d --dry-run
In a crontab, every night:
  17 3 * * * cd /srv/app && node_modules/.bin/calendly-sync clean-webhooks --quiet`;
