/** How the health report looks: one screen on a terminal, worst first; everything, with ISO times, elsewhere. */
import { countOf } from '../../counting.js';
import { formatBytes, formatDayTime, formatDuration, formatUtc } from '../../duration.js';
import type { Problem } from '../../health/problem.js';
import type { HealthReport } from '../../health/report.js';
import type { UserHealth } from '../../health/status.js';
import type { Output } from '../terminal/output.js';
import { oneLine } from '../terminal/sanitize.js';
import type { Cell, Tone } from '../terminal/table.js';

const DAY_MS = 86_400_000;
/** More rows would push the verdict off the screen; the rest is counted. */
const MAX_USERS = 8;
const MAX_PROBLEMS = 8;
/** So many users have a block of lines each; more are rows of a table. */
const MAX_BLOCKS = 3;
/** A table has room for the strip of hours on a terminal of this width. */
const MIN_STRIP_COLUMNS = 120;

const TONES: Record<UserHealth['status'], Tone> = { ok: 'good', stale: 'warn', never: 'warn', error: 'bad' };
const BARS = { none: '·', complete: '▂', failed: '█' } as const;
const WORST_FIRST: UserHealth['status'][] = ['error', 'stale', 'never', 'ok'];

/**
 * Shows the report on stdout; under --quiet only the problems, on stderr.
 * @param columns of the terminal; null: no terminal, shows everything
 */
export async function showHealth(
  output: Output,
  report: HealthReport,
  columns: number | null,
): Promise<void> {
  const { checked_at: now } = report;
  const problems = allProblems(report);
  if (output.quiet && !output.json) {
    for (const { text, hint } of problems) output.warn(`${text} → ${hint}`);
    return;
  }
  const verdict = report.healthy ? '✔ Healthy' : `✖ ${countOf(problems.length, 'problem')}`;
  output.result(`${verdict}, checked ${formatUtc(now)}`, report.healthy ? 'good' : 'bad');
  const users = [...report.users].sort(worstFirst);
  if (columns === null) {
    await showPlainUsers(output, users);
    for (const { text, hint } of problems) output.result(`${text} → ${hint}`);
  } else {
    showProblems(output, problems);
    if (users.length <= MAX_BLOCKS) for (const user of users) showBlock(output, user, now);
    else await showTable(output, users, now, columns);
  }
  for (const { message, hint } of report.warnings) output.result(`⚠ ${message} → ${hint}`, 'warn');
  for (const line of summaryOf(report)) output.result(line);
}

function worstFirst(a: UserHealth, b: UserHealth): number {
  const rank = ({ problems, status }: UserHealth) =>
    (problems.length > 0 ? 0 : 10) + WORST_FIRST.indexOf(status);
  return rank(a) - rank(b) || +(a.last_calendly_sync ?? 0) - +(b.last_calendly_sync ?? 0);
}

function showBlock(output: Output, user: UserHealth, now: Date): void {
  const { last_run: run, last_calendly_sync: last, runs_24h: runs, changes_24h: changes } = user;
  const { next_meeting: next, last_delivery: delivery } = user;
  const line = (name: string, text: string) => output.result(`  ${name.padEnd(10)} ${text}`);
  output.result(`${nameOf(user)}: ${statusOf(user)}`, user.status === 'ok' ? 'strong' : TONES[user.status]);
  line('last sync', last === null ? 'never' : `${when(last, now)} UTC${runText(run, last)}`);
  const recorded = runs.complete + runs.failed;
  const rate =
    recorded === 0 ? 'nothing changed or failed' : `${runs.complete} of ${recorded} recorded runs ok`;
  line('24 hours', `${strip(user)}  ${rate}`);
  if (changes.booked + changes.canceled > 0)
    line('changes', `${count(changes.booked)} booked, ${count(changes.canceled)} canceled in 24 hours`);
  const upcoming =
    next === null ? '' : `; next: ${formatDayTime(next.start_time)} UTC ${oneLine(next.title ?? '')}`;
  line(
    'meetings',
    `${count(user.active_calendly_meetings)} active, ${count(user.deleted_calendly_meetings)} canceled${upcoming}`,
  );
  if (delivery === null) return;
  const delay = delivery.delay_ms === null ? '' : `, ${formatDuration(delivery.delay_ms)} after the change`;
  line('webhook', `last delivery ${when(delivery.received_at, now)} UTC${delay}`);
}

/** What the newest recorded run did, if it is the last sync; an unchanged sync is not recorded. */
function runText(run: UserHealth['last_run'], last: Date): string {
  if (!run?.finished_at || Math.abs(+run.finished_at - +last) > 1_000) return '';
  const took = formatDuration(+run.finished_at - +run.started_at);
  return `, ${run.mode}, ${countOf(run.requests, 'request')}, ${took}`;
}

async function showTable(output: Output, users: UserHealth[], now: Date, columns: number): Promise<void> {
  const withStrip = columns >= MIN_STRIP_COLUMNS;
  const rows = users.slice(0, MAX_USERS).map((user): (string | Cell)[] => {
    const { last_calendly_sync: last, next_meeting: next, runs_24h: runs } = user;
    const rate = `${runs.complete}/${runs.complete + runs.failed}`;
    return [
      nameOf(user),
      { text: statusOf(user), tone: TONES[user.status] },
      last === null ? 'never' : when(last, now),
      withStrip ? `${strip(user)} ${rate}` : rate,
      next === null ? '' : formatDayTime(next.start_time),
      count(user.active_calendly_meetings),
      count(user.deleted_calendly_meetings),
    ];
  });
  // In order of importance: a terminal that is too narrow loses the last ones.
  const head = ['user', 'status', 'last sync (UTC)', '24 h ok', 'next (UTC)', 'active', 'canceled'];
  await output.table(head, rows, { minColumns: 3 });
  const rest = users.slice(MAX_USERS);
  const unhealthy = rest.filter(({ problems }) => problems.length > 0).length;
  showMore(output, unhealthy, 'more user', ' with problems');
  showMore(output, rest.length - unhealthy, 'more user', ' without problems');
}

/** For scripts: the columns stay as they are, times are ISO 8601 in UTC, what is unknown is empty. */
async function showPlainUsers(output: Output, users: UserHealth[]): Promise<void> {
  const time = (date: Date | undefined | null) => date?.toISOString() ?? '';
  const columns: [head: string, cell: (user: UserHealth) => string][] = [
    ['user', nameOf],
    ['status', ({ status }) => status],
    ['problems', ({ problems }) => String(problems.length)],
    ['last_sync', ({ last_calendly_sync: last }) => time(last)],
    ['runs_24h', ({ runs_24h: { complete, failed } }) => String(complete + failed)],
    ['failed_24h', ({ runs_24h }) => String(runs_24h.failed)],
    ['booked_24h', ({ changes_24h }) => String(changes_24h.booked)],
    ['canceled_24h', ({ changes_24h }) => String(changes_24h.canceled)],
    ['active', (user) => String(user.active_calendly_meetings)],
    ['canceled', (user) => String(user.deleted_calendly_meetings)],
    ['next_meeting', ({ next_meeting: next }) => time(next?.start_time)],
    ['last_delivery', ({ last_delivery: last }) => time(last?.received_at)],
  ];
  if (users.length === 0) return;
  await output.table(
    columns.map(([head]) => head),
    users.map((user) => columns.map(([, cell]) => cell(user))),
  );
}

function showProblems(output: Output, problems: ProblemLine[]): void {
  const shown = problems.slice(0, MAX_PROBLEMS);
  for (const [index, { text, hint }] of shown.entries()) {
    output.result(text, 'bad');
    // Several problems of one user often have one solution.
    if (shown[index + 1]?.hint !== hint) output.result(`  → ${hint}`);
  }
  showMore(output, problems.length - shown.length, 'more problem', '');
}

function showMore(output: Output, more: number, noun: string, which: string): void {
  if (more > 0) output.result(`… and ${countOf(more, noun)}${which} (--json shows all)`);
}

interface ProblemLine {
  text: string;
  hint: string;
}

function allProblems({ users, problems }: HealthReport): ProblemLine[] {
  const line = (prefix: string, { message, hint }: Problem) => ({
    text: `✖ ${prefix}${oneLine(message)}`,
    hint,
  });
  return [
    ...problems.map((problem) => line('', problem)),
    ...[...users]
      .sort(worstFirst)
      .flatMap((user) => user.problems.map((problem) => line(`${nameOf(user)}: `, problem))),
  ];
}

function summaryOf(report: HealthReport): string[] {
  const { checked_at: now, webhook_events: events, deliveries, migrations, token, rate_limit: rate } = report;
  const types = events.map(({ event_type: type, count: received, last_received: last }) => {
    const latest = last === null ? '' : ` (latest ${when(last, now)} UTC)`;
    return `${oneLine(type)} ${count(received)}${latest}`;
  });
  const refused =
    deliveries.rejected_24h > 0 ? `; ${count(deliveries.rejected_24h)} rejected in 24 hours` : '';
  const others = report.users_not_connected;
  const [oldest] = report.users.flatMap((user) => user.oldest_reading ?? []).sort((a, b) => +a - +b);
  const size = report.database_bytes === null ? '' : `, ${formatBytes(report.database_bytes)}`;
  const left =
    rate === null ? '' : `; ${count(rate.remaining)} of ${count(rate.limit)} requests left this minute`;
  return [
    ...report.resources.map(({ resource, note, email, users }) => {
      const whose = users === 1 ? (email ?? '1 user') : countOf(users, 'user');
      return oneLine(`Off: ${resource} of ${whose}: ${note}`);
    }),
    ...(token.state === 'accepted'
      ? [`Token: accepted, of ${oneLine(token.email ?? 'an unnamed user')}${left}`]
      : []),
    ...(token.state === 'unknown' ? [`Token: not checked: ${oneLine(token.error ?? '')}`] : []),
    `Webhook events: ${types.join(', ') || 'none'}${refused}`,
    ...(oldest ? [`Oldest reading of invitees: ${when(oldest, now)} UTC`] : []),
    ...(others > 0 ? [`Rows in users without a Calendly account: ${count(others)}`] : []),
    `Migrations: ${migrations.applied.length} applied, ${migrations.pending.length || 'none'} pending`,
    `Schema: ${oneLine(report.schema)}${size}; calendly-sync ${report.version}`,
  ];
}

function nameOf({ email, user_id: id }: UserHealth): string {
  return oneLine(email ?? String(id));
}

function statusOf({ status, syncing }: UserHealth): string {
  return syncing ? `${status}, syncing` : status;
}

/** One character per hour of the last 24, the oldest first. */
function strip({ runs_24h: { hours } }: UserHealth): string {
  return hours.map((hour) => BARS[hour]).join('');
}

function count(number: number): string {
  return number.toLocaleString('en-US');
}

/** `4 min ago, 08:06` within a day, `3 days ago, Nov 19` after that, with the year if it would mislead. */
function when(time: Date, now: Date): string {
  const age = now.getTime() - time.getTime();
  if (age < 0) return formatUtc(time);
  const iso = time.toISOString();
  const monthDay = () =>
    time.toLocaleDateString('en-US', { month: 'short', day: 'numeric', timeZone: 'UTC' });
  const point = age < DAY_MS ? iso.slice(11, 16) : age > 300 * DAY_MS ? iso.slice(0, 10) : monthDay();
  return `${formatDuration(age)} ago, ${point}`;
}
