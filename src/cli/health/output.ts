/** How the health report looks: one screen on a terminal, one line per fact elsewhere. */
import { countOf } from '../../counting.js';
import { formatDuration, formatUtc } from '../../duration.js';
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

const TONES: Record<UserHealth['status'], Tone> = { ok: 'good', stale: 'warn', never: 'warn', error: 'bad' };

/** The columns in order of importance: a terminal that is too narrow loses the last ones. */
const COLUMNS: [head: string, cell: (user: UserHealth, time: (last: Date) => string) => string | Cell][] = [
  ['user', nameOf],
  [
    'status',
    ({ status, syncing }) => ({ text: syncing ? `${status}, syncing` : status, tone: TONES[status] }),
  ],
  ['last sync (UTC)', ({ last_calendly_sync: last }, time) => (last === null ? 'never' : time(last))],
  ['active', (user) => count(user.active_calendly_meetings)],
  ['deleted', (user) => count(user.deleted_calendly_meetings)],
  ['webhook', (user) => count(user.webhook_synced_meetings)],
];

/**
 * Shows the report on stdout; under --quiet only the problems, on stderr.
 * @param onTerminal false shows everything, one line per fact
 */
export async function showHealth(output: Output, report: HealthReport, onTerminal: boolean): Promise<void> {
  const { users, checked_at: now } = report;
  const problems = allProblems(report);
  if (output.quiet && !output.json) {
    for (const { text, hint } of problems) output.warn(`${text} → ${hint}`);
    return;
  }
  const verdict = report.healthy ? '✔ Healthy' : `✖ ${countOf(problems.length, 'problem')}`;
  output.result(`${verdict}, checked ${formatUtc(now)}`, report.healthy ? 'good' : 'bad');
  if (onTerminal) {
    // Those with problems first; within each group the order of the report.
    const sorted = [...users].sort((a, b) => Number(b.problems.length > 0) - Number(a.problems.length > 0));
    await showUsers(output, sorted.slice(0, MAX_USERS), (time) => when(time, now));
    const rest = sorted.slice(MAX_USERS);
    const unhealthy = rest.filter((user) => user.problems.length > 0).length;
    showMore(output, unhealthy, 'more user', ' with problems');
    showMore(output, rest.length - unhealthy, 'more user', ' without problems');
    showProblems(output, problems);
  } else {
    await showUsers(output, users, formatUtc);
    for (const { text, hint } of problems) output.result(`${text} → ${hint}`);
  }
  for (const { message, hint } of report.warnings) output.result(`⚠ ${message} → ${hint}`, 'warn');
  for (const line of summaryOf(report)) output.result(line);
}

async function showUsers(output: Output, users: UserHealth[], time: (last: Date) => string) {
  if (users.length === 0) return;
  const rows = users.map((user) => COLUMNS.map(([, cell]) => cell(user, time)));
  const head = COLUMNS.map(([name]) => name);
  await output.table(head, rows, { minColumns: 3 });
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
    ...users.flatMap((user) => user.problems.map((problem) => line(`${nameOf(user)}: `, problem))),
    ...problems.map((problem) => line('', problem)),
  ];
}

function summaryOf({ webhook_events: events, checked_at: now, ...report }: HealthReport): string[] {
  const { applied, pending } = report.migrations;
  const types = events.map(({ event_type: type, count: received, last_received: last }) => {
    const latest = last === null ? '' : ` (latest ${when(last, now)} UTC)`;
    return `${oneLine(type)} ${count(received)}${latest}`;
  });
  const others = report.users_not_connected;
  const [oldest] = report.users.flatMap((user) => user.oldest_reading ?? []).sort((a, b) => +a - +b);
  return [
    ...report.resources.map(({ resource, note, email, users }) => {
      const whose = users === 1 ? (email ?? '1 user') : countOf(users, 'user');
      return oneLine(`Off: ${resource} of ${whose}: ${note}`);
    }),
    `Webhook events: ${types.join(', ') || 'none'}`,
    `Migrations: ${applied.length} applied, ${pending.length || 'none'} pending`,
    ...(oldest ? [`Oldest reading of invitees: ${when(oldest, now)} UTC`] : []),
    ...(others > 0 ? [`Rows in users without a Calendly account: ${count(others)}`] : []),
  ];
}

function nameOf({ email, user_id: id }: UserHealth): string {
  return oneLine(email ?? String(id));
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
