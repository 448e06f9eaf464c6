/** What `webhook serve` and `webhook replay` do after their flags are parsed. */
import { countOf } from '../../counting.js';
import type { Database } from '../../database/connection.js';
import { requireWebhookSchema } from '../../database/schema.js';
import { CalendlySyncError, toCalendlySyncError } from '../../errors.js';
import { sync } from '../../sync/sync.js';
import { cleanWebhookEvents } from '../../webhook/clean.js';
import { createWebhookHandler, WEBHOOK_PATH } from '../../webhook/receiver/handler.js';
import { logLines, type ReceiverEvent } from '../../webhook/receiver/log-lines.js';
import { type PeriodicTask, runWebhookService } from '../../webhook/receiver/service.js';
import { replayWebhookEvents } from '../../webhook/replay.js';
import type { CommandContext, CommandResult } from '../command.js';
import { withDatabase } from '../database.js';
import { EXIT } from '../exit-codes.js';
import { showSync, syncResult } from '../sync/output.js';
import type { Output } from '../terminal/output.js';
import { oneLine } from '../terminal/sanitize.js';

interface ServeFlags {
  host: string;
  port: number;
  publicUrl?: string | undefined;
  /** In ms. */
  syncEvery?: number | undefined;
  /** In ms. */
  cleanEvery?: number | undefined;
}

const EVENTS_OLDER_THAN_MS = 30 * 86_400_000;

/** Serves until a signal stops it. */
export async function runServe(context: CommandContext, flags: ServeFlags): Promise<CommandResult> {
  const { config, output, signal } = context;
  const { host, port, publicUrl, syncEvery, cleanEvery } = flags;
  const counts = { received: 0, failed: 0 };
  return withDatabase(
    context,
    async (database) => {
      const handler = createWebhookHandler({
        database,
        signingKeys: config.webhookSigningKeys,
        toleranceMs: config.webhookToleranceMs,
        publicUrl: publicUrl ?? null,
        onEvent(event) {
          if (event.type === 'received') counts.received++;
          if (event.type === 'not_stored') counts.failed++;
          showEvent(output, event);
        },
      });
      await checkSchema(output, database);
      await runWebhookService({
        handler,
        host,
        port,
        signal,
        tasks: [
          ...periodic(output, syncEvery, (signal) => backupSync(context, database, signal)),
          ...periodic(output, cleanEvery, (signal) => cleanEvents(output, database, signal)),
        ],
        onListening(url) {
          output.note(`Listening on ${url}${WEBHOOK_PATH}`);
          if (publicUrl === undefined) output.note(`Setup check: curl -s ${url}${WEBHOOK_PATH}/test`, 'dim');
        },
      });
      const handled = `${counts.received} ${counts.received === 1 ? 'delivery' : 'deliveries'}`;
      output.note(`Stopped. ${handled} handled, none pending.`);
      return { document: { ...counts } };
    },
    { service: true },
  );
}

function showEvent(output: Output, event: ReceiverEvent): void {
  for (const { text, level } of logLines(event)) {
    if (level === 'error') output.warn(oneLine(text));
    else output.result(oneLine(text));
  }
}

/** A missing schema ends the command. An unreachable database does not: deliveries get a 503 until it is back. */
async function checkSchema(output: Output, database: Database): Promise<void> {
  try {
    await database.transaction(requireWebhookSchema, { readOnly: true });
  } catch (caught) {
    const error = toCalendlySyncError(caught);
    if (error.code !== 'database_unreachable') throw error;
    output.warn(`${error.message} Deliveries get a 503 until it does; Calendly retries them.`);
  }
}

/** A task at an interval, if there is one; its errors are shown, and the receiver goes on. */
function periodic(output: Output, everyMs: number | undefined, work: PeriodicTask['run']): PeriodicTask[] {
  if (everyMs === undefined) return [];
  const run = (signal: AbortSignal) =>
    work(signal).catch((error) => {
      if (!signal.aborted) output.error(toCalendlySyncError(error).toReport());
    });
  return [{ everyMs, run }];
}

async function backupSync({ config, output }: CommandContext, database: Database, signal: AbortSignal) {
  const shown = await showSync(output);
  const result = await sync({ config, database, signal, onEvent: shown.onEvent }).finally(shown.close);
  syncResult(output, result);
}

async function cleanEvents(output: Output, database: Database, signal: AbortSignal) {
  const { deleted } = await cleanWebhookEvents({ database, olderThanMs: EVENTS_OLDER_THAN_MS, signal });
  output.result(`Deleted ${countOf(deleted, 'webhook event')} older than 30 days.`);
}

/** Applies the stored deliveries, and reports those that are still waiting. */
export async function runReplay(context: CommandContext): Promise<CommandResult> {
  const { output, signal } = context;
  const replay = async (database: Database) => {
    // Checked here without retries: an unreachable database is reported at once.
    await database.transaction(requireWebhookSchema, { readOnly: true });
    return replayWebhookEvents({
      database,
      signal,
      onApplied: (result) => showEvent(output, { type: 'received', result }),
    });
  };
  const result = await withDatabase(context, replay, { create: false });
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
