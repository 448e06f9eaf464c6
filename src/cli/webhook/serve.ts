/** What `webhook serve` does after its flags are parsed. Loaded when it runs. */
import type { Database } from '../../database/connection.js';
import { requireWebhookSchema } from '../../database/schema.js';
import { toCalendlySyncError } from '../../errors.js';
import { sync } from '../../sync/sync.js';
import { cleanWebhookEvents } from '../../webhook/clean.js';
import { createWebhookHandler, WEBHOOK_PATH } from '../../webhook/receiver/handler.js';
import { logLines } from '../../webhook/receiver/log-lines.js';
import { type PeriodicTask, runWebhookService } from '../../webhook/receiver/service.js';
import type { CommandContext, CommandResult } from '../command.js';
import { withDatabase } from '../database.js';
import { showSync, syncResult } from '../sync/output.js';
import { oneLine } from '../terminal/sanitize.js';

export interface ServeFlags {
  host: string;
  port: number;
  publicUrl?: string | undefined;
  syncEvery?: number | undefined;
  cleanEvery?: number | undefined;
}

const EVENTS_OLDER_THAN_MS = 30 * 86_400_000;

/** Serves until a signal stops it. */
export async function runServe(context: CommandContext, flags: ServeFlags): Promise<CommandResult> {
  const { config, output, signal } = context;
  const counts = { received: 0, failed: 0 };
  return withDatabase(
    context,
    async (database) => {
      const handler = createWebhookHandler({
        database,
        signingKeys: config.webhookSigningKeys,
        toleranceMs: config.webhookToleranceMs,
        publicUrl: flags.publicUrl ?? null,
        onEvent(event) {
          if (event.type === 'received') counts.received++;
          if (event.type === 'not_stored') counts.failed++;
          for (const { text, level } of logLines(event)) {
            if (level === 'error') output.warn(oneLine(text));
            else output.result(oneLine(text));
          }
        },
      });
      await checkSchema(context, database);
      await runWebhookService({
        handler,
        host: flags.host,
        port: flags.port,
        signal,
        tasks: periodicTasks(context, database, flags),
        onListening(url) {
          output.note(`Listening on ${url}${WEBHOOK_PATH}`);
          if (flags.publicUrl === undefined)
            output.note(`Setup check: curl -s ${url}${WEBHOOK_PATH}/test`, 'dim');
        },
      });
      output.note(
        `Stopped. ${counts.received} ${counts.received === 1 ? 'delivery' : 'deliveries'} handled, none pending.`,
      );
      return { document: { ...counts } };
    },
    { service: true },
  );
}

/** A missing schema ends the command. An unreachable database does not: deliveries get a 503 until it is back. */
async function checkSchema({ output }: CommandContext, database: Database): Promise<void> {
  try {
    await database.transaction(requireWebhookSchema, { readOnly: true });
  } catch (caught) {
    const error = toCalendlySyncError(caught);
    if (error.code !== 'database_unreachable') throw error;
    output.warn(`${error.message} Deliveries get a 503 until it does; Calendly retries them.`);
  }
}

function periodicTasks(
  { config, output }: CommandContext,
  database: Database,
  { syncEvery, cleanEvery }: ServeFlags,
): PeriodicTask[] {
  const runSync = async (signal: AbortSignal) => {
    const shown = await showSync(output);
    try {
      syncResult(output, await sync({ config, database, signal, onEvent: shown.onEvent }));
    } finally {
      shown.close();
    }
  };
  const runClean = async (signal: AbortSignal) => {
    const { deleted } = await cleanWebhookEvents({ database, olderThanMs: EVENTS_OLDER_THAN_MS, signal });
    output.result(`Deleted ${deleted} webhook events older than 30 days.`);
  };
  const task = (everyMs: number | undefined, work: PeriodicTask['run']): PeriodicTask[] => {
    if (everyMs === undefined) return [];
    const run = (signal: AbortSignal) =>
      work(signal).catch((error) => {
        if (!signal.aborted) output.error(toCalendlySyncError(error).toReport());
      });
    return [{ everyMs, run }];
  };
  return [...task(syncEvery, runSync), ...task(cleanEvery, runClean)];
}
