/** What `clean-webhooks` does after its flags are parsed. Loaded when it runs. */
import { countOf } from '../../counting.js';
import { cleanWebhookEvents } from '../../webhook/clean.js';
import type { CommandContext, CommandResult } from '../command.js';
import { withDatabase } from '../database.js';

export interface CleanFlags {
  olderThan: string;
  olderThanMs: number;
  dryRun?: true | undefined;
  includeUnprocessed?: true | undefined;
}

/** Deletes, or counts under --dry-run, and reports how many. */
export async function runClean(context: CommandContext, flags: CleanFlags): Promise<CommandResult> {
  const { output, signal } = context;
  const { olderThan, olderThanMs, dryRun = false, includeUnprocessed = false } = flags;
  const result = await withDatabase(
    context,
    async (database) => {
      const text = 'Deleting old webhook events …';
      const progress = await output.progress(text);
      const onProgress = (deleted: number) => progress.update(`${text} ${deleted.toLocaleString('en-US')}`);
      return cleanWebhookEvents({
        database,
        olderThanMs,
        includeUnprocessed,
        dryRun,
        signal,
        onProgress,
      }).finally(progress.stop);
    },
    { create: false },
  );
  const before = `${result.before.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
  const done = dryRun ? 'would be deleted' : 'deleted';
  output.result(`${countOf(result.deleted, 'webhook event')} from before ${before} ${done}.`);
  if (result.unprocessed_kept > 0) {
    const kept = countOf(result.unprocessed_kept, 'older event');
    output.note(`${kept} never processed: kept; --include-unprocessed deletes them too.`);
  }
  return { document: { ...result, older_than: olderThan, dry_run: dryRun } };
}
