/**
 * Lists a window of events page by page and compares each page with the database: which listed events changed, and
 * which stored meetings the listing should contain but does not. Writes nothing; the caller stores the findings.
 */
import type { EventPage } from '../calendly/client.js';
import type { CalendlyEvent, Parsed } from '../calendly/schemas.js';
import { canonicalTimestamp } from '../calendly/timestamps.js';
import {
  compareListed,
  countStored,
  type ListedEvent,
  type ListedRange,
} from '../database/tables/calendly-events.js';
import { findMeetings } from '../database/tables/meetings.js';
import { isImplausiblyShort } from '../resources/meetings/consistency.js';
import { diffEvent, nextDigest } from '../resources/meetings/diff.js';
import { digest, fingerprint, hasInvitees } from '../resources/meetings/fingerprint.js';
import { compareTimes } from '../resources/meetings/merge.js';
import { ownership } from '../resources/meetings/owners.js';
import { externalId } from '../resources/meetings/rows.js';
import { progressEvent } from './report.js';
import { type Item, type Run, urgencyOf } from './run.js';

/** What one page brought. */
export interface Findings {
  /** Listed events that differ from what is stored, and stored meetings that are missing in the listing. */
  items: Item[];
  /** URIs of listed events that need nothing. */
  unchanged: string[];
  /** Events that are not stored. */
  hasNew: boolean;
  active: number;
  canceled: number;
  issues: { uri: string; text: string }[];
  /** Listed rows without a valid URI. */
  unreadable: number;
}

/**
 * URIs remembered to recognize a row that is listed twice: on a page sent again, or because rows moved
 * between requests.
 */
const MAX_REMEMBERED = 1_000;

/** Lists the window of a run, pages back to back, and yields the findings of each page; a short listing twice. */
export async function* listChanges(run: Run): AsyncGenerator<Findings> {
  const { plan, userId, report } = run;
  for (let again = false; ; again = true) {
    const before = { ...report.counts.fetched, unchanged: report.counts.unchanged };
    const found = yield* listOnce(run);
    if (again) return;
    const { active, canceled } = report.counts.fetched;
    const [from, to] = [toText(plan.window.from), toText(plan.window.to)];
    const stored =
      userId === null || found.unlisted === 0
        ? 0
        : await run.read((sql) => countStored(sql, userId, from, to));
    const initial = plan.reason === 'initial' || plan.reason === 'no_sync_state';
    const counted = { initial, listed: active + canceled, stored, unlisted: found.unlisted };
    if (!isImplausiblyShort(counted)) return;
    report.counts.fetched = { active: before.active, canceled: before.canceled };
    report.counts.unchanged = before.unchanged;
  }
}

async function* listOnce(run: Run): AsyncGenerator<Findings, { unlisted: number }> {
  const { client, account, plan, report, signal } = run;
  const listing = createListing(run);
  let unlisted = 0;
  for await (const page of client.listEvents(account.calendlyUri, plan.window)) {
    const findings = await listing.examine(page);
    unlisted += findings.items.filter(({ next }) => next?.kind === 'unlisted').length;
    report.counts.fetched.active += findings.active;
    report.counts.fetched.canceled += findings.canceled;
    report.counts.unchanged += findings.unchanged.length;
    yield findings;
    report.emit(progressEvent(account.email, report.counts, client));
    signal.throwIfAborted();
  }
  return { unlisted };
}

/** Compares the pages of one listing with the database. */
function createListing({ userId, plan, account, databaseNow, now, read, query }: Run) {
  const { window } = plan;
  const hostUri = account.calendlyUri;
  const recent = new Set<string>();
  // The listing has been compared up to `closed`; rows that start exactly then may be on two pages.
  let closed = toText(window.from);
  let atClosed: string[] = [];
  // Before the page was requested.
  let requestedAt = databaseNow();
  let first = true;

  return { examine };

  /** Compares a page with the database. An unchanged one costs one statement. */
  async function examine(page: EventPage): Promise<Findings> {
    const rows = page.rows.filter(({ value }) => URL.canParse(value.uri));
    const events = dedupeByUri(rows).filter(({ value }) => !recent.has(value.uri));
    const listed = events.map(({ value, raw }) => ({
      externalId: externalId(value.uri),
      digest: digest(raw),
      fingerprint: fingerprint(value),
    }));
    const range = closeRange(page);
    const differing = await compare(listed, range.toCompare);
    const ids = listed.map((event) => event.externalId).filter((id) => differing.ids.has(id));
    const stored =
      userId === null || ids.length === 0
        ? new Map<string, KnownMeeting>()
        : await read((sql) => findMeetings(sql, userId, ids));
    const items: Item[] = [];
    const unchanged: string[] = [];
    for (const event of events) {
      const id = externalId(event.value.uri);
      const item = differing.ids.has(id) ? itemOf(event, stored.get(id) ?? null) : null;
      if (item) items.push(item);
      else unchanged.push(event.value.uri);
    }
    for (const uri of differing.unlisted)
      items.push({ uri, next: { uri, kind: 'unlisted', urgency: urgencyOf('unlisted') } });
    requestedAt = databaseNow();
    ({ closed, atClosed } = range);
    first &&= range.toCompare === null;
    remember(events);
    const canceled = events.filter(({ value }) => value.status === 'canceled').length;
    const issues = events.flatMap((event) => event.issues.map((text) => ({ uri: event.value.uri, text })));
    const hasNew = ids.some((id) => !stored.has(id));
    const unreadable = page.unreadable + page.rows.length - rows.length;
    return { items, unchanged, hasNew, active: events.length - canceled, canceled, issues, unreadable };
  }

  function remember(events: Parsed<CalendlyEvent>[]): void {
    for (const { value } of events) recent.add(value.uri);
    for (const uri of recent) {
      if (recent.size <= MAX_REMEMBERED) break;
      recent.delete(uri);
    }
  }

  async function compare(listed: ListedEvent[], range: ListedRange | null) {
    if (userId === null) return { ids: new Set(listed.map((event) => event.externalId)), unlisted: [] };
    const none = { from: closed, to: closed, listedIds: [], all: false };
    const rows = await query((sql) => compareListed(sql, userId, listed, range ?? none));
    const ids = new Set(rows.flatMap(({ id }) => id ?? []));
    return { ids, unlisted: rows.flatMap(({ uri }) => uri ?? []) };
  }

  /** What a listed event changes; null for nothing. */
  function itemOf({ value, raw }: Parsed<CalendlyEvent>, known: KnownMeeting): Item | null {
    const { uri } = value;
    const times = { event: requestedAt, invitees: requestedAt };
    const observation = { uri, event: raw, source: 'listing', requestedAt: times, hostUri } as const;
    const { row, outcome } = diffEvent(known, observation);
    const isRead = known?.fingerprint === fingerprint(value) || ownership(raw, hostUri) === 'reassigned';
    if (isRead && outcome === 'unchanged' && nextDigest(known, row, observation) === '') return null;
    const readsInvitees = !isRead && hasInvitees(value);
    const urgency = urgencyOf('invitees', value.start_time, now());
    return {
      uri,
      observation: { ...observation, invitees: isRead || readsInvitees ? null : [] },
      next: readsInvitees ? { uri, kind: 'invitees', urgency } : null,
    };
  }

  /** Stored meetings that start between the ends of the last page and of this one must have been on one of the two. */
  function closeRange(page: EventPage) {
    const starts = page.rows
      .map(({ value }) => ({ id: externalId(value.uri), start: canonicalTimestamp(value.start_time) }))
      .filter((event): event is { id: string; start: string } => event.start !== null);
    const reached = [closed, ...starts.map(({ start }) => start)].sort().at(-1) ?? closed;
    const to = page.last ? toText(window.to) : reached;
    // It is not documented whether the window includes its edges: what starts exactly there is left to the
    // next window.
    const from = first ? toText(window.from + 1_000) : closed;
    const listedIds = [...atClosed, ...starts.map(({ id }) => id)];
    const toCompare: ListedRange | null = to > closed ? { from, to, listedIds, all: plan.daily } : null;
    const onEdge = starts.filter(({ start }) => start === reached).map(({ id }) => id);
    const edge = reached === closed ? [...atClosed, ...onEdge] : onEdge;
    return { toCompare, closed: reached, atClosed: edge };
  }
}

type KnownMeeting = Parameters<typeof diffEvent>[0];

/** Formats a time in ms since 1970 as canonical text. */
export function toText(ms: number): string {
  return canonicalTimestamp(new Date(ms).toISOString()) ?? '';
}

/** Keeps one event per URI: the newest, and the last of those of the same age. */
function dedupeByUri(events: Parsed<CalendlyEvent>[]): Parsed<CalendlyEvent>[] {
  const byUri = new Map<string, Parsed<CalendlyEvent>>();
  for (const event of events) {
    const other = byUri.get(event.value.uri);
    if (!other || compareTimes(event.raw.updated_at, other.raw.updated_at) >= 0)
      byUri.set(event.value.uri, event);
  }
  return [...byUri.values()];
}
