/**
 * Lists a window of events page by page and compares each page with the database: which listed events
 * changed, and which stored meetings the listing should contain but does not. Writes nothing itself; the
 * caller stores the findings.
 */
import type { CalendlyClient, EventPage, Window } from '../calendly/client.js';
import type { CalendlyEvent, Parsed } from '../calendly/schemas.js';
import { canonicalTimestamp } from '../calendly/timestamps.js';
import type { Database, Sql } from '../database/connection.js';
import { persistentTransaction } from '../database/retry.js';
import { databaseTime, findUnchanged, findUnlisted } from '../database/tables/calendly-events.js';
import { findMeetings } from '../database/tables/meetings.js';
import type { Pending } from '../database/tables/pending-events.js';
import type { MeetingOutcome } from '../resources/meetings/changes.js';
import { diffEvent } from '../resources/meetings/diff.js';
import { digest, fingerprint, hasInvitees } from '../resources/meetings/fingerprint.js';
import { compareTimes } from '../resources/meetings/merge.js';
import { ownership } from '../resources/meetings/owners.js';
import { externalId } from '../resources/meetings/rows.js';
import { type Counts, type OnSyncEvent, progressEvent } from './report.js';

/** What one page brought. */
export interface Findings {
  active: number;
  canceled: number;
  /** Listed events that need work, with what their listed row alone changes. */
  changed: (Pending & { outcome: MeetingOutcome; readsInvitees: boolean })[];
  /** URIs of listed events that need nothing. */
  unchanged: string[];
  /** URIs of stored meetings in the range that this page completes that were not listed. */
  unlisted: string[];
  issues: { uri: string; text: string }[];
  /** Listed rows without a URI. */
  unreadable: number;
}

export interface ListingOptions {
  database: Database;
  client: CalendlyClient;
  /** Null if the user is not stored yet: every event is new. */
  userId: string | null;
  calendlyUri: string;
  email: string | null;
  window: Window;
  signal: AbortSignal;
  /** Counts the listed and the unchanged events. */
  counts: Counts;
  onEvent: OnSyncEvent;
}

/**
 * URIs remembered to recognize a row that is listed twice: on a page sent again, or because rows moved
 * between requests.
 */
const MAX_REMEMBERED = 1_000;

/**
 * Lists the window, pages back to back, and yields the findings of each page.
 * @param store stores the findings in the transaction that compared the page; null if nothing may be written
 */
export async function* listChanges(
  options: ListingOptions,
  store: ((sql: Sql, findings: Findings) => Promise<void>) | null,
): AsyncGenerator<Findings> {
  const { database, client, calendlyUri, email, window, signal, counts, onEvent } = options;
  const seenAt = await persistentTransaction(database, databaseTime);
  const listing = createListing(options, seenAt);
  for await (const page of client.listEvents(calendlyUri, window)) {
    const examine = async (sql: Sql) => {
      const examined = await listing.examine(sql, page);
      await store?.(sql, examined.findings);
      return examined;
    };
    const { findings, commit } = store
      ? await persistentTransaction(database, examine, signal)
      : await database.transaction(examine, { readOnly: true });
    commit();
    counts.fetched.active += findings.active;
    counts.fetched.canceled += findings.canceled;
    counts.unchanged += findings.unchanged.length;
    yield findings;
    onEvent(progressEvent(email, counts, client));
    signal.throwIfAborted();
  }
}

/**
 * Compares the pages of one listing with the database. `seenAt` is the database time before the first page
 * was requested.
 */
function createListing({ userId, calendlyUri, window }: ListingOptions, seenAt: string) {
  const recent = new Set<string>();
  // The listing has been compared up to `closed`; rows that start exactly then may be on two pages.
  let closed = toText(window.from);
  let atClosed: string[] = [];
  let requestedAt = seenAt;
  let first = true;

  return {
    /**
     * Compares a page with the database. Call `commit` once the transaction is committed; until then a
     * retried transaction examines the same page again.
     */
    async examine(sql: Sql, page: EventPage): Promise<{ findings: Findings; commit(): void }> {
      const fresh = dedupeByUri(page.rows).filter(({ value }) => !recent.has(value.uri));
      const compared = await compare(sql, fresh);
      const range = await closeRange(sql, page);
      const after = await databaseTime(sql);
      const findings = { ...compared, unlisted: range.unlisted, unreadable: page.unreadable };
      const commit = () => {
        requestedAt = after;
        ({ closed, atClosed } = range);
        first &&= !range.compared;
        for (const { value } of fresh) recent.add(value.uri);
        for (const uri of recent) {
          if (recent.size <= MAX_REMEMBERED) break;
          recent.delete(uri);
        }
      };
      return { findings, commit };
    },
  };

  async function compare(sql: Sql, events: Parsed<CalendlyEvent>[]) {
    const remembered = events.map(({ value, raw }) => ({
      externalId: externalId(value.uri),
      digest: digest(raw),
      fingerprint: fingerprint(value),
    }));
    const same = userId === null ? new Set<string>() : await findUnchanged(sql, userId, remembered);
    const others = remembered.map((event) => event.externalId).filter((id) => !same.has(id));
    const stored =
      userId === null || others.length === 0 ? new Map() : await findMeetings(sql, userId, others);
    const changed: Findings['changed'] = [];
    const unchanged: string[] = [];
    for (const { value, raw } of events) {
      const { uri } = value;
      if (same.has(externalId(uri))) {
        unchanged.push(uri);
        continue;
      }
      const known = stored.get(externalId(uri)) ?? null;
      const { outcome } = diffEvent(known, {
        event: raw,
        source: 'listing',
        requestedAt: { event: requestedAt, invitees: requestedAt },
        hostUri: calendlyUri,
      });
      const pending = { uri, event: raw, seenAt: requestedAt, outcome };
      const isHosted = ownership(raw, calendlyUri) !== 'reassigned';
      if (isHosted && known?.fingerprint !== fingerprint(value)) {
        changed.push({ ...pending, kind: 'changed', readsInvitees: hasInvitees(value) });
      } else if (outcome !== 'unchanged' && outcome !== 'unknown') {
        changed.push({ ...pending, kind: 'edited', readsInvitees: false });
      } else {
        unchanged.push(uri);
      }
    }
    const canceled = events.filter(({ value }) => value.status === 'canceled').length;
    const issues = events.flatMap((event) => event.issues.map((text) => ({ uri: event.value.uri, text })));
    return { active: events.length - canceled, canceled, changed, unchanged, issues };
  }

  /** Stored meetings that start between the ends of the last page and of this one must have been on one of the two. */
  async function closeRange(sql: Sql, page: EventPage) {
    const starts = page.rows
      .map(({ value }) => ({ id: externalId(value.uri), start: canonicalTimestamp(value.start_time) }))
      .filter((event): event is { id: string; start: string } => event.start !== null);
    const reached = [closed, ...starts.map(({ start }) => start)].sort().at(-1) ?? closed;
    const end = page.last ? toText(window.to) : reached;
    const compared = end > closed;
    let unlisted: string[] = [];
    if (compared && userId !== null) {
      // It is not documented whether the window includes its edges: what starts exactly there is left to the
      // next window.
      const from = first ? toText(window.from + 1_000) : closed;
      unlisted = await findUnlisted(sql, userId, from, end, [...atClosed, ...starts.map(({ id }) => id)]);
    }
    const onEdge = starts.filter(({ start }) => start === reached).map(({ id }) => id);
    const edge = reached === closed ? [...atClosed, ...onEdge] : onEdge;
    return { unlisted, compared, closed: reached, atClosed: edge };
  }
}

/** Formats a time in ms since 1970 as canonical text. */
function toText(ms: number): string {
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
