/** `health`: one screen that says whether the sync works, and an exit code for monitors. */
import { setTimeout as delay } from 'node:timers/promises';
import { CalendlySyncError } from '../../errors.js';
import type { HealthReport } from '../../health/report.js';
import { type CommandContext, type CommandResult, commandAction, type DefineCommand } from '../command.js';
import { withExistingDatabase } from '../database.js';
import { EXIT } from '../exit-codes.js';
import { duration, users } from '../option-parsers.js';
import { showAttempt } from '../show-attempt.js';

export const health: DefineCommand = (program, session) => {
  program
    .command('health')
    .description('report whether the sync works; exits 0 when healthy, 4 when not')
    .option('--user <id-or-email>', 'only this user of the database (repeatable)', users)
    .option(
      '--max-age <duration>',
      'max age of the last complete sync: 90s, 30m, 36h (default: 4 x the usual gap, 1h to 24h)',
      duration,
    )
    .option('--offline', 'ask only the database, not Calendly')
    .option('--watch <duration>', 'report again and again, at this interval: 5s, 1m', duration)
    .option('--prometheus', 'print metrics in the Prometheus text format')
    .option('--output <file>', 'with --prometheus: replace this file, instead of printing')
    .option('--html <file>', 'also write the report to this file, as a page without external parts')
    .addHelpText('after', EXAMPLES)
    .action(commandAction(session, runHealth));
};

interface Flags {
  user?: string[] | undefined;
  maxAge?: number | undefined;
  offline?: true | undefined;
  watch?: number | undefined;
  prometheus?: true | undefined;
  output?: string | undefined;
  html?: string | undefined;
}

async function runHealth(context: CommandContext, flags: Flags): Promise<CommandResult> {
  const { output, signal, terminal } = context;
  const { watch, prometheus, output: file } = flags;
  const clash = watch ? '--watch' : prometheus ? '--prometheus' : null;
  if (output.json && clash)
    throw new CalendlySyncError('usage', `${clash} and --json can't be used together.`);
  if (file !== undefined && !prometheus) throw new CalendlySyncError('usage', '--output needs --prometheus.');
  const once = () => reportOnce(context, flags);
  if (watch === undefined) return once();
  for (;;) {
    // A database that is away for a moment must not end the watch.
    const result = await once().catch((error) =>
      error instanceof CalendlySyncError ? error : Promise.reject(error),
    );
    if (result instanceof CalendlySyncError) output.error(result.toReport());
    await delay(watch, undefined, { signal }).catch(() => {});
    if (signal.aborted) {
      if (result instanceof CalendlySyncError) throw result;
      return result;
    }
    if (terminal.stdout.isTTY && !prometheus) output.raw('\u001b[H\u001b[2J');
  }
}

async function reportOnce(context: CommandContext, flags: Flags): Promise<CommandResult> {
  const { config, output, signal, terminal } = context;
  const { user = [], maxAge: maxAgeMs, offline = false, prometheus, html } = flags;
  const { stdout } = terminal;
  const { healthReport } = await import('../../health/report.js');
  const options = { config, users: user, maxAgeMs, offline, signal, onAttempt: showAttempt(output) };
  let report: HealthReport | null = null;
  try {
    report = await withExistingDatabase(context, async (database) => {
      if (html === undefined) return healthReport({ database, ...options });
      const { writePage } = await import('./files.js');
      return writePage(html, { database, ...options });
    });
  } finally {
    // Without a report too: a scraper must see that there is none.
    if (prometheus) await showMetrics(context, report, flags);
    if (config.pingUrl !== null && !signal.aborted) {
      const { ping } = await import('./ping.js');
      await ping(config.pingUrl, report?.healthy === true, output);
    }
  }
  if (!prometheus) {
    const { showHealth } = await import('./output.js');
    await showHealth(output, report, stdout.isTTY ? stdout.columns || 80 : null);
  }
  return { document: report, exitCode: report.healthy ? EXIT.ok : EXIT.checkFailed };
}

async function showMetrics({ output }: CommandContext, report: HealthReport | null, { output: file }: Flags) {
  const { prometheusText } = await import('../../health/prometheus.js');
  const text = prometheusText(report);
  if (file === undefined) return output.result(text.trimEnd());
  const { replaceFile } = await import('./files.js');
  await replaceFile(file, text);
}

const EXAMPLES = `
Examples:
  $ calendly-sync health
  $ calendly-sync health --watch 5s
  $ calendly-sync health --user dana@example.com --max-age 2h
  $ calendly-sync health --prometheus --output /var/lib/node_exporter/calendly_sync.prom
With CALENDLY_SYNC_PING_URL it requests that URL after each healthy report, URL/fail after others.`;
