/** What `clean-webhooks` does after its flags are parsed. Loaded when it runs. */
import { countOf } from '../../counting.js';
import type { Database } from '../../database/connection.js';
import { cleanWebhookEvents } from '../../webhook/clean.js';
import type { CommandContext, CommandResult } from '../command.js';
import { withDatabase } from '../database.js';

export interface CleanFlags {
  olderThan: { text: string; ms: number };
  dryRun?: true | undefined;
  includeUnprocessed?: true | undefined;
}

/** Deletes, or counts under --dry-run, and reports how many. */
export async function runClean(context: CommandContext, flags: CleanFlags): Promise<CommandResult> {
  const { output, signal } = context;
  const { olderThan, dryRun = false, includeUnprocessed = false } = flags;
  const clean = async (database: Database) => {
    const text = 'Deleting old webhook events …';
    const progress = await output.progress(text);
    const onProgress = (deleted: number) => progress.update(`${text} ${deleted.toLocaleString('en-US')}`);
    const options = { database, olderThanMs: olderThan.ms, includeUnprocessed, dryRun, signal, onProgress };
    return cleanWebhookEvents(options).finally(progress.stop);
  };
  const result = await withDatabase(context, clean, { create: false });
  const before = `${result.before.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
  const done = dryRun ? 'would be deleted' : 'deleted';
  output.result(`${countOf(result.deleted, 'webhook event')} from before ${before} ${done}.`);
  if (result.unprocessed_kept > 0) {
    const kept = countOf(result.unprocessed_kept, 'older event');
    output.note(`${kept} never processed: kept; --include-unprocessed deletes them too.`);
  }
  return { document: { ...result, older_than: olderThan.text, dry_run: dryRun } };
}
