/** How a sync looks: the lines that operators look for, the spinner, the exit code. The wording of the lines is fixed. */
import { formatDuration } from '../../duration.js';
import type { Plan } from '../../sync/plan.js';
import type { OnSyncEvent, SyncEvent, UserResult } from '../../sync/report.js';
import type { SyncResult } from '../../sync/sync.js';
import { showAttempt } from '../client.js';
import type { CommandResult } from '../command.js';
import { EXIT, exitCodeOf } from '../exit-codes.js';
import type { Output } from '../terminal/output.js';
import type { Progress } from '../terminal/progress.js';
import { oneLine } from '../terminal/sanitize.js';
import { showMaintenance } from '../webhook/maintenance-output.js';

/** Shows the events of a sync as they come. `close` ends the spinner. */
export async function showSync(output: Output) {
  const progress = await output.progress('Asking Calendly …');
  const pace = createPace();
  const onEvent: OnSyncEvent = (event) => show(output, progress, event, pace);
  return { onEvent, close: () => progress.stop() };
}

function show(output: Output, progress: Progress, event: SyncEvent, pace: Pace): void {
  if (event.type === 'attempt') showAttempt(output, event.attempt);
  showMaintenance(output, event);
  const line = (text: string) => output.result(text);
  if (event.type === 'planned') announce(output, line, event.plan);
  if (event.type === 'progress') progress.update(progressText(event, pace));
  if (event.type === 'remark') output.warn(oneLine(event.text));
  if (event.type === 'fetched') {
    line(`✅ ${event.mode.toUpperCase()} fetch complete: ${event.active} active, ${event.canceled} canceled`);
  }
  if (event.type === 'initial_complete') line('✅ Initial sync complete - future syncs will be incremental');
  if (event.type === 'finished' && event.result.status === 'complete') finish(output, line, event.result);
}

function announce(output: Output, line: (text: string) => void, { mode, reason, window }: Plan): void {
  if (reason === 'by_hand') {
    const [from, to] = [window.from, window.to].map((ms) => new Date(ms).toISOString().slice(0, 16));
    output.note(
      `A window by hand: meetings that start from ${from}Z to ${to}Z. The sync state of the user stays as it is.`,
    );
  }
  if (reason === 'not_optimized') {
    output.note(
      'Migration 022 is not applied, so that nothing remembers the last sync: every sync is a full one.',
    );
    output.note('To change that: calendly-sync migrate');
  }
  if (mode === 'full') {
    if (reason === 'initial') line('🎯 Initial sync needed - will fetch 2 years of historical data');
    line('📅 FULL SYNC: Fetching all Calendly events (2 years back, 1 year forward)');
    return;
  }
  if (reason !== 'by_hand')
    line('⚡ Incremental sync - fetching recent data only (3 months back, 6 months forward)');
  if (reason === 'full_listing_due')
    output.note('Once a day the list reaches 2 years back and 1 year forward, a page per 100 meetings.');
  line('📅 INCREMENTAL SYNC: Fetching recent Calendly events');
}

function finish(output: Output, line: (text: string) => void, result: UserResult): void {
  line(`🎉 ${lastLine(result)}`);
  const { active, canceled } = result.fetched;
  if (result.mode === 'full' && active + canceled === 0) {
    output.note(
      `Calendly shows no meeting of ${result.email ?? 'this user'} at all. Is it the right user's token?`,
    );
  }
}

/** What the last line says after the 🎉. */
function lastLine(result: UserResult): string {
  const {
    mode,
    updated,
    deleted,
    unchanged,
    restored,
    recorded_canceled: recorded,
    requests,
    duration_ms: ms,
  } = result;
  const more = [
    `${unchanged} unchanged`,
    ...(restored > 0 ? [`${restored} restored`] : []),
    ...(recorded > 0 ? [`${recorded} recorded as canceled`] : []),
  ];
  return (
    `${mode.toUpperCase()} Calendly sync complete: ${result.new} new, ${updated} updated, ${deleted} deleted, ` +
    `${more.join(', ')} (${requests} ${requests === 1 ? 'request' : 'requests'}, ${formatDuration(ms)})`
  );
}

function progressText(event: Extract<SyncEvent, { type: 'progress' }>, pace: Pace): string {
  const { listed, read, toRead, waitingUntil } = event;
  const limit =
    waitingUntil === null
      ? ''
      : `, rate limit until ${new Date(waitingUntil).toISOString().slice(11, 19)} UTC`;
  if (toRead === null) return `${listed} meetings listed${limit} …`;
  const left = pace(read, toRead);
  const about = left === null ? '' : `, about ${formatDuration(left)} left`;
  return `${read} of ${toRead} meetings read${limit}${about} …`;
}

/** Time left in ms, from how long what is done has taken; null while too little is done to tell. */
type Pace = (done: number, all: number) => number | null;

function createPace(): Pace {
  let started: number | null = null;
  return (done, all) => {
    started ??= Date.now();
    const spent = Date.now() - started;
    return done < 10 || spent < 3_000 ? null : (spent / done) * (all - done);
  };
}

/** The command's answer: the JSON keys and the exit code, errors of accounts shown. */
export function syncAnswer(output: Output, result: SyncResult): CommandResult {
  const { users } = result;
  const bad = users.filter(({ error }) => error !== null);
  for (const { error } of bad) if (error) output.error(error);
  const first = bad[0]?.error ?? null;
  if (first === null) return { document: result };
  const partly = bad.length < users.length;
  const error = partly
    ? { code: 'partly', message: `${bad.length} of ${users.length} accounts failed.`, hint: first.hint }
    : first;
  const exitCode = partly ? EXIT.partly : exitCodeOf(first.code);
  return { document: { ...result, error }, exitCode };
}
