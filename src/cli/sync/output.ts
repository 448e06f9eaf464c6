/** How a sync looks: the lines that operators look for (their wording is fixed), the spinner, the exit code. */
import type { HttpWait } from '../../calendly/http.js';
import { countOf } from '../../counting.js';
import { formatDayTime, formatDuration } from '../../duration.js';
import type { ErrorReport } from '../../errors.js';
import type { Plan } from '../../sync/plan.js';
import type { OnSyncEvent, SyncEvent, UserResult } from '../../sync/report.js';
import type { SyncResult } from '../../sync/sync.js';
import type { CommandResult } from '../command.js';
import { EXIT, exitCodeOf } from '../exit-codes.js';
import { showAttempt } from '../show-attempt.js';
import type { Output } from '../terminal/output.js';
import { oneLine } from '../terminal/sanitize.js';

type EventOf<Type extends SyncEvent['type']> = Extract<SyncEvent, { type: Type }>;

/**
 * Shows the events of a sync as they come. `close` ends the spinner.
 * @param several accounts: each line begins with the e-mail of its account
 */
export async function showSync(
  output: Output,
  dryRun: boolean,
  several = false,
): Promise<{ onEvent: OnSyncEvent; close(): void }> {
  const progress = await output.progress('Requesting meetings from Calendly …');
  const estimate = createEstimate();
  const onAttempt = showAttempt(output);
  type Handlers = { [Type in SyncEvent['type']]: (event: EventOf<Type>) => void };
  const handlersOn = (output: Lines): Handlers => ({
    attempt: ({ attempt }) => onAttempt(attempt),
    waiting: ({ wait }) => several || progress.update(waitText(wait)),
    planned({ plan }) {
      // A first sync changes every meeting.
      changes = plan.mode === 'full' ? Number.POSITIVE_INFINITY : 0;
      showPlan(output, plan);
    },
    progress: (event) => several || progress.update(progressText(event, estimate)),
    meeting(change) {
      const { outcome, uri, after } = change;
      const what = `${uri} (${after.title ?? 'no title'}, ${after.start_time ?? 'no start'})`;
      if (dryRun) output.result(oneLine(`Would be ${outcome.replace('_', ' as ')}: ${what}`));
      else if (!several && changes < MAX_CHANGES) output.note(oneLine(changeLine(change)), 'dim');
      changes++;
    },
    warning: ({ text }) => output.warn(oneLine(text)),
    fetched({ mode, active, canceled }) {
      output.result(`✅ ${mode.toUpperCase()} fetch complete: ${active} active, ${canceled} canceled`);
    },
    resources: (event) => showResources(output, event),
    initial_complete: () => output.result('✅ Initial sync complete - future syncs will be incremental'),
    finished({ result }) {
      if (!dryRun && !several && changes > MAX_CHANGES && changes !== Number.POSITIVE_INFINITY)
        output.note(`  … and ${countOf(changes - MAX_CHANGES, 'more change')} (--json lists them)`, 'dim');
      if (several) progress.update(`${countOf(++done, 'account')} done …`);
      if (result.status === 'complete' && (result.window ?? result.resources === null))
        showUser(output, result);
    },
    subscription_repair: (event) => showRepair(output, event),
    subscription_repair_failed({ error }) {
      output.warn(`The webhook subscription could not be checked: ${error.message}`);
    },
    replayed: (event) => showReplay(output, event),
  });
  let done = 0;
  let changes = 0;
  const handlers = handlersOn(output);
  const onEvent: OnSyncEvent = (event) => {
    const email = several && 'email' in event ? event.email : null;
    const chosen = email == null ? handlers : handlersOn(labelled(output, email));
    (chosen[event.type] as (event: SyncEvent) => void)(event);
  };
  return { onEvent, close: () => progress.stop() };
}

/** So many changed meetings are listed. */
const MAX_CHANGES = 20;
const MARKS: Readonly<Record<string, string>> = { new: '+', deleted: '-', recorded_canceled: '-' };

/** `  ~ Fri 27 Nov 11:15 UTC  Deep Dive  moved from Thu 26 Nov 16:00` */
function changeLine({ outcome, before, after }: EventOf<'meeting'>): string {
  const time = (at: string | null) => (at === null ? 'no time' : formatDayTime(new Date(at)));
  const moved = outcome === 'updated' && before !== null && before.start_time !== after.start_time;
  const what = moved ? `moved from ${time(before.start_time)}` : outcome.replace('_', ' as ');
  return `  ${MARKS[outcome] ?? '~'} ${time(after.start_time)} UTC  ${after.title ?? 'no title'}  ${what}`;
}

/** Where lines about one account go. */
type Lines = Pick<Output, 'result' | 'note' | 'warn' | 'error'>;

/** An output on which every line begins with the e-mail of an account. */
function labelled(output: Output, email: string): Lines {
  const label = (text: string) => oneLine(`[${email}] ${text}`);
  return {
    result: (text, tone) => output.result(label(text), tone),
    note: (text, tone) => output.note(label(text), tone),
    warn: (text) => output.warn(label(text)),
    error: (report) => output.error({ ...report, message: label(report.message) }),
  };
}

/** Shows the errors of accounts as they come, and keeps what the exit code depends on. */
export function showAccounts(output: Output, several: boolean) {
  const errors = { first: null as ErrorReport | null, held: 0 };
  const onAccount = ({ status, error, email }: UserResult) => {
    if (error === null || error.code === 'stopped') return;
    if (error.code === 'locked') errors.held++;
    const lines = several && email !== null ? labelled(output, email) : output;
    if (status === 'skipped') return lines.note(error.message);
    errors.first ??= error;
    lines.error(error);
  };
  return { onAccount, errors };
}

const FULL_SYNC = '📅 FULL SYNC: Fetching all Calendly events (2 years back, 1 year forward)';
const INCREMENTAL = '⚡ Incremental sync - fetching recent data only (3 months back, 6 months forward)';
const INCREMENTAL_SYNC = '📅 INCREMENTAL SYNC: Fetching recent Calendly events';

/** What comes before the listing: remarks on stderr, then lines on stdout. */
const PLAN_LINES: Record<Plan['reason'], { notes?: string[]; results?: string[] }> = {
  initial: { results: ['🎯 Initial sync needed - will fetch 2 years of historical data', FULL_SYNC] },
  no_sync_state: {
    notes: [
      'Migration 022 is not applied, so nothing records the last sync: every sync is a full one.',
      'To change that: calendly-sync migrate',
    ],
    results: [FULL_SYNC],
  },
  recent: { results: [INCREMENTAL, INCREMENTAL_SYNC] },
  full_listing_due: {
    notes: ['The daily full listing is due: it covers 2 years back and 1 year forward.'],
    results: [INCREMENTAL, INCREMENTAL_SYNC],
  },
  custom_window: {},
  one_meeting: {},
  resources: {},
};

function showPlan(output: Lines, { reason, window }: Plan): void {
  const { notes = [], results = [] } = PLAN_LINES[reason];
  for (const note of notes) output.note(note);
  for (const line of results) output.result(line);
  if (reason !== 'custom_window') return;
  const [from, to] = [window.from, window.to].map((ms) => `${new Date(ms).toISOString().slice(0, 16)}Z`);
  output.note(
    `Custom window: meetings that start from ${from} to ${to}. The user's sync state is unchanged.`,
  );
}

function showUser(output: Lines, result: UserResult): void {
  const { mode, updated, deleted, unchanged, restored, requests, duration_ms: ms, fetched } = result;
  const { recorded_canceled: recorded } = result;
  const counts = [
    `${result.new} new, ${updated} updated, ${deleted} deleted, ${unchanged} unchanged`,
    ...(restored > 0 ? [`${restored} restored`] : []),
    ...(recorded > 0 ? [`${recorded} recorded as canceled`] : []),
  ].join(', ');
  const sent = `${requests} ${requests === 1 ? 'request' : 'requests'}, ${formatDuration(ms)}`;
  output.result(`🎉 ${mode.toUpperCase()} Calendly sync complete: ${counts} (${sent})`);
  if (mode === 'full' && fetched.active + fetched.canceled === 0) {
    const user = result.email ?? 'this user';
    output.note(`Calendly returned no meetings for ${user}. Does the token belong to the right user?`);
  }
}

function showResources(output: Lines, { resources: { requests, read } }: EventOf<'resources'>): void {
  const counts = read
    .filter(({ note }) => note === null)
    .map((one) => `${one.name} ${one.new} new, ${one.updated} updated, ${one.removed} removed`);
  if (counts.length > 0) output.result(`${counts.join('; ')} (${countOf(requests, 'request')})`);
  for (const { name, note } of read)
    if (note !== null) output.note(`${name} could not be read: ${oneLine(note)}`);
}

function showRepair(output: Lines, { repair }: EventOf<'subscription_repair'>): void {
  const { state, renewed, problem } = repair;
  const what = `Calendly has ${state === 'gone' ? 'lost' : 'disabled'} our webhook subscription`;
  if (renewed !== null) output.warn(`${what}; it has been recreated.`);
  if (problem === null) return;
  const why = problem === 'no_key' ? 'is not set' : 'is not the key it was created with';
  output.warn(`${what}, and CALENDLY_WEBHOOK_SIGNING_KEY ${why}: calendly-sync webhook subscribe --url U`);
}

function showReplay(output: Lines, { replay: { applied, failed } }: EventOf<'replayed'>): void {
  if (applied > 0) output.note(`Applied ${applied} stored webhook deliveries.`);
  const [first] = failed;
  if (!first) return;
  output.warn(`${failed.length} stored webhook deliveries could not be applied: ${oneLine(first.error)}`);
}

function progressText(event: EventOf<'progress'>, estimate: ReturnType<typeof createEstimate>): string {
  const { listed, read, toRead, waitingUntil } = event;
  const until = waitingUntil === null ? null : new Date(waitingUntil).toISOString().slice(11, 19);
  const limit = until === null ? '' : `, rate limit until ${until} UTC`;
  if (toRead === null) return `${countOf(listed, 'meeting')} listed${limit} …`;
  const left = estimate(read, toRead);
  const about = left === null ? '' : `, about ${formatDuration(Math.max(left, 10_000))} left`;
  return `${read} of ${countOf(toRead, 'meeting')} read${limit}${about} …`;
}

/** What the spinner says while requests wait: nothing else happens that could explain the silence. */
export function waitText(wait: HttpWait): string {
  const time = formatDuration(wait.ms);
  if (wait.outcome === null) return `Calendly's rate limit: the next request in ${time} …`;
  const { outcome, attempt, attempts } = wait;
  const answer = typeof outcome === 'number' ? `answers ${outcome}` : `does not answer (${outcome})`;
  return `Calendly ${answer}; attempt ${attempt} of ${attempts} in ${time} …`;
}

/** Estimates the time left in ms from the time spent so far; null until there is enough to extrapolate from. */
function createEstimate() {
  let started: number | null = null;
  return (done: number, all: number): number | null => {
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
