/**
 * The health report as one HTML page: no script, no external part, readable without style. Pure. It names users, and
 * no guest of a meeting.
 */
import { createHash } from 'node:crypto';
import { countOf } from '../counting.js';
import type { RecordedRun } from '../database/tables/run-history.js';
import { formatBytes, formatDayTime, formatDuration, formatUtc } from '../duration.js';
import { checklist } from './checklist.js';
import type { PageFacts } from './page-facts.js';
import { PAGE_STYLE } from './page-style.js';
import type { Problem } from './problem.js';
import type { UserHealth } from './status.js';

/** Users with cards; more are only counted, those with problems come first. */
const MAX_CARDS = 24;
const BAR = { width: 12, gap: 4, height: 64 };

/** What a browser may load for the page: the style inside it. */
export const PAGE_POLICY =
  `default-src 'none'; style-src 'sha256-${createHash('sha256').update(PAGE_STYLE).digest('base64')}'; ` +
  "base-uri 'none'; form-action 'none'";

/** HTML whose values are escaped. */
interface Html {
  html: string;
}

type Value = string | number | Html | Value[];

/** Escapes every value that is not HTML already. */
function h(parts: TemplateStringsArray, ...values: Value[]): Html {
  return {
    html: parts
      .map((part, index) => part + (index < values.length ? textOf(values[index] ?? '') : ''))
      .join(''),
  };
}

function textOf(value: Value): string {
  if (Array.isArray(value)) return value.map(textOf).join('');
  if (typeof value === 'object') return value.html;
  const codes: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
  return String(value).replace(/[&<>"]/g, (character) => codes[character] ?? character);
}

const NONE: Html = { html: '' };

/** The page. */
export function pageHtml(facts: PageFacts): string {
  const { report } = facts;
  const { checked_at: now } = report;
  const users = [...report.users].sort((a, b) => b.problems.length - a.problems.length);
  const more = users.length - MAX_CARDS;
  const verdict = report.healthy ? 'Healthy' : countOf(countProblems(facts), 'problem');
  const page = h`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<meta http-equiv="content-security-policy" content="${PAGE_POLICY}">
<title>${report.healthy ? '✔' : '✖'} ${verdict} · calendly-sync</title>
<style>${{ html: PAGE_STYLE }}</style>
</head>
<body>
<header class="${report.healthy ? 'good' : 'bad'}">
<h1>${report.healthy ? '✔' : '✖'} ${verdict}</h1>
<p>${report.database}, schema ${report.schema}. Checked ${time(now, formatUtc(now))}.</p>
</header>
<main>
${problemSection(facts)}
<section aria-labelledby="users"><h2 id="users">Users</h2><div class="cards">
${users.slice(0, MAX_CARDS).map((user) => userCard(user, now))}
</div>${more > 0 ? h`<p>… and ${countOf(more, 'more user')}: calendly-sync health --json</p>` : NONE}</section>
${runSection(facts.runs)}
${table(
  'Next meetings',
  ['Start (UTC)', 'Meeting', 'User'],
  facts.meetings.map(({ start_time: start, title, email }) => [time(start), title ?? '', email ?? '']),
  'No meetings are booked.',
)}
${table(
  'Last webhook deliveries',
  ['Received (UTC)', 'Event', 'Result', 'After'],
  facts.deliveries.map(({ received_at: at, event_type: type, state, delay_ms: ms }) => [
    time(at),
    type ?? '',
    state,
    ms === null ? '' : formatDuration(ms),
  ]),
  'No delivery has arrived.',
)}
<section aria-labelledby="setup"><h2 id="setup">Setup</h2><ul class="checks">
${checklist(facts).map(
  ({ done, text, hint }) =>
    h`<li class="${done ? 'good' : 'open'}">${done ? '✔' : '○'} ${text}${done ? NONE : h`<br><code>${hint}</code>`}</li>`,
)}
</ul></section>
</main>
<footer><p>calendly-sync ${report.version}${
    report.database_bytes === null ? '' : `, database ${formatBytes(report.database_bytes)}`
  }, ${countOf(report.migrations.applied.length, 'migration')} applied. Times are UTC. This page changes nothing.</p></footer>
</body>
</html>
`;
  return page.html;
}

function countProblems({ report: { problems, users } }: PageFacts): number {
  return users.reduce((sum, user) => sum + user.problems.length, problems.length);
}

function problemSection({ report }: PageFacts): Html {
  const line = (who: string, { message, hint }: Problem) =>
    h`<li>${who}${message}<br><code>${hint}</code></li>`;
  const lines = [
    ...report.problems.map((problem) => line('', problem)),
    ...report.users.flatMap((user) => user.problems.map((problem) => line(`${nameOf(user)}: `, problem))),
    ...report.warnings.map(({ message, hint }) => h`<li>⚠ ${message}<br><code>${hint}</code></li>`),
  ];
  if (lines.length === 0) return NONE;
  return h`<section aria-labelledby="problems"><h2 id="problems">To fix</h2><ul class="problems">${lines}</ul></section>`;
}

function userCard(user: UserHealth, now: Date): Html {
  const { last_calendly_sync: last, runs_24h: runs, changes_24h: changes, next_meeting: next } = user;
  const delivery = user.last_delivery;
  const ago = (at: Date) => h`${time(at, `${formatDuration(+now - +at)} ago`)}`;
  const facts: [string, Value][] = [
    ['Last sync', last === null ? 'never' : ago(last)],
    ['24 hours', h`${hourStrip(user)}${runs.complete} recorded ok, ${runs.failed} failed`],
    ['Changes', `${changes.booked} booked, ${changes.canceled} canceled in 24 hours`],
    ['Meetings', `${user.active_calendly_meetings} active, ${user.deleted_calendly_meetings} canceled`],
    ['Next', next === null ? 'none' : h`${time(next.start_time)} ${next.title ?? ''}`],
    ['Webhook', delivery === null ? 'no delivery' : ago(delivery.received_at)],
  ];
  return h`<article><h3>${nameOf(user)} <span class="${user.status}">${user.status}${user.syncing ? ', syncing' : ''}</span></h3>
<dl>${facts.map(([name, value]) => h`<dt>${name}</dt><dd>${value}</dd>`)}</dl></article>
`;
}

/** One mark per hour of the last 24; the text says the same. */
function hourStrip({ runs_24h: { hours, failed } }: UserHealth): Html {
  const marks = hours.map((hour, index) => {
    const height = hour === 'failed' ? 16 : hour === 'complete' ? 9 : 3;
    return h`<rect class="${hour}" x="${index * 8}" y="${16 - height}" width="6" height="${height}"/>`;
  });
  return h`<svg class="strip" viewBox="0 0 190 16" role="img" aria-label="Runs of the last 24 hours, ${failed} failed">${marks}</svg>`;
}

function runSection(runs: RecordedRun[]): Html {
  const oldestFirst = [...runs].reverse();
  const step = BAR.width + BAR.gap;
  const bars = oldestFirst.map((run, index) => {
    // From 10 ms to 10 minutes on a logarithmic scale.
    const share = Math.min(
      1,
      Math.max(0.08, Math.log10(Math.max(10, durationOf(run)) / 10) / Math.log10(60_000)),
    );
    const height = Math.round(share * BAR.height);
    const label = `${formatDayTime(run.started_at)} ${run.email ?? run.user_id}: ${run.status}, ${formatDuration(durationOf(run))}`;
    return h`<rect class="${run.status}" x="${index * step}" y="${BAR.height - height}" width="${BAR.width}" height="${height}"><title>${label}</title></rect>`;
  });
  const failed = runs.filter(({ status }) => status === 'failed' || status === 'crashed').length;
  const chart = h`<svg class="runs" preserveAspectRatio="none" viewBox="0 0 ${50 * step} ${BAR.height}" role="img" aria-label="The last ${countOf(runs.length, 'run')}, ${failed} failed; a bar is as high as the run took long">${bars}</svg>
<p>${countOf(runs.length, 'recorded run')}, ${failed} failed; the newest is on the right. A sync that changed nothing is recorded once a day.</p>`;
  const rows = runs.map((run): Value[] => [
    time(run.started_at),
    run.email ?? run.user_id,
    h`<span class="${run.status}">${run.status}</span>${run.error === null ? '' : `: ${run.error}`}`,
    `+${run.new} ~${run.updated} −${run.deleted}`,
    run.requests,
    formatDuration(durationOf(run)),
  ]);
  const head = ['Started (UTC)', 'User', 'Result', 'Changes', 'Requests', 'Took'];
  return table('Runs', head, rows, 'No run is recorded.', runs.length > 0 ? chart : NONE);
}

function durationOf({ started_at: start, finished_at: end }: RecordedRun): number {
  return end === null ? 0 : +end - +start;
}

/** A section with a table that is open if it is not long; it scrolls sideways on a small screen, by keyboard too. */
function table(title: string, head: string[], rows: Value[][], none: string, before: Html = NONE): Html {
  const id = title.toLowerCase().replaceAll(' ', '-');
  const body = h`<div class="scroll" role="region" aria-labelledby="${id}" tabindex="0"><table>
<thead><tr>${head.map((name) => h`<th scope="col">${name}</th>`)}</tr></thead>
<tbody>${rows.map((cells) => h`<tr>${cells.map((cell) => h`<td>${cell}</td>`)}</tr>\n`)}</tbody>
</table></div>`;
  const open = rows.length <= 20 ? h` open` : NONE;
  const content =
    rows.length === 0
      ? h`<p>${none}</p>`
      : h`<details${open}><summary>${countOf(rows.length, 'row')}</summary>${body}</details>`;
  return h`<section aria-labelledby="${id}"><h2 id="${id}">${title}</h2>${before}${content}</section>`;
}

function time(at: Date, text = formatDayTime(at)): Html {
  return h`<time datetime="${at.toISOString()}" title="${formatUtc(at)}">${text}</time>`;
}

function nameOf({ email, user_id: id }: UserHealth): string {
  return email ?? String(id);
}
