/** What `health` does after its flags are parsed. Loaded when it runs. */
import type { HttpAttempt } from '../../calendly/http.js';
import { CalendlySyncError } from '../../errors.js';
import { prometheusText } from '../../health/prometheus.js';
import { healthReport } from '../../health/report.js';
import { showAttempt } from '../client.js';
import type { CommandContext, CommandResult } from '../command.js';
import { withDatabase } from '../database.js';
import { EXIT } from '../exit-codes.js';
import { showHealth } from './output.js';

export interface HealthFlags {
  user?: string[] | undefined;
  /** In ms. */
  maxAge: number;
  offline?: true | undefined;
  prometheus?: true | undefined;
}

/** Creates the report and shows it. */
export async function runHealth(context: CommandContext, flags: HealthFlags): Promise<CommandResult> {
  const { config, output, terminal, signal } = context;
  const { user: users = [], maxAge: maxAgeMs, offline = false, prometheus } = flags;
  if (prometheus && output.json) {
    throw new CalendlySyncError('usage', "--prometheus and --json can't be used together.");
  }
  const report = await withDatabase(
    context,
    (database) => {
      const onAttempt = (attempt: HttpAttempt) => showAttempt(output, attempt);
      return healthReport({ database, config, users, maxAgeMs, offline, signal, onAttempt });
    },
    { create: false },
  );
  if (prometheus) output.result(prometheusText(report).trimEnd());
  else await showHealth(output, report, terminal.stdout.isTTY === true);
  return { document: report, exitCode: report.healthy ? EXIT.ok : EXIT.checkFailed };
}
