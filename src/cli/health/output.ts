/** How the health report looks to people: one screen on a terminal, one line per fact elsewhere. */
import { countOf } from '../../counting.js';
import { formatDuration } from '../../duration.js';
import type { Problem } from '../../health/problem.js';
import type { HealthReport } from '../../health/report.js';
import type { UserHealth } from '../../health/status.js';
import type { Output } from '../terminal/output.js';
import { oneLine } from '../terminal/sanitize.js';
import type { Cell, Tone } from '../terminal/table.js';
import { wrapped } from '../terminal/layout.js';

const DAY_MS = 86_400_000;
/** More rows than this would push the verdict off the screen; what is left out is counted. */
const MOST_USERS = 8;
const MOST_PROBLEMS = 8;
const HEAD = ['user', 'status', 'last sync (UTC)', 'active', 'deleted', 'webhook'];

const TONES: Record<UserHealth['status'], Tone> = { ok: 'good', stale: 'warn', never: 'warn', error: 'bad' };

/** Shows the report on stdout. `columns` is the terminal's width; null when it is none. */
export async function showHealth(
  output: Output,
  report: HealthReport,
  columns: number | null,
): Promise<void> {
  const problems = problemsOf(report);
  const verdict = report.healthy ? '✔ Healthy' : `✖ ${countOf(problems.length, 'problem')}`;
  output.result(`${verdict}, checked ${utc(report.checked_at)}`, report.healthy ? 'good' : 'bad');
  await showUsers(output, report, columns);
  showProblems(output, problems, columns);
  for (const line of summaryOf(report)) output.result(columns === null ? line : wrapped(line, columns, '  '));
}

async function showUsers(output: Output, report: HealthReport, columns: number | null): Promise<void> {
  const { users, checked_at: now } = report;
  if (users.length === 0) return;
  const shown = users.length <= MOST_USERS ? users : users.filter(({ problems }) => problems.length > 0);
  const rows = shown.slice(0, MOST_USERS).map((user) => userRow(user, now));
  if (rows.length > 0) await output.table(HEAD, columns === null ? rows : withShortNames(rows, columns));
  const unhealthy = shown.length - rows.length;
  const healthy = users.length - shown.length;
  if (unhealthy > 0)
    output.result(`… and ${countOf(unhealthy, 'more user')} with problems (--json shows all)`);
  if (healthy > 0) output.result(`… and ${countOf(healthy, 'user')} without a problem (--json shows all)`);
}

function userRow(user: UserHealth, now: Date): Cell[] {
  return [
    { text: nameOf(user) },
    { text: user.syncing ? `${user.status}, syncing` : user.status, tone: TONES[user.status] },
    { text: user.last_calendly_sync === null ? 'never' : when(user.last_calendly_sync, now) },
    { text: user.active_calendly_meetings.toLocaleString('en-US') },
    { text: user.deleted_calendly_meetings.toLocaleString('en-US') },
    { text: user.webhook_synced_meetings.toLocaleString('en-US') },
  ];
}

/** The rows with names cut to what the other columns leave: half a name on each of two lines reads worse. */
function withShortNames(rows: Cell[][], columns: number): Cell[][] {
  const widths = HEAD.map((title, index) =>
    Math.max(title.length, ...rows.map((row) => row[index]?.text.length ?? 0)),
  );
  const frame = 3 * HEAD.length + 1;
  const others = widths.slice(1).reduce((sum, width) => sum + width, frame);
  const room = Math.max(12, columns - others);
  return rows.map(([name, ...rest]) => [{ text: shortened(name?.text ?? '', room) }, ...rest]);
}

interface NamedProblem extends Problem {
  user: string | null;
}

function problemsOf({ users, problems }: HealthReport): NamedProblem[] {
  return [
    ...users.flatMap((user) => user.problems.map((problem) => ({ ...problem, user: nameOf(user) }))),
    ...problems.map((problem) => ({ ...problem, user: null })),
  ];
}

function showProblems(output: Output, problems: NamedProblem[], columns: number | null): void {
  const shown = problems.slice(0, MOST_PROBLEMS);
  for (const [index, { user, message, hint }] of shown.entries()) {
    const text = `✖ ${user === null ? '' : `${user}: `}${oneLine(message)}`;
    if (columns === null) output.result(`${text} → ${hint}`, 'bad');
    else {
      output.result(wrapped(text, columns, '  '), 'bad');
      // Several problems of one user often have one cure.
      if (shown[index + 1]?.hint !== hint) output.result(`  → ${hint}`);
    }
  }
  const more = problems.length - MOST_PROBLEMS;
  if (more > 0) output.result(`… and ${countOf(more, 'more problem')} (--json shows all)`, 'bad');
}

function summaryOf(report: HealthReport): string[] {
  const { webhook_events: events, checked_at: now, users_not_connected: others } = report;
  const { applied, pending } = report.migrations;
  const kinds = events.map(({ event_type: type, count, last_received: last }) => {
    const newest = last === null ? '' : ` (newest ${when(last, now)} UTC)`;
    return `${oneLine(type)} ${count.toLocaleString('en-US')}${newest}`;
  });
  return [
    `Webhook events: ${kinds.length === 0 ? 'none' : kinds.join(', ')}`,
    `Migrations: ${applied.length} applied, ${pending.length === 0 ? 'none' : pending.length} pending`,
    ...(others > 0 ? [`Rows in users without a Calendly account: ${others.toLocaleString('en-US')}`] : []),
  ];
}

function nameOf({ email, user_id: id }: UserHealth): string {
  return oneLine(email ?? String(id));
}

/** `4 min ago, 08:06` within a day, `3 days ago, Nov 19` before, and the year where that would mislead. */
function when(time: Date, now: Date): string {
  const age = now.getTime() - time.getTime();
  if (age < 0) return utc(time);
  return `${formatDuration(age)} ago, ${age < DAY_MS ? time.toISOString().slice(11, 16) : date(time, age)}`;
}

function date(time: Date, age: number): string {
  if (age > 300 * DAY_MS) return time.toISOString().slice(0, 10);
  return time.toLocaleDateString('en-US', { month: 'short', day: 'numeric', timeZone: 'UTC' });
}

/** With `…` for what does not fit. */
function shortened(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}

function utc(time: Date): string {
  return `${time.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}
