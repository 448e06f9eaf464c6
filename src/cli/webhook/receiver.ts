/** What `webhook serve` and `webhook replay` do after their flags are parsed. */
import { countOf } from '../../counting.js';
import type { Database } from '../../database/connection.js';
import { requireWebhookSchema } from '../../database/schema.js';
import { countUnmatched } from '../../database/tables/webhook-events.js';
import { CalendlySyncError, toCalendlySyncError } from '../../errors.js';
import { prometheusText } from '../../health/prometheus.js';
import { healthReport } from '../../health/report.js';
import { metricsText } from '../../prometheus.js';
import { cleanWebhookEvents } from '../../webhook/clean.js';
import { createWebhookHandler, requireSigningKeys, WEBHOOK_PATH } from '../../webhook/receiver/handler.js';
import { resultLines } from '../../webhook/receiver/log-lines.js';
import type { Address } from '../../webhook/receiver/server.js';
import { type PeriodicTask, runWebhookService } from '../../webhook/receiver/service.js';
import { replayWebhookEvents } from '../../webhook/replay.js';
import type { CommandContext, CommandResult } from '../command.js';
import { withDatabase, withExistingDatabase } from '../database.js';
import { EXIT } from '../exit-codes.js';
import { oneLine } from '../terminal/sanitize.js';
import { createBackupSync } from './backup-sync.js';
import { createServiceLog, type LogFormat, type ServiceLog } from './log.js';
import { statusPage } from './page.js';

export interface ServeFlags {
  host: string;
  port?: number | undefined;
  adminPort?: Address;
  pageTokenFile?: string;
  publicUrl?: string | undefined;
  syncEvery?: number | undefined;
  cleanEvery?: number | undefined;
  drain: number;
  discardUnmatched?: true | undefined;
  logFormat: LogFormat;
}

const DEFAULT_PORT = 8787;
const EVENTS_OLDER_THAN_MS = 30 * 86_400_000;

/** Serves until a signal stops it. */
export async function runServe(context: CommandContext, flags: ServeFlags): Promise<CommandResult> {
  const { config, signal } = context;
  requireSigningKeys(config.webhookSigningKeys);
  const log = createServiceLog(context, flags.logFormat);
  const { output } = log;
  const counts = { received: 0, failed: 0 };
  let failedBeforeStop = 0;
  const onStop = () => {
    failedBeforeStop = counts.failed;
  };
  signal.addEventListener('abort', onStop, { once: true });
  return withDatabase(
    { ...context, output },
    async (database) => {
      const page = statusPage(context, database, flags);
      const handler = createWebhookHandler({
        database,
        signingKeys: config.webhookSigningKeys,
        toleranceMs: config.webhookToleranceMs,
        publicUrl: flags.publicUrl ?? null,
        discardUnmatched: flags.discardUnmatched ?? false,
        moreMetrics: () => syncMetrics(context, database, log),
        statusPage: page,
        onEvent(event) {
          if (event.type === 'received') counts.received++;
          if (event.type === 'not_stored') counts.failed++;
          log.event(event);
        },
      });
      await checkSchema(log, database);
      await runWebhookService({
        handler,
        address: { host: flags.host, port: flags.port ?? config.port ?? DEFAULT_PORT },
        adminAddress: flags.adminPort ?? null,
        drainMs: flags.drain,
        signal,
        tasks: periodicTasks(context, log, database, flags),
        onListening(url, adminUrl) {
          output.note(`Listening on ${url}${WEBHOOK_PATH}`);
          if (page.token !== null || page.local.main) output.note(`Status page: ${url}/`);
          if (adminUrl !== null)
            output.note(`Metrics and setup check: ${adminUrl}/metrics, ${adminUrl}/test`);
          if (flags.publicUrl === undefined)
            output.note(`Setup check: curl -s ${url}${WEBHOOK_PATH}/test`, 'dim');
        },
      });
      if (counts.failed > failedBeforeStop) throw notStored(counts.failed - failedBeforeStop);
      const handled = `${counts.received} ${counts.received === 1 ? 'delivery' : 'deliveries'} handled`;
      const lost = log.lost() > 0 ? ` ${countOf(log.lost(), 'log line')} could not be written.` : '';
      output.note(`Stopped. ${handled}, none pending.${lost}`);
      return { document: { ...counts } };
    },
    { service: true },
  );
}

function notStored(count: number): CalendlySyncError {
  return new CalendlySyncError(
    'database_unreachable',
    `Stopped, but ${count} of the deliveries in progress could not be stored.`,
    { hint: 'They got no 2xx: Calendly sends them again.' },
  );
}

/** A missing schema ends the command. An unreachable database does not: deliveries get a 503 until it is back. */
async function checkSchema({ output }: ServiceLog, database: Database): Promise<void> {
  try {
    await database.transaction(requireWebhookSchema, { readOnly: true });
  } catch (caught) {
    const error = toCalendlySyncError(caught);
    if (error.code !== 'database_unreachable') throw error;
    output.warn(`${error.message} Deliveries get a 503 until it does; Calendly retries them.`);
  }
}

function periodicTasks(
  context: CommandContext,
  { output }: ServiceLog,
  database: Database,
  { syncEvery, cleanEvery }: ServeFlags,
): PeriodicTask[] {
  const tasks: PeriodicTask[] = [];
  const add = (everyMs: number, work: PeriodicTask['run']) => {
    const report = (error: unknown) => output.error(toCalendlySyncError(error).toReport());
    tasks.push({
      everyMs,
      run: (signal) =>
        work(signal).catch((error) => {
          if (!signal.aborted) report(error);
        }),
    });
  };
  if (syncEvery) add(syncEvery, createBackupSync({ ...context, output }, database, syncEvery));
  if (cleanEvery) {
    add(cleanEvery, async (signal) => {
      const { deleted } = await cleanWebhookEvents({ database, olderThanMs: EVENTS_OLDER_THAN_MS, signal });
      output.result(`Deleted ${countOf(deleted, 'webhook event')} older than 30 days.`);
    });
  }
  return tasks;
}

/** The state of the sync and of the log. A database that does not answer is already among the receiver's metrics. */
async function syncMetrics({ config }: CommandContext, database: Database, log: ServiceLog): Promise<string> {
  const own = metricsText('calendly_sync_', [
    {
      name: 'log_lines_lost_total',
      type: 'counter',
      help: 'Log lines that no reader took.',
      samples: [{ value: log.lost() }],
    },
  ]);
  try {
    const report = await healthReport({ database, config, offline: true });
    return own + prometheusText(report);
  } catch {
    return own;
  }
}

/** Applies the stored deliveries, and reports those that are still waiting. */
export async function runReplay(context: CommandContext): Promise<CommandResult> {
  const { output, signal } = context;
  const replay = async (database: Database) => {
    // Checked here without retries: an unreachable database is reported at once.
    await database.transaction(requireWebhookSchema, { readOnly: true });
    const replayed = await replayWebhookEvents({
      database,
      signal,
      onApplied(result) {
        for (const { text } of resultLines(result)) output.result(oneLine(text));
      },
    });
    return { ...replayed, unmatched: await database.transaction(countUnmatched, { readOnly: true }) };
  };
  const result = await withExistingDatabase(context, replay);
  const { applied, waiting, unmatched, failed } = result;
  if (signal.aborted) {
    throw new CalendlySyncError('stopped', `Stopped after ${applied} webhook events were applied.`, {
      hint: 'Run the same command again to continue.',
    });
  }
  for (const { event_id: id, error } of failed) output.warn(`✖ ${oneLine(id)}: ${oneLine(error)}`);
  output.result(
    `${applied} applied, ${failed.length} failed, ${unmatched} stored for hosts who are not connected.`,
  );
  if (waiting > 0) output.warn(`${waiting} still waiting for a lock: calendly-sync health names its holder.`);
  if (unmatched > 0) output.note('Those of a host are applied when it syncs for the first time.', 'dim');
  return { document: result, exitCode: failed.length > 0 ? EXIT.failed : EXIT.ok };
}
