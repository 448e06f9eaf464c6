/**
 * Calendly's API as this tool uses it: the endpoints, their paging, and what an answer means. Knows no database.
 * Resource URIs are identifiers: to fetch one, its path is asked of the configured base, wherever the URI points.
 */
import { type Clock, systemClock } from '../clock.js';
import { CalendlySyncError } from '../errors.js';
import { InvalidResponseError, isAccessLost, isGone, isStalePage, toCalendlyError } from './errors.js';
import { type Attempt, createHttp } from './http.js';
import {
  type CalendlyEvent,
  type CalendlyInvitee,
  type CalendlyUser,
  type Parsed,
  pageSchema,
  parseEvent,
  parseInvitee,
  parseUser,
  resourceSchema,
} from './schemas.js';
import { createSubscriptionsApi, type SubscriptionsApi } from './subscriptions.js';
import { createGate } from './throttle.js';

export interface ClientOptions {
  /** Base of the API, no trailing slash. */
  baseUrl: string;
  token: string;
  signal?: AbortSignal | undefined;
  clock?: Clock;
  fetch?: typeof fetch;
  /** Most requests under way at once. */
  concurrency?: number | undefined;
  /** Longest time for one attempt, in ms. */
  timeoutMs?: number;
  /** First pause before a retry, in ms. */
  retryPauseMs?: number;
  onAttempt?: ((attempt: Attempt) => void) | undefined;
}

/** One page of the event listing, in order of start. */
export interface EventPage {
  events: Parsed<CalendlyEvent>[];
  /** Rows without a URI: they cannot be stored. */
  unreadable: number;
  /** The listing is complete with this page. */
  last: boolean;
}

/** A window of start times, UTC, in ms since 1970. */
export interface Window {
  from: number;
  to: number;
}

/** What asking for one event again brought. */
export type EventAnswer = { found: Parsed<CalendlyEvent> } | { gone: true } | { accessLost: true };

export interface CalendlyClient {
  /** Whose token this is. */
  me(): Promise<Parsed<CalendlyUser>>;
  /**
   * All events of a user in a window, both statuses in one listing, sorted by start, pages back to back. Begins anew when a
   * page token goes stale, so that rows may come twice; never leaves one out. Ends normally only when it was complete.
   */
  listEvents(userUri: string, window: Window): AsyncGenerator<EventPage, void, void>;
  /** One event; only Calendly's own 404 and 403 count as gone and access lost. */
  event(uri: string): Promise<EventAnswer>;
  /** All invitees of an event, every page. */
  invitees(eventUri: string): Promise<{ invitees: Parsed<CalendlyInvitee>[]; unreadable: number }>;
  /** The webhook subscriptions. */
  subscriptions: SubscriptionsApi;
  /** Requests and retries so far, and the time spent waiting for the rate limit in ms. */
  counters(): { requests: number; retries: number; rateLimitWaitMs: number };
  /** When requests go on, in ms since 1970, while they wait for the rate limit; else null. */
  waitingUntil(): number | null;
}

const PAGE_SIZE = 100;
const TIMEOUT_MS = 20_000;
const RETRY_PAUSE_MS = 500;
/** Listings that begin anew without having got any further than before. */
const MOST_FRUITLESS_RESTARTS = 5;
/** Pages in a row that bring nothing and yet name a next one. */
const MOST_EMPTY_PAGES = 200;

/** The client of one account. All its requests share one gate. */
export function createCalendlyClient(options: ClientOptions): CalendlyClient {
  const { baseUrl, clock = systemClock } = options;
  const gate = createGate({ clock, concurrency: options.concurrency });
  const http = createHttp({
    baseUrl,
    token: options.token,
    gate,
    clock,
    fetch: options.fetch ?? fetch,
    signal: options.signal,
    timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
    retryPauseMs: options.retryPauseMs ?? RETRY_PAUSE_MS,
    onAttempt: options.onAttempt,
  });
  const translated = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (thrown) {
      throw toCalendlyError(thrown, baseUrl);
    }
  };
  const at = (path: string) => new URL(baseUrl + path);
  const getPage = (url: URL) => http.send('GET', url, understandPage(url));
  const getResource = <T>(path: string, read: (raw: unknown) => Parsed<T> | null) =>
    http.send('GET', at(path), (json) => {
      const resource = resourceSchema.safeParse(json).data?.resource;
      const value = resource === undefined ? null : read(resource);
      if (value === null) throw new InvalidResponseError(`GET ${path} answered JSON of another shape.`);
      return value;
    });

  async function* listEvents(userUri: string, window: Window): AsyncGenerator<EventPage, void, void> {
    let from = window.from;
    let furthest = Number.NEGATIVE_INFINITY;
    let restarts = 0;
    for (;;) {
      let next: URL | null = eventsUrl(userUri, { from, to: window.to });
      let emptyPages = 0;
      const asked = new Set<string>();
      try {
        while (next !== null) {
          if (asked.has(next.href)) throw new InvalidResponseError('The listing of events goes in a circle.');
          asked.add(next.href);
          const page: Page = await getPage(next);
          const { rows, unreadable } = readRows(page.rows, parseEvent);
          emptyPages = rows.length > 0 ? 0 : emptyPages + 1;
          if (emptyPages > MOST_EMPTY_PAGES) {
            throw new InvalidResponseError(
              `The listing of events brought ${emptyPages} empty pages in a row.`,
            );
          }
          const reached = Math.max(...rows.map(({ value }) => Date.parse(value.start_time ?? '') || 0));
          if (reached > furthest) {
            furthest = reached;
            restarts = 0;
          }
          next = page.next;
          yield { events: rows, unreadable, last: next === null };
        }
        return;
      } catch (thrown) {
        if (!isStalePage(thrown) || ++restarts > MOST_FRUITLESS_RESTARTS)
          throw toCalendlyError(thrown, baseUrl);
        // On from a second before the last start seen: right whether the bound is inclusive or exclusive.
        if (Number.isFinite(furthest)) from = Math.max(window.from, furthest - 1_000);
      }
    }
  }

  function eventsUrl(userUri: string, window: Window): URL {
    const url = at('/scheduled_events');
    url.searchParams.set('user', userUri);
    url.searchParams.set('min_start_time', queryTime(window.from));
    url.searchParams.set('max_start_time', queryTime(window.to));
    url.searchParams.set('sort', 'start_time:asc');
    url.searchParams.set('count', String(PAGE_SIZE));
    return url;
  }

  async function allInvitees(eventUri: string) {
    for (let restarts = 0; ; restarts++) {
      const byUri = new Map<string, Parsed<CalendlyInvitee>>();
      let unreadable = 0;
      let next: URL | null = at(`${resourcePath(eventUri)}/invitees`);
      next.searchParams.set('sort', 'created_at:asc');
      next.searchParams.set('count', String(PAGE_SIZE));
      const asked = new Set<string>();
      try {
        while (next !== null) {
          if (asked.has(next.href))
            throw new InvalidResponseError('The listing of invitees goes in a circle.');
          asked.add(next.href);
          const page: Page = await getPage(next);
          const read = readRows(page.rows, parseInvitee);
          for (const row of read.rows) byUri.set(row.value.uri, row);
          unreadable += read.unreadable;
          next = page.next;
        }
        return { invitees: [...byUri.values()], unreadable };
      } catch (thrown) {
        if (!isStalePage(thrown) || restarts >= MOST_FRUITLESS_RESTARTS) throw thrown;
      }
    }
  }

  return {
    me: () => translated(getResource('/users/me', parseUser)),
    listEvents,
    async event(uri) {
      try {
        return { found: await getResource(resourcePath(uri), parseEvent) };
      } catch (thrown) {
        if (isGone(thrown)) return { gone: true };
        if (isAccessLost(thrown)) return { accessLost: true };
        throw toCalendlyError(thrown, baseUrl);
      }
    },
    invitees: (eventUri) => translated(allInvitees(eventUri)),
    subscriptions: createSubscriptionsApi({ send: http.send, at, getPage, translated, pathOf: resourcePath }),
    counters: () => ({ ...http.counters, rateLimitWaitMs: Math.round(gate.waitedMs()) }),
    waitingUntil: gate.waitingUntil,
  };
}

/** The path of a resource's URI, whatever host it names. */
export function resourcePath(uri: string): string {
  try {
    const { pathname } = new URL(uri);
    if (pathname.length > 1) return pathname.replace(/\/+$/, '');
  } catch {
    // Falls through: no URI.
  }
  throw new CalendlySyncError('calendly_invalid_response', `"${uri}" is no URI of a Calendly resource.`, {
    hint: 'The form is https://api.calendly.com/scheduled_events/ID',
  });
}

/** A time as query parameters take it: six fraction digits. Three, as `toISOString` writes them, were reported to get a 400. */
export function queryTime(ms: number): string {
  return new Date(ms).toISOString().replace(/(\.\d{3})Z$/, '$1000Z');
}

interface Page {
  rows: unknown[];
  next: URL | null;
}

function understandPage(asked: URL) {
  return (json: unknown): Page => {
    const read = pageSchema.safeParse(json);
    if (!read.success)
      throw new InvalidResponseError(`GET ${asked.pathname} answered JSON of another shape.`);
    const link = read.data.pagination.next_page;
    if (!link) return { rows: read.data.collection, next: null };
    if (!URL.canParse(link))
      throw new InvalidResponseError(`GET ${asked.pathname} named a next page that is no URL.`);
    const next = new URL(link);
    // Followed as given, but only at home: a token must never travel to another host.
    if (next.origin !== asked.origin) {
      throw new InvalidResponseError(
        `GET ${asked.pathname} named a next page on another host (${next.origin}); not followed.`,
      );
    }
    if (next.href === asked.href)
      throw new InvalidResponseError(`GET ${asked.pathname} named itself as the next page.`);
    return { rows: read.data.collection, next };
  };
}

function readRows<T>(rows: unknown[], read: (raw: unknown) => Parsed<T> | null) {
  const good = rows.map(read).filter((row): row is Parsed<T> => row !== null);
  return { rows: good, unreadable: rows.length - good.length };
}
