/** How the health report looks: one screen on a terminal, one line per fact elsewhere. */
import { countOf } from '../../counting.js';
import { formatDuration } from '../../duration.js';
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
/** In order of importance: a terminal that is too narrow loses the last ones. */
const HEAD = ['user', 'status', 'last sync (UTC)', 'active', 'deleted', 'webhook'];
const TONES: Record<UserHealth['status'], Tone> = { ok: 'good', stale: 'warn', never: 'warn', error: 'bad' };

/**
 * Shows the report on stdout; under --quiet only the problems, on stderr.
 * @param onTerminal false shows everything, one line per fact
 */
export async function showHealth(output: Output, report: HealthReport, onTerminal: boolean): Promise<void> {
  const problems = allProblems(report);
  if (output.quiet && !output.json) {
    for (const { text, hint } of problems) output.warn(`${text} → ${hint}`);
    return;
  }
  const verdict = report.healthy ? '✔ Healthy' : `✖ ${countOf(problems.length, 'problem')}`;
  output.result(`${verdict}, checked ${utc(report.checked_at)}`, report.healthy ? 'good' : 'bad');
  if (!onTerminal) {
    const rows = report.users.map((user) => userRow(user, utc));
    if (rows.length > 0) await output.table(HEAD, rows);
    for (const { text, hint } of problems) output.result(`${text} → ${hint}`);
  } else {
    await showUsers(output, report);
    showProblems(output, problems);
  }
  for (const line of summaryOf(report)) output.result(line);
}

async function showUsers(output: Output, { users, checked_at: now }: HealthReport) {
  if (users.length === 0) return;
  // Those with problems first; within each group the order of the report.
  const sorted = [...users].sort((a, b) => Number(b.problems.length > 0) - Number(a.problems.length > 0));
  const rows = sorted.slice(0, MAX_USERS).map((user) => userRow(user, (time) => when(time, now)));
  await output.table(HEAD, rows, { minColumns: 3 });
  const rest = sorted.slice(MAX_USERS);
  const unhealthy = rest.filter(({ problems }) => problems.length > 0).length;
  showMore(output, unhealthy, 'more user', ' with problems');
  showMore(output, rest.length - unhealthy, 'more user', ' without problems');
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

function showMore(output: Output, count: number, noun: string, which: string): void {
  if (count > 0) output.result(`… and ${countOf(count, noun)}${which} (--json shows all)`);
}

function userRow(user: UserHealth, time: (last: Date) => string): Cell[] {
  const counts = [
    user.active_calendly_meetings,
    user.deleted_calendly_meetings,
    user.webhook_synced_meetings,
  ];
  return [
    { text: nameOf(user) },
    { text: user.syncing ? `${user.status}, syncing` : user.status, tone: TONES[user.status] },
    { text: user.last_calendly_sync === null ? 'never' : time(user.last_calendly_sync) },
    ...counts.map((count) => ({ text: count.toLocaleString('en-US') })),
  ];
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
    ...users.flatMap((user) => user.problems.map((problem) => line(`${nameOf(user)}: `, problem))),
    ...problems.map((problem) => line('', problem)),
  ];
}

function summaryOf(report: HealthReport): string[] {
  const { webhook_events: events, checked_at: now, users_not_connected: others } = report;
  const { applied, pending } = report.migrations;
  const types = events.map(({ event_type: type, count, last_received: last }) => {
    const latest = last === null ? '' : ` (latest ${when(last, now)} UTC)`;
    return `${oneLine(type)} ${count.toLocaleString('en-US')}${latest}`;
  });
  return [
    `Webhook events: ${types.length === 0 ? 'none' : types.join(', ')}`,
    `Migrations: ${applied.length} applied, ${pending.length === 0 ? 'none' : pending.length} pending`,
    ...(others > 0 ? [`Rows in users without a Calendly account: ${others.toLocaleString('en-US')}`] : []),
  ];
}

function nameOf({ email, user_id: id }: UserHealth): string {
  return oneLine(email ?? String(id));
}

/** `4 min ago, 08:06` within a day, `3 days ago, Nov 19` after that, with the year if it would mislead. */
function when(time: Date, now: Date): string {
  const age = now.getTime() - time.getTime();
  if (age < 0) return utc(time);
  return `${formatDuration(age)} ago, ${age < DAY_MS ? time.toISOString().slice(11, 16) : date(time, age)}`;
}

function date(time: Date, age: number): string {
  if (age > 300 * DAY_MS) return time.toISOString().slice(0, 10);
  return time.toLocaleDateString('en-US', { month: 'short', day: 'numeric', timeZone: 'UTC' });
}

function utc(time: Date): string {
  return `${time.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}
