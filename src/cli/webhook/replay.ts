/** What `webhook replay` does. Loaded when it runs. */
import { requireSchema } from '../../database/schema.js';
import { CalendlySyncError } from '../../errors.js';
import { logLines } from '../../webhook/receiver/log-lines.js';
import { replayWebhookEvents } from '../../webhook/replay.js';
import type { CommandContext, CommandResult } from '../command.js';
import { withDatabase } from '../database.js';
import { EXIT } from '../exit-codes.js';
import { oneLine } from '../terminal/sanitize.js';

/** Applies the stored deliveries, and reports those that are still waiting. */
export async function runReplay(context: CommandContext): Promise<CommandResult> {
  const { output, signal } = context;
  const result = await withDatabase(
    context,
    async (database) => {
      // Checked here without retries: an unreachable database is reported at once.
      const { hasSyncState } = await database.transaction(requireSchema, { readOnly: true });
      if (!hasSyncState) {
        throw new CalendlySyncError(
          'schema_not_ready',
          'Migration 022 is not applied: there are no webhook events.',
          { hint: 'Run: calendly-sync migrate' },
        );
      }
      return replayWebhookEvents({
        database,
        signal,
        onApplied(result) {
          for (const { text } of logLines({ type: 'received', result })) output.result(oneLine(text));
        },
      });
    },
    { create: false },
  );
  const { applied, unmatched, failed } = result;
  if (signal.aborted) {
    throw new CalendlySyncError('stopped', `Stopped after ${applied} webhook events were applied.`, {
      hint: 'Run the same command again to continue.',
    });
  }
  for (const { event_id: id, error } of failed) output.warn(`✖ ${oneLine(id)}: ${oneLine(error)}`);
  output.result(`${applied} applied, ${failed.length} failed, ${unmatched} waiting for their host.`);
  if (unmatched > 0) output.note('They are applied when that host syncs for the first time.', 'dim');
  return { document: result, exitCode: failed.length > 0 ? EXIT.failed : EXIT.ok };
}
