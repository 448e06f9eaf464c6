/**
 * Lists a window of events page by page and compares each page with the database: which listed events changed, and
 * which stored meetings the listing should contain but does not. Writes nothing; the caller stores the findings.
 */
import type { EventPage } from '../calendly/client.js';
import type { CalendlyEvent, Parsed } from '../calendly/schemas.js';
import { canonicalTimestamp } from '../calendly/timestamps.js';
import type { Sql } from '../database/connection.js';
import { countStored, findUnchanged, findUnlisted } from '../database/tables/calendly-events.js';
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
    const { findings, commit } = await run.read((sql) => listing.examine(sql, page));
    commit();
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
function createListing({ userId, plan, account, databaseNow, now }: Run) {
  const { window } = plan;
  const hostUri = account.calendlyUri;
  const recent = new Set<string>();
  // The listing has been compared up to `closed`; rows that start exactly then may be on two pages.
  let closed = toText(window.from);
  let atClosed: string[] = [];
  // Before the page was requested.
  let requestedAt = databaseNow();
  let first = true;

  return {
    /**
     * Compares a page with the database. Call `commit` once the transaction is committed; until then a
     * retried transaction examines the same page again.
     */
    async examine(sql: Sql, page: EventPage): Promise<{ findings: Findings; commit(): void }> {
      const rows = page.rows.filter(({ value }) => URL.canParse(value.uri));
      const fresh = dedupeByUri(rows).filter(({ value }) => !recent.has(value.uri));
      const compared = await compare(sql, fresh);
      const range = await closeRange(sql, page);
      const after = databaseNow();
      const items = [...compared.items, ...range.unlisted];
      const unreadable = page.unreadable + page.rows.length - rows.length;
      const findings = { ...compared, items, unreadable };
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
    const listed = events.map(({ value, raw }) => ({
      externalId: externalId(value.uri),
      digest: digest(raw),
      fingerprint: fingerprint(value),
    }));
    const same = userId === null ? new Set<string>() : await findUnchanged(sql, userId, listed);
    const others = listed.map((event) => event.externalId).filter((id) => !same.has(id));
    const stored =
      userId === null || others.length === 0 ? new Map() : await findMeetings(sql, userId, others);
    const items: Item[] = [];
    const unchanged: string[] = [];
    for (const event of events) {
      const id = externalId(event.value.uri);
      const item = same.has(id) ? null : itemOf(event, stored.get(id) ?? null);
      if (item) items.push(item);
      else unchanged.push(event.value.uri);
    }
    const canceled = events.filter(({ value }) => value.status === 'canceled').length;
    const issues = events.flatMap((event) => event.issues.map((text) => ({ uri: event.value.uri, text })));
    const hasNew = others.some((id) => !stored.has(id));
    return { items, unchanged, hasNew, active: events.length - canceled, canceled, issues };
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
  async function closeRange(sql: Sql, page: EventPage) {
    const starts = page.rows
      .map(({ value }) => ({ id: externalId(value.uri), start: canonicalTimestamp(value.start_time) }))
      .filter((event): event is { id: string; start: string } => event.start !== null);
    const reached = [closed, ...starts.map(({ start }) => start)].sort().at(-1) ?? closed;
    const end = page.last ? toText(window.to) : reached;
    const compared = end > closed;
    let unlisted: Item[] = [];
    if (compared && userId !== null) {
      // It is not documented whether the window includes its edges: what starts exactly there is left to the
      // next window.
      const from = first ? toText(window.from + 1_000) : closed;
      const listedIds = [...atClosed, ...starts.map(({ id }) => id)];
      const uris = await findUnlisted(sql, userId, { from, to: end, listedIds, all: plan.daily });
      unlisted = uris.map((uri) => ({
        uri,
        next: { uri, kind: 'unlisted', urgency: urgencyOf('unlisted') },
      }));
    }
    const onEdge = starts.filter(({ start }) => start === reached).map(({ id }) => id);
    const edge = reached === closed ? [...atClosed, ...onEdge] : onEdge;
    return { unlisted, compared, closed: reached, atClosed: edge };
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
