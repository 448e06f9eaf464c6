/**
 * From pages to findings: which listed events bring news, and which stored ones a stretch of the listing did not show. Reads the
 * database, writes nothing; the caller does with the findings what the kind of run wants.
 */
import type { EventPage, Window } from '../calendly/client.js';
import type { CalendlyEvent, Parsed } from '../calendly/schemas.js';
import { canonicalTimestamp } from '../calendly/timestamps.js';
import type { Sql } from '../database/connection.js';
import { databaseTime } from '../database/tables/event-reads.js';
import { findMeetings, findUnlisted } from '../database/tables/meetings.js';
import type { Pending } from '../database/tables/pending-events.js';
import { diffEvent, type MeetingOutcome } from '../resources/meetings/diff.js';
import { fingerprint, hasInvitees } from '../resources/meetings/fingerprint.js';
import { compareTimes } from '../resources/meetings/merge.js';
import { externalId } from '../resources/meetings/rows.js';

/** What one page brought. */
export interface Findings {
  active: number;
  canceled: number;
  /** Listed events that need something, with what their row alone would become. */
  news: (Pending & { outcome: MeetingOutcome; readsInvitees: boolean })[];
  /** URIs of listed events that need nothing. */
  unchanged: string[];
  /** URIs of stored meetings that belong into the stretch that this page closes, and were not listed. */
  unlisted: string[];
  issues: { uri: string; text: string }[];
}

/** The listing of one window, page after page. Remembers only the last few pages. */
export interface Listing {
  /**
   * Compares a page with the database. `accept` makes it the last one: to be called once the transaction is committed, so that a
   * transaction that is tried again finds the page as new as it was.
   */
  examine(sql: Sql, page: EventPage): Promise<{ findings: Findings; accept(): void }>;
}

/** URIs remembered to tell a row that comes twice: a page sent again, or rows that move while pages are read. */
const REMEMBERED = 1_000;

/**
 * @param userId null when the user is not stored yet: everything is new
 * @param seenAt database time before the first page was asked for
 */
export function createListing(userId: string | null, window: Window, seenAt: string): Listing {
  const recent = new Set<string>();
  // Everything that starts before `closed` has been compared; rows that start exactly then may stand on two pages.
  let closed = instant(window.from);
  let atClosed: string[] = [];
  let before = seenAt;
  let first = true;

  return {
    async examine(sql, page) {
      const fresh = onceEach(page.events).filter(({ value }) => !recent.has(value.uri));
      const found = await compare(sql, fresh);
      const stretch = await closeStretch(sql, page);
      const after = await databaseTime(sql);
      const findings = { ...found, unlisted: stretch.unlisted };
      const accept = () => {
        before = after;
        ({ closed, atClosed } = stretch);
        first &&= !stretch.compared;
        for (const { value } of fresh) recent.add(value.uri);
        for (const uri of recent) {
          if (recent.size <= REMEMBERED) break;
          recent.delete(uri);
        }
      };
      return { findings, accept };
    },
  };

  async function compare(sql: Sql, events: Parsed<CalendlyEvent>[]) {
    const ids = events.map(({ value }) => externalId(value.uri));
    const stored = userId === null ? new Map() : await findMeetings(sql, userId, ids);
    const found: Omit<Findings, 'unlisted'> = {
      active: 0,
      canceled: 0,
      news: [],
      unchanged: [],
      issues: [],
    };
    for (const { value, raw, issues } of events) {
      if (value.status === 'canceled') found.canceled++;
      else found.active++;
      for (const text of issues) found.issues.push({ uri: value.uri, text });
      const known = stored.get(externalId(value.uri));
      const pending = { uri: value.uri, event: raw, seenAt: before };
      const { outcome } = diffEvent(known ?? null, raw, before);
      if (known?.fingerprint !== fingerprint(value)) {
        found.news.push({ ...pending, kind: 'changed', outcome, readsInvitees: hasInvitees(value) });
      } else if (outcome !== 'unchanged') {
        found.news.push({ ...pending, kind: 'edited', outcome, readsInvitees: false });
      } else {
        found.unchanged.push(value.uri);
      }
    }
    return found;
  }

  /** Stored rows between where the last page ended and where this one ends must have been on one of the two. */
  async function closeStretch(sql: Sql, page: EventPage) {
    const starts = page.events
      .map(({ value }) => ({ id: externalId(value.uri), start: canonicalTimestamp(value.start_time) }))
      .filter((one): one is { id: string; start: string } => one.start !== null);
    const reached = [closed, ...starts.map(({ start }) => start)].sort().at(-1) ?? closed;
    const end = page.last ? instant(window.to) : reached;
    const compared = end > closed;
    let unlisted: string[] = [];
    if (compared && userId !== null) {
      // The window's own edges may be inclusive or exclusive: what starts just there is left to the next window.
      const from = first ? instant(window.from + 1_000) : closed;
      unlisted = await findUnlisted(sql, userId, from, end, [...atClosed, ...starts.map(({ id }) => id)]);
    }
    const onEdge = starts.filter(({ start }) => start === reached).map(({ id }) => id);
    return {
      unlisted,
      compared,
      closed: reached,
      atClosed: reached === closed ? [...atClosed, ...onEdge] : onEdge,
    };
  }
}

/** A time in ms as canonical text. */
function instant(ms: number): string {
  return canonicalTimestamp(new Date(ms).toISOString()) ?? '';
}

/** Each event once: of two rows with one URI the newer, the later of two of one age. */
function onceEach(events: Parsed<CalendlyEvent>[]): Parsed<CalendlyEvent>[] {
  const byUri = new Map<string, Parsed<CalendlyEvent>>();
  for (const event of events) {
    const other = byUri.get(event.value.uri);
    if (!other || compareTimes(event.raw.updated_at, other.raw.updated_at) >= 0)
      byUri.set(event.value.uri, event);
  }
  return [...byUri.values()];
}
