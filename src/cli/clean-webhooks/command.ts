/** `clean-webhooks`: deletes webhook events that nobody needs any more. */
import { countOf } from '../../counting.js';
import { parseDuration } from '../../duration.js';
import { CalendlySyncError } from '../../errors.js';
import {
  type CommandContext,
  type CommandResult,
  type DefineCommand,
  runCommand,
  withSharedOptions,
} from '../command.js';

interface CleanFlags {
  olderThan: string;
  dryRun?: true | undefined;
  includeUnprocessed?: true | undefined;
}

export const cleanWebhooks: DefineCommand = {
  name: 'clean-webhooks',
  define(program, session) {
    withSharedOptions(program.command('clean-webhooks'))
      .description('delete old webhook events that were processed')
      .option('--older-than <duration>', 'received longer ago than this: 90s, 30m, 36h, 30d', '30d')
      .option('--dry-run', 'count them, delete nothing')
      .option('--include-unprocessed', 'also those that were never processed')
      .addHelpText(
        'after',
        '\nExamples:\n  $ calendly-sync clean-webhooks\n  $ calendly-sync clean-webhooks --older-than 90d --dry-run' +
          '\nEvery night, from cron:\n  17 3 * * * calendly-sync clean-webhooks --quiet',
      )
      .action((options) =>
        runCommand(session, 'clean-webhooks', options, (context) => run(context, options)),
      );
  },
};

async function run(context: CommandContext, flags: CleanFlags): Promise<CommandResult> {
  const { output, signal } = context;
  const { olderThan, dryRun = false, includeUnprocessed = false } = flags;
  const olderThanMs = parseDuration(olderThan);
  if (olderThanMs === null) {
    throw new CalendlySyncError('usage', `--older-than: "${olderThan}" is no duration.`, {
      hint: 'Write 90s, 30m, 36h or 30d.',
    });
  }
  const [{ withDatabase }, { cleanWebhookEvents }] = await Promise.all([
    import('../database.js'),
    import('../../webhook/clean.js'),
  ]);
  const result = await withDatabase(
    context,
    async (database) => {
      const progress = await output.progress('Deleting old webhook events …');
      try {
        return await cleanWebhookEvents({
          database,
          olderThanMs,
          includeUnprocessed,
          dryRun,
          signal,
          onProgress: (deleted) =>
            progress.update(`Deleting old webhook events … ${deleted.toLocaleString('en-US')}`),
        });
      } finally {
        progress.stop();
      }
    },
    { create: false },
  );
  const before = `${result.before.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
  output.result(
    `${countOf(result.deleted, 'webhook event')} from before ${before} ${dryRun ? 'would be deleted' : 'deleted'}.`,
  );
  if (result.unprocessed_kept > 0) {
    output.note(
      `${countOf(result.unprocessed_kept, 'older event')} never processed: kept; --include-unprocessed deletes them too.`,
    );
  }
  return { document: { ...result, older_than: olderThan, dry_run: dryRun } };
}
