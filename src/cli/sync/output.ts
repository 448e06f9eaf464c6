/** How a sync looks: the lines that operators look for (their wording is fixed), the spinner, the exit code. */
import { countOf } from '../../counting.js';
import { formatDuration } from '../../duration.js';
import type { Plan } from '../../sync/plan.js';
import type { OnSyncEvent, SyncEvent, UserResult } from '../../sync/report.js';
import type { SyncResult } from '../../sync/sync.js';
import { showAttempt } from '../client.js';
import type { CommandResult } from '../command.js';
import { EXIT, exitCodeOf } from '../exit-codes.js';
import type { Output } from '../terminal/output.js';
import { oneLine } from '../terminal/sanitize.js';
import { showMaintenance } from '../webhook/maintenance-output.js';

/** Shows the events of a sync as they come. `close` ends the spinner. */
export async function showSync(output: Output) {
  const progress = await output.progress('Requesting meetings from Calendly …');
  const estimate = createEstimate();
  const onEvent: OnSyncEvent = (event) => {
    if (event.type === 'attempt') showAttempt(output, event.attempt);
    showMaintenance(output, event);
    if (event.type === 'planned') showPlan(output, event.plan);
    if (event.type === 'progress') progress.update(progressText(event, estimate));
    if (event.type === 'warning') output.warn(oneLine(event.text));
    if (event.type === 'fetched') {
      const { mode, active, canceled } = event;
      output.result(`✅ ${mode.toUpperCase()} fetch complete: ${active} active, ${canceled} canceled`);
    }
    if (event.type === 'initial_complete') {
      output.result('✅ Initial sync complete - future syncs will be incremental');
    }
    if (event.type === 'finished' && event.result.status === 'complete') showUser(output, event.result);
  };
  return { onEvent, close: () => progress.stop() };
}

function showPlan(output: Output, { mode, reason, window }: Plan): void {
  if (reason === 'custom_window') {
    const [from, to] = [window.from, window.to].map((ms) => `${new Date(ms).toISOString().slice(0, 16)}Z`);
    output.note(
      `Custom window: meetings that start from ${from} to ${to}. The user's sync state is unchanged.`,
    );
  }
  if (reason === 'no_sync_state') {
    output.note('Migration 022 is not applied, so nothing records the last sync: every sync is a full one.');
    output.note('To change that: calendly-sync migrate');
  }
  if (mode === 'full') {
    if (reason === 'initial') {
      output.result('🎯 Initial sync needed - will fetch 2 years of historical data');
    }
    output.result('📅 FULL SYNC: Fetching all Calendly events (2 years back, 1 year forward)');
    return;
  }
  if (reason !== 'custom_window') {
    output.result('⚡ Incremental sync - fetching recent data only (3 months back, 6 months forward)');
  }
  if (reason === 'full_listing_due') {
    output.note('The daily full listing is due: it covers 2 years back and 1 year forward.');
  }
  output.result('📅 INCREMENTAL SYNC: Fetching recent Calendly events');
}

function showUser(output: Output, result: UserResult): void {
  const { mode, updated, deleted, unchanged, restored, requests, duration_ms: ms, fetched } = result;
  const { recorded_canceled: recorded } = result;
  const counts = [
    `${result.new} new, ${updated} updated, ${deleted} deleted, ${unchanged} unchanged`,
    ...(restored > 0 ? [`${restored} restored`] : []),
    ...(recorded > 0 ? [`${recorded} recorded as canceled`] : []),
  ].join(', ');
  const sent = `${requests} ${requests === 1 ? 'request' : 'requests'}`;
  output.result(
    `🎉 ${mode.toUpperCase()} Calendly sync complete: ${counts} (${sent}, ${formatDuration(ms)})`,
  );
  if (mode === 'full' && fetched.active + fetched.canceled === 0) {
    const user = result.email ?? 'this user';
    output.note(`Calendly returned no meetings for ${user}. Does the token belong to the right user?`);
  }
}

function progressText(event: Extract<SyncEvent, { type: 'progress' }>, estimate: Estimate): string {
  const { listed, read, toRead, waitingUntil } = event;
  const until = waitingUntil === null ? null : new Date(waitingUntil).toISOString().slice(11, 19);
  const limit = until === null ? '' : `, rate limit until ${until} UTC`;
  if (toRead === null) return `${countOf(listed, 'meeting')} listed${limit} …`;
  const left = estimate(read, toRead);
  const about = left === null ? '' : `, about ${formatDuration(Math.max(left, 10_000))} left`;
  return `${read} of ${countOf(toRead, 'meeting')} read${limit}${about} …`;
}

/** Time left in ms, from the time spent so far; null until there is enough to extrapolate from. */
type Estimate = (done: number, all: number) => number | null;

function createEstimate(): Estimate {
  let started: number | null = null;
  return (done, all) => {
    started ??= Date.now();
    const spent = Date.now() - started;
    return done < 10 || spent < 3_000 ? null : (spent / done) * (all - done);
  };
}

/** Shows the errors of accounts. @returns the JSON keys and the exit code of the command */
export function syncResult(output: Output, result: SyncResult): CommandResult {
  const errors = result.users.flatMap(({ error }) => error ?? []);
  for (const error of errors) output.error(error);
  const [first] = errors;
  if (first === undefined) return { document: result };
  if (errors.length === result.users.length) {
    return { document: { ...result, error: first }, exitCode: exitCodeOf(first.code) };
  }
  const message = `${errors.length} of ${result.users.length} accounts failed.`;
  const error = { code: 'partly', message, hint: first.hint };
  return { document: { ...result, error }, exitCode: EXIT.partly };
}
